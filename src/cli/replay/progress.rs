//! How far a replay is, on a terminal.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Lines between two looks at the clock.
const LOOK: u64 = 4096;

/// Time between two lines on the terminal.
const SHOW: Duration = Duration::from_millis(200);

/// Signs that the bar is long.
const BAR: u64 = 24;

/// What is told on standard error while a log is read, if that is a terminal.
pub(super) struct Progress {
    /// Bytes in all, as they are stored; `None`: nobody knows.
    total: Option<u64>,
    read: Arc<AtomicU64>,
    lines: u64,
    started: Instant,
    /// `None`: it is not a terminal.
    shown: Option<Instant>,
}

impl Progress {
    pub(super) fn new(total: Option<u64>) -> Self {
        let now = Instant::now();
        Self {
            total,
            read: Arc::default(),
            lines: 0,
            started: now,
            shown: stderr().is_terminal().then_some(now),
        }
    }

    /// Where bytes are counted as they are read.
    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read)
    }

    /// A line is done.
    pub(super) fn line(&mut self) {
        self.lines += 1;
        if !self.lines.is_multiple_of(LOOK) {
            return;
        }
        if let Some(shown) = &mut self.shown
            && shown.elapsed() >= SHOW
        {
            *shown = Instant::now();
            let read = self.read.load(Ordering::Relaxed);
            let text = bar(read, self.total, self.lines, self.started.elapsed());
            // A terminal that is gone needs no progress.
            let _ = write!(stderr(), "\r\x1b[K{text}");
        }
    }

    /// Takes it off the terminal.
    pub(super) fn clear(&self) {
        if self.shown.is_some_and(|shown| shown > self.started) {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

fn bar(read: u64, total: Option<u64>, lines: u64, elapsed: Duration) -> String {
    let speed = (lines as f64 / elapsed.as_secs_f64().max(0.001)) as u64;
    let mib = |bytes: u64| bytes >> 20;
    match total.filter(|total| *total > 0) {
        Some(total) => {
            let done = (read.min(total) * BAR / total) as usize;
            let (done, left) = ("#".repeat(done), ".".repeat(BAR as usize - done));
            let percent = read.min(total) * 100 / total;
            let (read, total) = (mib(read), mib(total));
            format!("[{done}{left}] {percent} %, {read} of {total} MiB, {speed} lines/s")
        }
        None => format!("{} MiB, {lines} lines, {speed} lines/s", mib(read)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar() {
        let second = Duration::from_secs(1);
        assert_eq!(
            bar(3 << 20, Some(12 << 20), 1000, second),
            "[######..................] 25 %, 3 of 12 MiB, 1000 lines/s"
        );
        assert_eq!(
            bar(3 << 20, None, 1000, second),
            "3 MiB, 1000 lines, 1000 lines/s"
        );
        // A log that grows meanwhile.
        assert!(bar(9, Some(4), 1, second).contains("100 %"));
    }
}
