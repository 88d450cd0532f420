//! What is told at the end.

use serde_json::{Value, json};

use crate::watch::{Sample, median};
use crate::world::World;

/// Memory that may come on top between the second and the last third, and at all.
const GROWTH_KIB: u64 = 6 << 10;
const MOST_KIB: u64 = 256 << 10;

/// Whether memory stayed flat; in a run that is too short, below a bound.
pub(crate) fn memory(world: &World, samples: &[Sample]) {
    let most = samples.iter().map(|sample| sample.kib).max().unwrap_or(0);
    if most > MOST_KIB {
        world.wrong("memory beyond its bound", &format!("{} MiB", most >> 10));
    }
    if samples.len() < 180 {
        return;
    }
    let third = samples.len() / 3;
    let [second, last] = [&samples[third..2 * third], &samples[2 * third..]]
        .map(|part| median(part, |sample| sample.kib));
    if last > second + second / 20 + GROWTH_KIB {
        world.wrong("memory grows", &format!("from {second} to {last} KiB"));
    }
}

/// The figures of a run.
pub(crate) fn figures(world: &World, samples: &[Sample], seconds: u64) -> Value {
    let third = samples.len() / 3;
    let at = |part: &[Sample]| {
        json!({
            "mib": median(part, |sample| sample.kib) as f64 / 1024.0,
            "descriptors": median(part, |sample| sample.descriptors),
            "threads": median(part, |sample| sample.threads),
        })
    };
    let (wrong, first) = world.wrongs();
    let ticks = samples
        .last()
        .map_or(0, |last| last.ticks - samples[0].ticks);
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "seed": world.options.seed,
        "minutes": seconds as f64 / 60.0,
        "cores": ticks as f64 / 100.0 / samples.len().max(1) as f64,
        "counts": world.counts(),
        "lines_matched": world.ledger.lock().unwrap().matched,
        "first_third": at(&samples[..third]),
        "second_third": at(&samples[third..2 * third]),
        "last_third": at(&samples[2 * third..]),
        "most_mib": samples.iter().map(|sample| sample.kib).max().unwrap_or(0) as f64 / 1024.0,
        "wrong": wrong,
        "first_wrong": first.iter().map(|(what, details)| json!([what, details])).collect::<Vec<_>>(),
    })
}

/// The same for people.
pub(crate) fn table(figures: &Value) {
    for (name, value) in figures.as_object().expect("it is made as one") {
        match value {
            Value::Object(more) => {
                println!("{name}");
                for (name, value) in more {
                    println!("  {name:<34} {}", short(value));
                }
            }
            Value::Array(_) => {}
            value => println!("{name:<36} {}", short(value)),
        }
    }
}

fn short(value: &Value) -> String {
    match value.as_f64().filter(|_| value.is_f64()) {
        Some(number) => format!("{number:.2}"),
        None => value.to_string(),
    }
}
