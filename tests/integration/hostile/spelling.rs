//! Other spellings of what a rule denies: of an address, a host, a path, a
//! page or a program. What the origin received is what counts: nothing that
//! an origin, or a browser, would take for the denied thing.

mod agents;
mod allowed;
mod answers;
mod clients;
mod fetches;
mod hosts;
mod named;
mod pages;
mod paths;
mod readers;
mod served;
mod uploads;
mod ways;

use crate::support::Random;

const KIND: &str = "spellings that could slip past a rule";

/// So many times `usual`, for a longer search than each run can have.
fn cases(usual: usize) -> usize {
    let times = std::env::var("PORTCULLIS_SPELLINGS").map(|times| times.parse().unwrap());
    usual * times.unwrap_or(1)
}
