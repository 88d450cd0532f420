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
        let Some(calls) = self.calls.take() else {
            *self.profile.exclusive.entry(function.clone()).or_default() += cost;
            *self.profile.inclusive.entry(function).or_default() += cost;
            return;
        };
        let called = plain(&self.called);
        if called != function {
            *self.profile.inclusive.entry(function).or_default() += cost;
        }
        if let Some(chain) = allocations::chain(&self.called) {
            *self.profile.allocations.entry(chain).or_default() += calls;
        }
    }
}

/// The name without the callers that stand behind that of an entry of the allocator,
/// without the compiler's hash and the mark of recursion.
pub(crate) fn plain(name: &str) -> String {
    let name = match allocations::is_entry(name) {
        true => name.split('\'').next().unwrap_or(name),
        false => name,
    };
    let bytes = name.as_bytes();
    match name.rfind("::h") {
        Some(at) if bytes.len() == at + 19 && bytes[at + 3..].iter().all(u8::is_ascii_hexdigit) => {
            name[..at].to_owned()
        }
        _ => name.to_owned(),
    }
}
