//! How a client goes about it, and what it remembers.

use crate::ask::Ask;
use crate::judge::Answer;
use crate::random::Random;
use crate::spec::Fault;

/// How one client goes about it.
pub(crate) struct Manner {
    /// Bytes of a body that it sends at once, and how long it rests between.
    pub(crate) sends: (usize, u64),
    /// It leaves after so many bytes of the body.
    pub(crate) leaves: Option<usize>,
    pub(crate) reads_slowly: bool,
}

impl Manner {
    pub(crate) fn any(random: &mut Random) -> Self {
        Self {
            sends: match random.one_in(6) {
                true => (40_000, 20),
                false => (usize::MAX, 0),
            },
            leaves: random.one_in(15).then(|| random.below(40_000) as usize),
            reads_slowly: random.one_in(12),
        }
    }
}

/// The request before on the same connection.
#[derive(Default)]
pub(crate) struct Before {
    pub(crate) what: String,
    /// It was an upload, and answered before it was read.
    pub(crate) refused: bool,
}

impl Before {
    pub(crate) fn note(&mut self, ask: &Ask, answer: &Answer) {
        self.what = format!("{} {} with {}", ask.method, ask.target, answer.status);
        let early = ask.spec.fault == Some(Fault::Early);
        let own = answer.head.field("portcullis-ref").is_some();
        self.refused = ask.body.is_some() && (own || early);
    }
}
