//! Messages that two readers could read differently: what is between us and
//! an origin, or a client, must be one message for each of them.
//!
//! Attacks are put together out of pieces, always the same ones. What comes
//! out at the other end is read by a reader that takes no liberties, by some
//! that take many, and by real programs where they are installed.

mod answers;
mod fronts;
mod grammar;
mod http2;
mod origin;
mod pieces;
mod programs;
mod readers;
mod requests;
mod responses;
mod strict;

/// How these are counted.
const KIND: &str = "message framing that two readers read differently";

/// As many times what is tried in every run, by `SMUGGLING_ROUNDS`.
fn rounds() -> usize {
    std::env::var("SMUGGLING_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap())
}

/// Which round to begin with, by `SMUGGLING_SEED`.
fn seed() -> u64 {
    std::env::var("SMUGGLING_SEED").map_or(0, |seed| seed.parse().unwrap())
}
