//! The program's own log, on stderr.

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, Layered, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Registry, fmt, reload};

use super::{Level, LogFormat, LogSettings};

/// What the level is put on top of.
type Formatted = Layered<reload::Layer<Format, Registry>, Registry>;

type Format = Box<dyn Layer<Registry> + Send + Sync>;

/// The program's own log, to be adjusted by a reload.
#[derive(Clone)]
pub struct ProgramLog {
    format: reload::Handle<Format, Registry>,
    level: reload::Handle<Targets, Formatted>,
}

impl std::fmt::Debug for ProgramLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProgramLog")
    }
}

impl ProgramLog {
    /// Starts the log of the process.
    ///
    /// # Errors
    ///
    /// If the process has one already.
    pub fn start(settings: &LogSettings) -> Result<Self, TryInitError> {
        let (format_layer, format) = reload::Layer::new(format(settings.format));
        let (level_layer, level) = reload::Layer::new(filter(settings.level));
        tracing_subscriber::registry()
            .with(format_layer)
            .with(level_layer)
            .try_init()?;
        Ok(Self { format, level })
    }

    /// Goes over to other settings.
    pub fn set(&self, settings: &LogSettings) {
        // These fail only if the log is gone, and then nothing can be told.
        let _ = self.level.reload(filter(settings.level));
        let _ = self.format.reload(format(settings.format));
    }
}

fn format(format: LogFormat) -> Format {
    match format {
        LogFormat::Text => Box::new(
            fmt::layer()
                .with_ansi(io::stderr().is_terminal())
                .with_writer(io::stderr)
                .with_target(false),
        ),
        LogFormat::Json => Box::new(
            fmt::layer()
                .json()
                .flatten_event(true)
                .with_writer(io::stderr),
        ),
    }
}

fn filter(level: Level) -> Targets {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    // It warns of each folder that was removed with a watch on it, as every
    // swap of a ConfigMap does.
    let watches = level.min(LevelFilter::ERROR);
    // It tells of what it refuses as it came, with all that is secret in it.
    let http2 = level.min(LevelFilter::INFO);
    Targets::new()
        .with_default(level)
        .with_target("h2", http2)
        .with_target("notify", watches)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It tells of a request that it cannot read with all that stands in it.
    #[test]
    fn no_level_has_what_the_http_2_library_says_of_requests() {
        for level in [Level::Debug, Level::Trace] {
            let filter = filter(level);
            let enabled = |target| filter.would_enable(target, &tracing::Level::DEBUG);
            assert!(enabled("portcullis::proxy"));
            assert!(!enabled("h2::server") && !enabled("h2::frame::headers"));
        }
    }
}
