//! How cost grows: with the length of a list, with connections, with routes,
//! with what is stored.

mod decisions;
mod plot;
mod routes;
mod service;

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use portcullis::config::{Snapshot, load};
use serde::Serialize;

use crate::measure::Bench;
use crate::peers::Peer;
use crate::report::{Machine, median};
use crate::{Outcome, interrupt};

/// A curve ends where reading the next longer list would take too long.
const PATIENCE: Duration = Duration::from_secs(4);

/// One curve: of what, and what was found at each size.
#[derive(Debug, Serialize)]
pub(super) struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Curves that share their axes.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    /// Of the file, without its ending.
    file: &'static str,
    title: &'static str,
    across: &'static str,
    up: &'static str,
    curves: Vec<Curve>,
}

#[derive(Serialize)]
struct Growth<'a> {
    machine: &'a Machine,
    charts: &'a [Chart],
}

/// Measures all of it, and writes `growth.json`, `growth.md` and a plot each.
pub(crate) fn measure(bench: &Bench, portcullis: &Peer, folder: &Path) -> Outcome<()> {
    let mut charts = vec![decisions::chart()?, routes::chart()?];
    charts.extend(service::charts(bench, portcullis)?);
    let machine = Machine::here();
    let growth = Growth {
        machine: &machine,
        charts: &charts,
    };
    fs::create_dir_all(folder)?;
    let json = serde_json::to_string_pretty(&growth)? + "\n";
    fs::write(folder.join("growth.json"), json)?;
    let mut text = format!(
        "{} cores of {}, Linux {}, commit {}, {}.\n",
        machine.cores, machine.processor, machine.kernel, machine.commit, machine.date
    );
    for chart in &charts {
        fs::write(folder.join(format!("{}.svg", chart.file)), plot::svg(chart))?;
        text.push_str(&table(chart)?);
    }
    fs::write(folder.join("growth.md"), &text)?;
    println!("\n{text}");
    Ok(())
}

fn table(chart: &Chart) -> Outcome<String> {
    let mut sizes: Vec<f64> = Vec::new();
    for (size, _) in chart.curves.iter().flat_map(|curve| &curve.points) {
        if !sizes.contains(size) {
            sizes.push(*size);
        }
    }
    sizes.sort_by(f64::total_cmp);
    let names: Vec<&str> = chart
        .curves
        .iter()
        .map(|curve| curve.name.as_str())
        .collect();
    let mut text = format!(
        "\n{}, {}:\n\n| {} | {} |\n",
        chart.title,
        chart.up,
        chart.across,
        names.join(" | ")
    );
    writeln!(text, "|{}", " --- |".repeat(names.len() + 1))?;
    for size in sizes {
        write!(text, "| {size} |")?;
        for curve in &chart.curves {
            let found = curve.points.iter().find(|(at, _)| *at == size);
            match found {
                Some((_, value)) => write!(text, " {value:.1} |")?,
                None => text.push_str(" - |"),
            }
        }
        text.push('\n');
    }
    writeln!(text, "\n![{}]({}.svg)", chart.title, chart.file)?;
    Ok(text)
}

/// A policy, and how long it took to read.
fn compiled(text: &str) -> Outcome<(Snapshot, Duration)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("portcullis.toml");
    fs::write(&path, text)?;
    let start = Instant::now();
    let loaded = load(&path);
    let took = start.elapsed();
    let (snapshot, _) = loaded.map_err(|errors| errors.to_string())?;
    Ok((snapshot, took))
}

/// One point for each size, until a policy takes too long to read.
fn curve(
    name: &str,
    sizes: &[usize],
    point: impl Fn(usize) -> Outcome<(f64, Duration)>,
) -> Outcome<Curve> {
    let mut points = Vec::new();
    for size in sizes {
        interrupt::check()?;
        let (value, took) = point(*size)?;
        eprintln!("  {name}, {size}: {value:.1} (read in {took:.1?})");
        points.push((*size as f64, value));
        if took > PATIENCE {
            break;
        }
    }
    let name = name.to_owned();
    Ok(Curve { name, points })
}

/// Nanoseconds of one call, the median of several rounds over all inputs.
fn nanoseconds<T, R>(inputs: &[T], mut call: impl FnMut(&T) -> R) -> f64 {
    let rounds = (0..9).map(|_| {
        let start = Instant::now();
        for input in inputs {
            black_box(call(black_box(input)));
        }
        start.elapsed().as_nanos() as f64 / inputs.len() as f64
    });
    median(rounds)
}
