//! The tables.

use std::fmt::Write as _;

use super::{Latency, Report, UNOPTIMISED, median};
use crate::load::h2load::STREAMS;
use crate::peers::Name;
use crate::tls::{GROUP, SUITE};
use crate::workload::{self, LOG_TARGET, Work, Workload};

const ABSENT: &str = "-";

pub(crate) fn all(report: &Report) -> String {
    [
        head(report),
        cpu(report),
        encrypted(report),
        log(report),
        rate(report),
        asked(report),
        saturated(report),
        latency(report),
        memory(report),
    ]
    .join("\n")
}

fn head(report: &Report) -> String {
    let machine = &report.machine;
    let versions: Vec<&str> = report
        .peers
        .iter()
        .map(|peer| peer.version.as_str())
        .collect();
    let mut text = format!(
        "{} cores of {}, Linux {}, commit {}, {}; {} rounds of {} s, medians. {}.\n",
        machine.cores,
        machine.processor,
        machine.kernel,
        machine.commit,
        machine.date,
        report.rounds,
        report.seconds,
        versions.join("; "),
    );
    if UNOPTIMISED {
        text.push_str("The harness was not optimised: THE FLOOR IS TOO HIGH.\n");
    }
    for missing in &report.missing {
        writeln!(text, "Not compared: {missing}.").expect("a String takes all");
    }
    for wrong in report.wrong() {
        writeln!(text, "A WRONG ANSWER, which counts for nothing: {wrong}.")
            .expect("a String takes all");
    }
    writeln!(
        text,
        "Country database: {}{}.",
        report.countries,
        if report.is_small_database {
            ", THE SMALL ONE OF THE TESTS"
        } else {
            ""
        }
    )
    .expect("a String takes all");
    text
}

/// A table of the first column and one for each peer, Portcullis first.
fn table(title: &str, columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = format!(
        "{title}\n\n| {} |\n|{}\n",
        columns.join(" | "),
        " --- |".repeat(columns.len())
    );
    for row in rows {
        writeln!(text, "| {} |", row.join(" | ")).expect("a String takes all");
    }
    text
}

fn measured(report: &Report) -> impl Iterator<Item = Workload> {
    let all = workload::all().into_iter();
    all.filter(|workload| report.runs.iter().any(|run| run.workload == workload.name))
}

fn cpu(report: &Report) -> String {
    let columns = [
        "workload",
        "Portcullis",
        "nginx",
        "HAProxy",
        "Varnish",
        "floor",
        "to the best peer",
        "reach",
        "stretch",
        "to the floor",
        "stretch",
    ];
    let rows = measured(report).map(|workload| cpu_row(report, &workload));
    table("CPU microseconds a request:", &columns, rows)
}

/// What the rows by TLS have in common; nothing where there are none.
fn encrypted(report: &Report) -> String {
    if !measured(report).any(|workload| workload.is_encrypted()) {
        return String::new();
    }
    format!(
        "By TLS: version 1.3, {SUITE}, {GROUP} and one ECDSA P-256 certificate for all, session tickets as each \
         peer has them by default. Asked by h2load, the same request again and again; by HTTP/2 each connection has \
         {STREAMS} open. Of the rows of handshakes a request is a connection with one hit of 1 KiB. Varnish has no \
         TLS.\n"
    )
}

fn cpu_row(report: &Report, workload: &Workload) -> Vec<String> {
    let cpu = |name| report.median(workload.name, name, |run| run.cpu);
    let ours = cpu(Name::Portcullis);
    let best = report.best(workload);
    let to_best = ours.zip(best).map(|(ours, (best, _))| ours / best);
    let to_floor = ours.zip(cpu(Name::Floor)).map(|(ours, floor)| ours / floor);
    let best = to_best
        .zip(best)
        .map(|(ratio, (_, name))| format!("{ratio:.2} of {name}"));
    let mut row = vec![workload.name.to_owned()];
    row.extend(
        [
            Name::Portcullis,
            Name::Nginx,
            Name::Haproxy,
            Name::Varnish,
            Name::Floor,
        ]
        .map(|name| number(cpu(name), 1)),
    );
    row.push(best.unwrap_or_else(|| ABSENT.to_owned()));
    row.push(verdict(to_best, workload.target.reach));
    row.push(verdict(to_best, workload.target.stretch));
    row.push(number(to_floor, 2));
    row.push(verdict(to_floor, workload.target.floor));
    row
}

fn number(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| ABSENT.to_owned(), |figure| format!("{figure:.digits$}"))
}

fn verdict(ratio: Option<f64>, target: Option<f64>) -> String {
    let Some(target) = target else {
        return ABSENT.to_owned();
    };
    match ratio {
        Some(ratio) if ratio <= target => format!("{target:.2}: held"),
        Some(_) => format!("{target:.2}: **missed**"),
        None => format!("{target:.2}: not known"),
    }
}

fn log(report: &Report) -> String {
    let columns = [
        "workload",
        "log off",
        "log on",
        "on to off",
        "reach",
        "stretch",
    ];
    let rows = measured(report)
        .filter(|workload| workload.is_small)
        .map(|workload| {
            let cpu = |name| report.median(workload.name, name, |run| run.cpu);
            let (off, on) = (cpu(Name::Portcullis), cpu(Name::PortcullisLog));
            let ratio = on.zip(off).map(|(on, off)| on / off);
            let (reach, stretch) = LOG_TARGET;
            vec![
                workload.name.to_owned(),
                number(off, 1),
                number(on, 1),
                number(ratio, 2),
                verdict(ratio, Some(reach)),
                verdict(ratio, Some(stretch)),
            ]
        });
    table(
        "What Portcullis' access log costs, written to a file, in CPU microseconds a request:",
        &columns,
        rows,
    )
}

