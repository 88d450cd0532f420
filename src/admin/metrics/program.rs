//! The program, its configuration and its process.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::super::process::Process;
use super::super::{State, Subject};
use super::page::Page;
use crate::log::counters::RouteSlot;

/// The program itself.
pub(super) fn program(page: &mut Page<'_>, state: &State) -> fmt::Result {
    let State {
        subject, started, ..
    } = state;
    let version = vec![("version", env!("CARGO_PKG_VERSION"))];
    page.gauges("portcullis_build_info", "Always 1", [(version, 1.0)])?;
    let uptime = started.elapsed().as_secs_f64();
    page.gauge("portcullis_uptime_seconds", "Time since the start", uptime)?;
    page.gauge(
        "portcullis_workers",
        "Worker threads",
        subject.counters.iter().len() as f64,
    )?;
    page.gauge(
        "portcullis_draining",
        "Whether the process is about to stop",
        flag((subject.draining)()),
    )
}

/// What is in force, and how it got there.
pub(super) fn reloads(page: &mut Page<'_>, subject: &Subject) -> fmt::Result {
    let status = &subject.status;
    let (in_force, reloads) = (status.in_force(), status.reloads());
    page.gauge(
        "portcullis_snapshot_generation",
        "Number of the configuration in force, counted from 1",
        in_force.generation as f64,
    )?;
    page.gauge(
        "portcullis_snapshot_since_timestamp_seconds",
        "When it came into force: the last reload that succeeded, or the start",
        seconds(in_force.since),
    )?;
    let outcomes = [("success", reloads.succeeded), ("failure", reloads.failed)];
    page.counters(
        "portcullis_reloads",
        "Reloads by outcome",
        outcomes.map(|(outcome, count)| (vec![("outcome", outcome)], count)),
    )?;
    page.gauge(
        "portcullis_last_reload_timestamp_seconds",
        "When the last reload ended, either way",
        reloads.last.map(seconds),
    )?;
    let failed = status.last_failure().is_some_and(|failure| failure.newest);
    page.gauge(
        "portcullis_last_reload_failed",
        "Whether the last reload failed, so that an older configuration is in force",
        flag(failed),
    )?;
    databases(page, subject)?;
    certificates(page, subject)
}

fn databases(page: &mut Page<'_>, subject: &Subject) -> fmt::Result {
    let snapshot = subject.policy.load();
    let routes = snapshot.routes.iter().take(RouteSlot::COUNT);
    let built = routes.filter_map(|route| {
        let built = route.rules.geo()?.database().build_epoch() as f64;
        Some((vec![("route", route.name.as_str())], built))
    });
    page.gauges(
        "portcullis_country_database_build_timestamp_seconds",
        "When the country database of a route was built",
        built,
    )
}

fn certificates(page: &mut Page<'_>, subject: &Subject) -> fmt::Result {
    let snapshot = subject.policy.load();
    let tls = snapshot.server.tls.iter();
    let expiries = tls.flat_map(|tls| &tls.certificates).map(|certificate| {
        let name = certificate.names.first().map_or("", String::as_str);
        let labels = vec![("name", name), ("file", certificate.file.as_str())];
        (labels, seconds(certificate.expires))
    });
    page.gauges(
        "portcullis_certificate_expiry_timestamp_seconds",
        "Until when a certificate that clients are shown is valid",
        expiries,
    )
}

/// `process_*`, as in every program that Prometheus watches.
pub(super) fn process(page: &mut Page<'_>) -> fmt::Result {
    let process = Process::now();
    let help = "User and system CPU time spent";
    page.seconds("process_cpu_seconds", help, process.cpu_seconds)?;
    let number = |number: Option<u64>| number.map(|number| number as f64);
    for (name, help, value) in [
        (
            "process_open_fds",
            "Open file descriptors",
            number(process.open_fds),
        ),
        (
            "process_max_fds",
            "Most file descriptors",
            number(process.max_fds),
        ),
        (
            "process_virtual_memory_bytes",
            "Virtual memory",
            number(process.virtual_bytes),
        ),
        (
            "process_resident_memory_bytes",
            "Resident memory",
            number(process.resident_bytes),
        ),
        (
            "process_start_time_seconds",
            "When the process started",
            process.start_seconds,
        ),
    ] {
        page.gauge(name, help, value)?;
    }
    Ok(())
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// Since 1970.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs_f64()
}
