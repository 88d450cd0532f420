//! The cache, counted (section 9).

use super::Counter;

/// What the cache did about a request; the access log's `cache`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheResult {
    /// Answered from storage, fresh.
    Hit,
    /// Answered from storage, stale.
    Stale,
    /// Answered from storage after the origin said that it is still good.
    Revalidated,
    /// The origin was asked, for this request.
    Miss,
    /// Answered by what the origin sends for another request.
    Joined,
    /// It may not be answered from storage: the origin was asked.
    Bypass,
}

/// How a fill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillEnd {
    /// What came is stored.
    Stored,
    /// The origin said that what is stored is still good.
    Validated,
    /// The head says that the response may not be stored.
    Unstorable,
    /// The body is over `cache.max_object`.
    TooLarge,
    /// There is no room, also after everything that may go is gone.
    NoRoom,
    /// A purge or an unsafe method came before its end.
    Purged,
    /// No response came, or not all of it.
    Failed,
}

/// What one worker does for the cache, beside the requests that its routes
/// count.
#[derive(Debug, Default)]
pub struct CacheCounters {
    /// Bytes of bodies that were sent without the origin sending them for
    /// that request.
    pub served: Counter,
    /// Fills begun, the background ones among them.
    pub begun: Counter,
    /// Fills that nobody waits for: a stale response was served meanwhile.
    pub background: Counter,
    /// Responses stored under another variant than the one that their
    /// request was promised (section 7).
    pub unkept: Counter,
    ended: [Counter; FillEnd::ALL.len()],
}

/// What the whole process's store holds, and what it did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheGauges {
    /// Stored responses.
    pub entries: u64,
    /// Bytes of memory taken, also by fills under way and by bodies that are
    /// gone from the store and still read.
    pub bytes: u64,
    /// How many bytes there may be.
    pub limit: u64,
    /// Stored responses that made room for others, so far.
    pub evicted: u64,
    /// Stored responses that a purge removed, so far.
    pub purged: u64,
}

impl CacheResult {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Hit,
        Self::Stale,
        Self::Revalidated,
        Self::Miss,
        Self::Joined,
        Self::Bypass,
    ];

    /// The word that log and metrics use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Revalidated => "revalidated",
            Self::Miss => "miss",
            Self::Joined => "joined",
            Self::Bypass => "bypass",
        }
    }

    /// Whether the origin sent no body for this request.
    pub const fn spares_body(self) -> bool {
        match self {
            Self::Hit | Self::Stale | Self::Revalidated | Self::Joined => true,
            Self::Miss | Self::Bypass => false,
        }
    }
}

impl FillEnd {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Stored,
        Self::Validated,
        Self::Unstorable,
        Self::TooLarge,
        Self::NoRoom,
        Self::Purged,
        Self::Failed,
    ];

    /// The word that metrics use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Validated => "validated",
            Self::Unstorable => "unstorable",
            Self::TooLarge => "too_large",
            Self::NoRoom => "no_room",
            Self::Purged => "purged",
            Self::Failed => "failed",
        }
    }
}

impl CacheCounters {
    /// A request of which so many bytes of body were sent is over. Only the
    /// owning thread may, here and below.
    pub fn answered(&self, result: CacheResult, sent: u64) {
        if result.spares_body() {
            self.served.add(sent);
        }
    }

    /// A fill ended.
    pub fn fill_ended(&self, end: FillEnd) {
        self.ended[end as usize].add(1);
    }

    /// How many fills ended like that.
    pub fn fills(&self, end: FillEnd) -> u64 {
        self.ended[end as usize].get()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_word_and_a_place_of_its_own() {
        let words: BTreeSet<_> = CacheResult::ALL.map(CacheResult::as_str).into();
        assert_eq!(words.len(), CacheResult::ALL.len());
        let words: BTreeSet<_> = FillEnd::ALL.map(FillEnd::as_str).into();
        assert_eq!(words.len(), FillEnd::ALL.len());
        let counters = CacheCounters::default();
        for (times, end) in (1..).zip(FillEnd::ALL) {
            (0..times).for_each(|_| counters.fill_ended(end));
        }
        let counted = FillEnd::ALL.map(|end| counters.fills(end));
        assert_eq!(counted, [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn what_the_origin_sent_for_it_is_not_served_from_the_cache() {
        let counters = CacheCounters::default();
        for (place, result) in CacheResult::ALL.into_iter().enumerate() {
            counters.answered(result, 10u64.pow(place as u32));
        }
        assert_eq!(counters.served.get(), 10_111);
    }
}
