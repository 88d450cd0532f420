//! Whether what was counted is what it has to be.

use super::CONNECTIONS;
use crate::load::h2load::STREAMS;
use crate::load::wrk::Counted;
use crate::peers::Name;
use crate::workload::{Wire, Work, Workload};

/// What is wrong with what was counted of a peer, over so many connections.
pub(super) fn wrong(
    (workload, name, connections): (&Workload, Name, usize),
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
        // heads differ by some digits, and a tool is cut off amid its last ones
        let in_flight = match workload.wire {
            Wire::Clear | Wire::Tls => connections,
            Wire::Http2 => connections * STREAMS,
        };
        let expected = requests * length as u64;
        let spare = expected / 50 + (in_flight * length) as u64;
        if counted.bytes.abs_diff(expected) > spare {
            wrong.push(format!("{} bytes came, not {expected}", counted.bytes));
        }
    }
    let (at_least, at_most) = match workload.work {
        _ if name == Name::Floor => (0, 0),
        Work::Denied => (0, 0),
        Work::Hit(_) | Work::Handshake { .. } => (0, requests.div_ceil(100)),
        Work::Forward(_) | Work::Idle(_) => (requests, u64::MAX),
        Work::Mix => (0, requests),
    };
    if !(at_least..=at_most).contains(&asked) {
        wrong.push(format!("the origin was asked {asked} times for {requests}"));
    }
    wrong.extend(unlike(workload, counted, connections));
    wrong
}

/// Whether sessions were gone on with as they were to be: each of the
/// connections at a time begins with a new one.
fn unlike(workload: &Workload, counted: &Counted, connections: usize) -> Option<String> {
    let Work::Handshake { resumes } = workload.work else {
        return None;
    };
    let (requests, resumed) = (counted.requests, counted.resumed.unwrap_or(0));
    let is_right = match resumes {
        true => resumed + connections as u64 >= requests && resumed > 0,
        false => resumed == 0,
    };
    (!is_right).then(|| format!("of {requests} connections {resumed} went on with a session"))
}

/// How far the denials of a mix may be off: by what is under way.
fn slack(workload: &Workload) -> u64 {
    match workload.work {
        Work::Mix => CONNECTIONS as u64,
        _ => 0,
    }
}
