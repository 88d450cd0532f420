//! Whether what was counted is what it has to be.

use super::CONNECTIONS;
use crate::load::wrk::{Counted, Load};
use crate::peers::Name;
use crate::workload::{Work, Workload};

/// What is wrong with what was counted of `load`.
pub(super) fn wrong(
    workload: &Workload,
    name: Name,
    load: &Load<'_>,
    counted: &Counted,
    asked: u64,
    length: Option<usize>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let requests = counted.requests;
    let denied = match workload.work {
        Work::Denied => requests,
        Work::Mix => requests / 10,
        _ => 0,
    };
    if counted.denied.abs_diff(denied) > slack(workload) {
        wrong.push(format!(
            "{} of {requests} were denied, not {denied}",
            counted.denied
        ));
    }
    if counted.broken > 0 || requests == 0 {
        wrong.push(format!("{} of {requests} broke off", counted.broken));
    }
    if let Some(length) = length {
        // heads differ by some digits, and wrk is cut off amid its last ones
        let expected = requests * length as u64;
        let spare = expected / 50 + (load.connections * length) as u64;
        if counted.bytes.abs_diff(expected) > spare {
            wrong.push(format!("{} bytes came, not {expected}", counted.bytes));
        }
    }
    let (at_least, at_most) = match workload.work {
        _ if name == Name::Floor => (0, 0),
        Work::Denied => (0, 0),
        Work::Hit(_) => (0, requests.div_ceil(100)),
        Work::Forward(_) | Work::Idle(_) => (requests, u64::MAX),
        Work::Mix => (0, requests),
    };
    if !(at_least..=at_most).contains(&asked) {
        wrong.push(format!("the origin was asked {asked} times for {requests}"));
    }
    wrong
}

/// How far the denials of a mix may be off: by what is under way.
fn slack(workload: &Workload) -> u64 {
    match workload.work {
        Work::Mix => CONNECTIONS as u64,
        _ => 0,
    }
}
