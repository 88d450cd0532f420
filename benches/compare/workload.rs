//! What is asked of everybody, and what the answer is held against.

use crate::peers::Name;

/// Connections that do nothing, in the row that has them.
pub(crate) const IDLE: usize = 5000;

/// What clients speak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wire {
    /// HTTP/1.1 in the clear.
    Clear,
    /// HTTP/1.1 by TLS.
    Tls,
    /// HTTP/2 by TLS.
    Http2,
}

/// The kind of work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Work {
    /// Each request is denied by some rule.
    Denied,
    /// A body of so many bytes that is stored.
    Hit(usize),
    /// A body of so many bytes from the origin, without a cache.
    Forward(usize),
    /// Forward, with idle connections open beside.
    Idle(usize),
    /// The objects, one request in ten denied, half of the bytes fit.
    Mix,
    /// A connection for each request, which is a hit of 1 KiB.
    Handshake { resumes: bool },
}

/// What CPU per request is to be, as ratios.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Target {
    /// Of the best peer.
    pub(crate) reach: Option<f64>,
    /// Of the best peer.
    pub(crate) stretch: Option<f64>,
    /// Of the floor.
    pub(crate) floor: Option<f64>,
    /// The one peer that counts, where not all do.
    pub(crate) only: Option<Name>,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    /// As it is written in the table and chosen on the command line.
    pub(crate) name: &'static str,
    pub(crate) work: Work,
    pub(crate) wire: Wire,
    pub(crate) target: Target,
    /// Whether latency below saturation and the access log are measured too.
    pub(crate) is_small: bool,
}

impl Workload {
    pub(crate) fn has_cache(&self) -> bool {
        matches!(self.work, Work::Hit(_) | Work::Mix | Work::Handshake { .. })
    }

    pub(crate) fn has_floor(&self) -> bool {
        !self.is_encrypted() && matches!(self.work, Work::Hit(_) | Work::Denied)
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.wire != Wire::Clear
    }

    /// Who asks: the program, and Debian's package of it. None: we do.
    pub(crate) fn tool(&self) -> Option<(&'static str, &'static str)> {
        match (self.work, self.wire) {
            (Work::Handshake { .. }, _) => None,
            (_, Wire::Clear) => Some(("wrk", "wrk")),
            (_, Wire::Tls | Wire::Http2) => Some(("h2load", "nghttp2-client")),
        }
    }

    /// Whether `name` can take part: Varnish has no TLS.
    pub(crate) fn is_for(&self, name: Name) -> bool {
        !(self.is_encrypted() && name == Name::Varnish)
    }
}

/// The ratio that the access log may cost: reach and stretch.
pub(crate) const LOG_TARGET: (f64, f64) = (1.15, 1.08);

const KIB: usize = 1 << 10;

/// All of them, in the order of the table.
pub(crate) fn all() -> Vec<Workload> {
    [clear(), encrypted()].concat()
}

fn encrypted() -> Vec<Workload> {
    let row = |name, wire, work| Workload {
        name,
        work,
        wire,
        target: target(1.0, 0.85, None),
        is_small: false,
    };
    vec![
        row("TLS h1 403", Wire::Tls, Work::Denied),
        row("TLS h1 hit 1 KiB", Wire::Tls, Work::Hit(KIB)),
        row("TLS h1 hit 100 KiB", Wire::Tls, Work::Hit(100 * KIB)),
        row("TLS h1 forward 1 KiB", Wire::Tls, Work::Forward(KIB)),
        row("TLS h2 403", Wire::Http2, Work::Denied),
        row("TLS h2 hit 1 KiB", Wire::Http2, Work::Hit(KIB)),
        row("TLS h2 hit 100 KiB", Wire::Http2, Work::Hit(100 * KIB)),
        row("TLS h2 forward 1 KiB", Wire::Http2, Work::Forward(KIB)),
        row(
            "TLS handshake",
            Wire::Tls,
            Work::Handshake { resumes: false },
        ),
        row(
            "TLS handshake, resumed",
            Wire::Tls,
            Work::Handshake { resumes: true },
        ),
    ]
}

fn clear() -> Vec<Workload> {
    let row = |name, work, target| Workload {
        name,
        work,
        wire: Wire::Clear,
        target,
        is_small: false,
    };
    let small = |name, work, target| Workload {
        is_small: true,
        ..row(name, work, target)
    };
    let mebibyte = Target {
        reach: Some(1.0),
        floor: Some(1.08),
        only: Some(Name::Varnish),
        stretch: None,
    };
    vec![
        small("403", Work::Denied, target(1.0, 0.85, Some(1.4))),
        small("hit 1 KiB", Work::Hit(KIB), target(0.6, 0.5, Some(1.6))),
        row(
            "hit 10 KiB",
            Work::Hit(10 * KIB),
            target(0.6, 0.5, Some(1.6)),
        ),
        row(
            "hit 100 KiB",
            Work::Hit(100 * KIB),
            target(0.8, 0.62, Some(1.12)),
        ),
        row("hit 1 MiB", Work::Hit(1024 * KIB), mebibyte),
        small(
            "forward 1 KiB",
            Work::Forward(KIB),
            target(0.95, 0.75, None),
        ),
        row(
            "forward 10 KiB",
            Work::Forward(10 * KIB),
            target(0.95, 0.75, None),
        ),
        row(
            "forward 100 KiB",
            Work::Forward(100 * KIB),
            target(0.8, 0.62, None),
        ),
        row(
            "forward 1 MiB",
            Work::Forward(1024 * KIB),
            target(0.8, 0.62, None),
        ),
        row(
            "forward 1 KiB beside idle",
            Work::Idle(KIB),
            Target::default(),
        ),
        row("mix", Work::Mix, Target::default()),
    ]
}

fn target(reach: f64, stretch: f64, floor: Option<f64>) -> Target {
    Target {
        reach: Some(reach),
        stretch: Some(stretch),
        floor,
        only: None,
    }
}