const ALL: [&str; 5] = ["workload", "Portcullis", "nginx", "HAProxy", "Varnish"];
const NAMES: [Name; 4] = [Name::Portcullis, Name::Nginx, Name::Haproxy, Name::Varnish];

fn rate(report: &Report) -> String {
    let rows = measured(report).map(|workload| {
        let rate = |name| number(report.median(workload.name, name, |run| run.rate), 0);
        std::iter::once(workload.name.to_owned())
            .chain(NAMES.map(rate))
            .collect()
    });
    table(
        "Requests a second, of 32 connections that never wait (who asks and the origin share the other core):",
        &ALL,
        rows,
    )
}

fn asked(report: &Report) -> String {
    let rows = measured(report).filter(|workload| workload.has_cache());
    let rows = rows.map(|workload| {
        let share = |name| {
            let share = report.median(workload.name, name, |run| run.origin_share);
            number(share.map(|share| share * 100.0), 1)
        };
        std::iter::once(workload.name.to_owned())
            .chain(NAMES.map(share))
            .collect()
    });
    table(
        "Of 100 requests where something is stored, those that the origin saw:",
        &ALL,
        rows,
    )
}

fn saturated(report: &Report) -> String {
    let rows = measured(report).map(|workload| {
        let both = |name| {
            let p50 = report.median(workload.name, name, |run| run.p50 as f64);
            let p99 = report.median(workload.name, name, |run| run.p99 as f64);
            format!("{} / {}", number(p50, 0), number(p99, 0))
        };
        std::iter::once(workload.name.to_owned())
            .chain(NAMES.map(both))
            .collect()
    });
    table("p50 and p99 of the same, in microseconds:", &ALL, rows)
}

fn latency(report: &Report) -> String {
    let columns: Vec<&str> = ["workload, rate"]
        .into_iter()
        .chain(ALL.into_iter().skip(1))
        .chain(["to the best peer", "reach"])
        .collect();
    let rates = [
        (true, "70 % of its own"),
        (false, "70 % of the best peer's"),
    ];
    let rows = measured(report)
        .filter(|workload| workload.is_small)
        .flat_map(|workload| {
            rates.map(|(is_own, words)| latency_row(report, workload.name, is_own, words))
        });
    table(
        "p99 in microseconds at 70 % of saturation, of 256 connections (and the thousands of requests a second that there were):",
        &columns,
        rows,
    )
}

fn latency_row(report: &Report, workload: &str, is_own: bool, words: &str) -> Vec<String> {
    let found = NAMES.map(|name| p99(report, workload, name, is_own));
    let mut row = vec![format!("{workload}, {words}")];
    row.extend(found.map(|found| {
        found.map_or_else(
            || ABSENT.to_owned(),
            |(p99, rate)| format!("{p99:.0} ({:.1})", rate / 1000.0),
        )
    }));
    let [ours, peers @ ..] = found;
    let best = peers.into_iter().flatten().map(|(p99, _)| p99);
    let best = best.min_by(f64::total_cmp);
    let ratio = ours.zip(best).map(|((ours, _), best)| ours / best);
    row.push(number(ratio, 2));
    row.push(verdict(ratio, Some(1.0)));
    row
}

/// The medians of p99 in microseconds and of the rate that there was.
fn p99(report: &Report, workload: &str, name: Name, is_own: bool) -> Option<(f64, f64)> {
    let runs: Vec<_> = report
        .latencies
        .iter()
        .filter(|run| {
            run.workload == workload
                && run.peer == name
                && run.is_own == is_own
                && run.wrong.is_empty()
        })
        .collect();
    let median_of = |figure: fn(&Latency) -> f64| median(runs.iter().map(|run| figure(run)));
    (!runs.is_empty()).then(|| (median_of(|run| run.p99 as f64), median_of(|run| run.rate)))
}

/// MiB without cache contents, and KiB of an idle connection.
const MEMORY_TARGETS: (f64, f64) = (30.0, 12.0);

fn memory(report: &Report) -> String {
    let (process, connection) = MEMORY_TARGETS;
    let mut rows: Vec<Vec<String>> = measured(report)
        .map(|workload| {
            let memory = |name| {
                report.median(workload.name, name, |run| {
                    run.memory.shown() as f64 / f64::from(1 << 20)
                })
            };
            let target =
                matches!(workload.work, Work::Forward(_) | Work::Denied).then_some(process);
            let first = format!("{}, MiB", workload.name);
            memory_row(first, memory, target)
        })
        .collect();
    let idle = |name: Name| {
        let mut runs = report.runs.iter().filter(|run| run.peer == name);
        runs.find_map(|run| run.idle_bytes)
            .map(|bytes| bytes / 1024.0)
    };
    if idle(Name::Portcullis).is_some() {
        let first = "an idle connection, KiB".to_owned();
        rows.push(memory_row(first, idle, Some(connection)));
    }
    let columns: Vec<&str> = ALL.into_iter().chain(["reach"]).collect();
    table(
        "Resident memory at the end of a run (of several processes, with what they share counted once):",
        &columns,
        rows.into_iter(),
    )
}

fn memory_row(
    first: String,
    figure: impl Fn(Name) -> Option<f64>,
    target: Option<f64>,
) -> Vec<String> {
    let mut row = vec![first];
    row.extend(NAMES.map(|name| number(figure(name), 1)));
    row.push(verdict(figure(Name::Portcullis), target));
    row
}
