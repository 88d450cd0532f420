//! What decides where a field is missing (section 6.6).

use hyper::HeaderMap;
use hyper::header::HeaderName;

use super::Finding;
use crate::message::field::{Single, single};

static SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
static MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
static DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

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
    pub(super) fn judge(self, headers: &HeaderMap) -> Finding<'static> {
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
pub(super) fn is_same_origin(headers: &HeaderMap) -> bool {
    single(headers, &SITE) == Single::One(b"same-origin")
}

/// Whether a browser itself reports that another site embeds what it asks
/// for. Programs that send no such fields, the address bar and the same site
/// are not that.
fn is_embedded_elsewhere(headers: &HeaderMap) -> bool {
    match single(headers, &SITE) {
        Single::Missing | Single::One(b"same-origin" | b"same-site" | b"none") => false,
        Single::One(_) | Single::Several => {
            single(headers, &MODE) != Single::One(b"navigate")
                || single(headers, &DEST) != Single::One(b"document")
        }
    }
}
