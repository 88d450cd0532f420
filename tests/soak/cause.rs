//! Why requests are denied, and who their clients are.

use crate::random::Random;

/// Why a request is denied or rejected, chosen before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It passes.
    Nothing,
    /// Its client is in one of the two lists of the policy.
    Policy(bool),
    /// Its client is in one of the two list files.
    List(bool),
    Country,
    Agent,
    Referrer,
    /// An upload from a page of another site.
    Page,
    Method,
    Host,
    Path,
}

/// How its connection names the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// It is who connects.
    Not,
    /// By the PROXY header, for the whole connection.
    Once,
    /// By `X-Forwarded-For`.
    Each,
}

/// An address that is denied for `cause`, or one of no concern.
pub(crate) fn address(cause: Cause, random: &mut Random) -> String {
    let last = random.below(14) + 1;
    match cause {
        Cause::Policy(second) => format!("198.51.100.{}", last + 16 * u64::from(second)),
        Cause::List(second) => format!("198.51.100.{}", last + 32 + 16 * u64::from(second)),
        Cause::Country => format!("198.51.100.{}", last + 64),
        _ => format!("192.0.2.{last}"),
    }
}

/// Why a client is denied by its address, if it is to be.
pub(crate) fn by_address(random: &mut Random) -> Cause {
    let second = random.one_in(2);
    match random.below(8) {
        0 => Cause::Policy(second),
        1 => Cause::List(second),
        2 => Cause::Country,
        _ => Cause::Nothing,
    }
}

/// Why a request is denied or rejected by what is in it, if it is to be.
pub(crate) fn by_request(random: &mut Random) -> Cause {
    match random.below(40) {
        0 => Cause::Agent,
        1 => Cause::Referrer,
        2 => Cause::Page,
        3 => Cause::Method,
        4 => Cause::Host,
        5 => Cause::Path,
        _ => Cause::Nothing,
    }
}
