//! What callgrind writes: functions, what they cost, and who called whom how
//! often ("Callgrind Format Specification" of the valgrind manual).

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::allocations;

/// The counters of one stretch of a run.
#[derive(Default)]
pub(crate) struct Profile {
    /// Instructions of all threads.
    pub(crate) total: u64,
    /// By function: without what it called.
    pub(crate) exclusive: HashMap<String, u64>,
    /// By function: with what it called.
    pub(crate) inclusive: HashMap<String, u64>,
    /// What a function that was kept apart by its callers cost, with what it
    /// called, by chain of callers.
    pub(crate) apart: HashMap<String, u64>,
    /// Calls of the allocator by chain of callers, the nearest first.
    pub(crate) allocations: HashMap<String, u64>,
}

impl Profile {
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let mut reader = Reader::default();
        for line in text.lines() {
            reader.line(line);
        }
        match reader.profile.total {
            0 => Err(io::Error::other(format!(
                "{} holds no counters",
                path.display()
            ))),
            _ => Ok(reader.profile),
        }
    }

    pub(crate) fn allocations(&self) -> u64 {
        self.allocations.values().sum()
    }
}

#[derive(Default)]
struct Reader {
    profile: Profile,
    /// Names are written out once and then go by number.
    names: HashMap<u32, String>,
    /// The function whose lines these are.
    function: String,
    /// The function that it calls, and how often: the next line is its cost.
    called: String,
    calls: Option<u64>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        match line.split_once('=') {
            Some(("fn", name)) => self.function = self.name(name),
            Some(("cfn", name)) => self.called = self.name(name),
            Some(("calls", rest)) => {
                self.calls = rest.split(' ').next().and_then(|count| count.parse().ok());
            }
            _ if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) => {
                self.cost(line);
            }
            _ => {
                if let Some(total) = line.strip_prefix("totals: ") {
                    self.profile.total = total.trim().parse().unwrap_or(0);
                }
            }
        }
    }

    /// `(7) name` or `(7)`.
    fn name(&mut self, text: &str) -> String {
        let (number, name) = text.split_once(')').unwrap_or((text, ""));
        let number = number.trim_start_matches('(').parse().unwrap_or(0);
        match name.trim() {
            "" => self.names.get(&number).cloned().unwrap_or_default(),
            name => {
                self.names.insert(number, name.to_owned());
                name.to_owned()
            }
        }
    }

    fn cost(&mut self, line: &str) {
        let cost = line
            .split(' ')
            .nth(1)
            .and_then(|cost| cost.parse().ok())
            .unwrap_or(0);
        let function = plain(&self.function);
        let is_self = match self.calls.take() {
            None => {
                *self.profile.exclusive.entry(function.clone()).or_default() += cost;
                false
            }
            Some(calls) => {
                if let Some(chain) = allocations::chain(&self.called) {
                    *self.profile.allocations.entry(chain).or_default() += calls;
                }
                plain(&self.called) == function
            }
        };
        if is_self {
            return;
        }
        *self.profile.inclusive.entry(function).or_default() += cost;
        if is_apart(&self.function) {
            *self
                .profile
                .apart
                .entry(callers(&self.function))
                .or_default() += cost;
        }
    }
}

/// What stands between a function and its caller where callgrind keeps it
/// apart by its callers. Lifetimes do not occur in the names of functions.
pub(crate) const CALLER: char = '\'';

/// Whether callers stand behind the function, and not how deep it calls itself.
fn is_apart(name: &str) -> bool {
    let caller = name.split(CALLER).nth(1);
    caller.is_some_and(|caller| caller.parse::<u32>().is_err()) && !allocations::is_entry(name)
}

/// Frames that say nothing about who wanted something.
const PASSING_ON: [&str; 8] = [
    "alloc::raw_vec",
    "alloc::alloc",
    "alloc::boxed",
    "__rust",
    "__rg_",
    "alloc::sync",
    "alloc::rc",
    "core::ops",
];

/// The function without its callers.
pub(crate) fn nearest(name: &str) -> &str {
    name.split(CALLER).next().unwrap_or(name)
}

/// `function: caller < its caller < ...`, without those that only pass on.
pub(crate) fn callers(name: &str) -> String {
    let frames = name.split(CALLER).skip(1).map(plain);
    let telling = frames.filter(|frame| {
        let frame = frame.trim_start_matches('<');
        !PASSING_ON.iter().any(|start| frame.starts_with(start))
    });
    let telling: Vec<String> = telling.take(4).collect();
    format!("{}: {}", plain(name), telling.join(" < "))
}

/// The function without its callers and without the compiler's hash.
fn plain(name: &str) -> String {
    let name = nearest(name);
    match name.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            name.to_owned()
        }
        _ => name.to_owned(),
    }
}
