//! What the running proxy takes: CPU by the number of connections, memory by
//! the number of stored responses.

use super::{Chart, Curve};
use crate::measure::Bench;
use crate::peers::{Peer, Purpose};
use crate::process::file_limit;
use crate::usage::Memory;
use crate::{Outcome, interrupt};

const CONNECTIONS: [usize; 6] = [16, 64, 256, 1024, 4096, 8000];

/// Seconds for which more and more is stored, after each of which the memory
/// is read.
const FILLS: [u64; 5] = [1, 1, 2, 4, 8];

/// Enough for what is stored in that time.
const CACHE: u64 = 8 << 30;

pub(super) fn charts(bench: &Bench, portcullis: &Peer) -> Outcome<[Chart; 2]> {
    Ok([
        Chart {
            file: "connections",
            title: "CPU by the number of connections, none of which waits",
            across: "connections",
            up: "microseconds a request",
            curves: connections(bench, portcullis)?,
        },
        Chart {
            file: "memory",
            title: "Resident memory by the number of stored responses of 512 bytes",
            across: "responses",
            up: "MiB",
            curves: vec![memory(bench, portcullis)?],
        },
    ])
}

fn connections(bench: &Bench, portcullis: &Peer) -> Outcome<Vec<Curve>> {
    let mut curves = Vec::new();
    for (name, cache) in [("hit 1 KiB", Some(Bench::ample())), ("forward 1 KiB", None)] {
        let instance = bench.start(portcullis, Purpose::clear(cache))?;
        let mut points = Vec::new();
        for count in CONNECTIONS {
            interrupt::check()?;
            if file_limit() < count as u64 + 1000 {
                println!(
                    "NOT MEASURED: {count} connections need more files than a process may open here"
                );
                break;
            }
            let cpu = bench.cpu_with(&instance, count)?;
            eprintln!("  {name}, {count} connections: {cpu:.1} us");
            points.push((count as f64, cpu));
        }
        let name = name.to_owned();
        curves.push(Curve { name, points });
    }
    Ok(curves)
}

fn memory(bench: &Bench, portcullis: &Peer) -> Outcome<Curve> {
    let instance = bench.start(portcullis, Purpose::clear(Some(CACHE)))?;
    let mebibytes = || Memory::now(instance.process()).shown() as f64 / f64::from(1 << 20);
    bench.store_one(&instance)?;
    let mut points = vec![(1.0, mebibytes())];
    let mut stored = 1;
    for seconds in FILLS {
        stored += bench.store_new(&instance, seconds, stored)?;
        eprintln!("  {stored} responses: {:.1} MiB", mebibytes());
        points.push((stored as f64, mebibytes()));
    }
    let name = "Portcullis".to_owned();
    Ok(Curve { name, points })
}
