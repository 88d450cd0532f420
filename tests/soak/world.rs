//! What all parts know: the time, what is in force, and what went wrong.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::ledger::Ledger;
use crate::options::{Break, Options};

/// For how long after the origin is back what it broke may show, in ms.
const AFTERMATH: u64 = 1500;

/// Shared by all parts.
pub(crate) struct World {
    epoch: Instant,
    pub(crate) options: Options,
    counts: Mutex<BTreeMap<String, u64>>,
    wrong: Mutex<Vec<(String, String)>>,
    wrongs: AtomicU64,
    /// When the origin was away, in ms.
    away: Mutex<Vec<(u64, Option<u64>)>>,
    /// Which of two block lists is in force: in the policy, and in its file.
    pub(crate) policy: Timeline,
    pub(crate) list: Timeline,
    pub(crate) ledger: Mutex<Ledger>,
    next: AtomicU64,
    pub(crate) stop: AtomicBool,
}

/// Which of two things was in force when.
pub(crate) struct Timeline(Mutex<Vec<(bool, u64, Option<u64>)>>);

impl Timeline {
    fn new() -> Self {
        Self(Mutex::new(vec![(false, 0, None)]))
    }

    /// From now on it may be `to`.
    pub(crate) fn begin(&self, to: bool, now: u64) {
        self.0.lock().unwrap().push((to, now, None));
    }

    /// From now on nothing but the last can be in force.
    pub(crate) fn settle(&self, now: u64) {
        let mut known = self.0.lock().unwrap();
        let last = known.len() - 1;
        for (_, _, until) in &mut known[..last] {
            until.get_or_insert(now);
        }
        // No request is so old.
        known.retain(|(_, _, until)| until.is_none_or(|until| until + 120_000 > now));
    }

    pub(crate) fn newest(&self) -> bool {
        self.0.lock().unwrap().last().unwrap().0
    }

    /// What may have been in force at some time of these.
    pub(crate) fn between(&self, start: u64, end: u64) -> [bool; 2] {
        let known = self.0.lock().unwrap();
        let may = |wanted: bool| {
            known.iter().any(|(value, from, until)| {
                *value == wanted && *from <= end && until.is_none_or(|until| until >= start)
            })
        };
        [may(false), may(true)]
    }
}

impl World {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            epoch: Instant::now(),
            options,
            counts: Mutex::default(),
            wrong: Mutex::default(),
            wrongs: AtomicU64::new(0),
            away: Mutex::new(Vec::new()),
            policy: Timeline::new(),
            list: Timeline::new(),
            ledger: Mutex::default(),
            next: AtomicU64::new(1),
            stop: AtomicBool::new(false),
        }
    }

    /// Milliseconds since the start.
    pub(crate) fn now(&self) -> u64 {
        self.epoch.elapsed().as_millis() as u64
    }

    pub(crate) fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A number that no request has had.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn count(&self, what: &str, more: u64) {
        let mut counts = self.counts.lock().unwrap();
        match counts.get_mut(what) {
            Some(count) => *count += more,
            None => drop(counts.insert(what.to_owned(), more)),
        }
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().unwrap().clone()
    }

    /// Something is not as it must be. The first hundred are kept.
    pub(crate) fn wrong(&self, what: &str, details: &str) {
        self.wrongs.fetch_add(1, Ordering::Relaxed);
        let mut wrong = self.wrong.lock().unwrap();
        if wrong.len() < 100 {
            let at = self.now() as f64 / 1e3;
            eprintln!("WRONG at {at} s: {what}: {details}");
            wrong.push((what.to_owned(), format!("at {at} s: {details}")));
        }
    }

    pub(crate) fn wrongs(&self) -> (u64, Vec<(String, String)>) {
        (
            self.wrongs.load(Ordering::Relaxed),
            self.wrong.lock().unwrap().clone(),
        )
    }

    /// The origin goes now.
    pub(crate) fn goes_away(&self) {
        self.away.lock().unwrap().push((self.now(), None));
    }

    pub(crate) fn is_up(&self) {
        let now = self.now();
        for (_, until) in self.away.lock().unwrap().iter_mut() {
            until.get_or_insert(now + AFTERMATH);
        }
    }

    /// Whether the origin was away at some time of these.
    pub(crate) fn disturbed(&self, start: u64, end: u64) -> bool {
        let away = self.away.lock().unwrap();
        away.iter()
            .any(|(from, until)| *from <= end && until.is_none_or(|until| until >= start))
    }

    /// Does it once in a while, where this is what is to be broken.
    pub(crate) fn spoil(&self, what: Break, how: impl FnOnce()) {
        if self.options.breaks == Some(what) && self.number().is_multiple_of(20) {
            self.count("broken on purpose", 1);
            how();
        }
    }
}
