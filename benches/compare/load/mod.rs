//! What is asked, and the tools that ask it.

pub(crate) mod h2load;
pub(crate) mod handshakes;
pub(crate) mod objects;
pub(crate) mod random;
pub(crate) mod request;
pub(crate) mod script;
pub(crate) mod wrk;

use crate::Outcome;
use wrk::Counted;

/// What a tool of ours printed behind `result`.
fn result(who: &str, said: &str) -> Outcome<Counted> {
    let result = said.lines().find_map(|line| line.strip_prefix("result "));
    let result = result.ok_or_else(|| format!("{who} failed: {}", said.trim()))?;
    Ok(serde_json::from_str(result)?)
}

/// p50 and p99; 0 of nothing.
fn percentiles(mut all: Vec<u64>) -> (u64, u64) {
    all.sort_unstable();
    let at = |hundredths: usize| all.get(all.len() * hundredths / 100).copied();
    (at(50).unwrap_or(0), at(99).unwrap_or(0))
}
