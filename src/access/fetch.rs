//! What decides where a field is missing (section 6.6).

use super::Finding;
use crate::message::field::Single;
use crate::message::fields::{Fields, Name};

/// The `missing` of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A missing field passes.
    Allow,
    /// A missing field is denied.
    Block,
    /// The Sec-Fetch fields decide.
    Infer,
}

impl Missing {
    /// What a rule finds where its field is missing.
    pub(super) fn judge(self, headers: &Fields) -> Finding<'static> {
        match self {
            Self::Allow => Finding::Missing { denied: false },
            Self::Block => Finding::Missing { denied: true },
            Self::Infer => Finding::Inferred {
                denied: is_embedded_elsewhere(headers),
            },
        }
    }
}

/// Whether the browser says that its request comes from exactly this origin.
pub(super) fn is_same_origin(headers: &Fields) -> bool {
    headers.single(Name::SEC_FETCH_SITE) == Single::One(b"same-origin")
}

/// Whether a browser itself reports that another site embeds what it asks
/// for. Programs that send no such fields, the address bar and the same site
/// are not that.
fn is_embedded_elsewhere(headers: &Fields) -> bool {
    match headers.single(Name::SEC_FETCH_SITE) {
        Single::Missing | Single::One(b"same-origin" | b"same-site" | b"none") => false,
        Single::One(_) | Single::Several => {
            headers.single(Name::SEC_FETCH_MODE) != Single::One(b"navigate")
                || headers.single(Name::SEC_FETCH_DEST) != Single::One(b"document")
        }
    }
}
