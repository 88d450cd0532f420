//! Bringing what the origin sends into its fill.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use hyper::body::Body as _;
use tokio::task::spawn_local;

use super::Fetcher;
use crate::cache::entry::Entry;
use crate::cache::fill::{Fill, Grown};
use crate::log::counters::FillEnd;
use crate::origin::{Download, SLOWEST};

/// Brings a body into its fill.
pub(super) struct Pump {
    fetcher: Fetcher,
    fill: Arc<Fill>,
    /// What it is to take the place of.
    stale: Option<Weak<Entry>>,
    body: Download,
    /// How long slow readers of what is not stored may still hold up the
    /// others.
    patience: Duration,
    pace: Pace,
    over: bool,
}

/// How fast a body comes.
struct Pace {
    /// What is looked at at a time: `server.stall_timeout`.
    window: Duration,
    since: Instant,
    /// Bytes since then.
    moved: u64,
}

/// What several clients read and is not stored is held for the slow ones among
/// them only as far as there is room. So long, in all, the others wait for
/// them; then who falls behind is cut.
const PATIENCE: Duration = Duration::from_secs(10);

impl Pump {
    pub(super) fn start(
        fetcher: Fetcher,
        fill: Arc<Fill>,
        stale: Option<Weak<Entry>>,
        body: Download,
        stall_timeout: Duration,
    ) {
        fetcher.underway.add(&fill);
        let pump = Self {
            fetcher,
            fill,
            stale,
            body,
            patience: PATIENCE,
            pace: Pace {
                window: stall_timeout,
                since: Instant::now(),
                moved: 0,
            },
            over: false,
        };
        spawn_local(pump.run());
    }

    async fn run(mut self) {
        loop {
            let mut waited = false;
            let frame = poll_fn(|cx| {
                let frame = Pin::new(&mut self.body).poll_frame(cx);
                waited |= frame.is_pending();
                frame
            })
            .await;
            match frame {
                None => break self.finish(),
                Some(Err(error)) => break self.cut(error.as_str()),
                Some(Ok(frame)) => {
                    let Ok(bytes) = frame.into_data() else {
                        continue;
                    };
                    self.pace.moved += bytes.len() as u64;
                    // Who reads it may wait for as long as they like.
                    if waited && self.pace.is_slow() && !self.fill.is_read() {
                        break self.cut("connection_read_timeout");
                    }
                    if self.fill.push(bytes) == Grown::PassedOn && !self.go_on().await {
                        break self.cut("connection_terminated");
                    }
                }
            }
        }
    }

    /// A body that is too long to be stored goes on as fast as it is read.
    async fn go_on(&mut self) -> bool {
        let cache = &self.fetcher.cache;
        cache.set_alone(&self.fill, true);
        // The origin has something else now, which is never stored: nobody is
        // to ask for it behind what is stale again and again.
        if let Some(stale) = self.stale.take().and_then(|stale| stale.upgrade()) {
            cache.forget(&self.fill, &stale);
        }
        if !self.fill.wanted().await {
            return false;
        }
        self.wait_for_slow_readers().await;
        true
    }

    async fn wait_for_slow_readers(&mut self) {
        if !self.patience.is_zero() {
            let start = Instant::now();
            // Either way it goes on.
            let _ = tokio::time::timeout(self.patience, self.fill.caught_up()).await;
            self.patience = self.patience.saturating_sub(start.elapsed());
        }
    }

    fn finish(&mut self) {
        self.over = true;
        let end = self.fetcher.cache.finish(&self.fill);
        self.fetcher.ended(end);
    }

    fn cut(&mut self, why: &'static str) {
        self.over = true;
        self.fetcher.cache.cut(&self.fill, why);
        self.fetcher.ended(FillEnd::Failed);
    }
}

impl Pace {
    /// Whether less than 1 KiB a second has come since somebody looked, a
    /// window ago or more.
    fn is_slow(&mut self) -> bool {
        let now = Instant::now();
        let time = now.saturating_duration_since(self.since);
        if time < self.window {
            return false;
        }
        self.since = now;
        let moved = u128::from(std::mem::take(&mut self.moved));
        moved * 1000 < u128::from(SLOWEST) * time.as_millis()
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        if !self.over {
            self.fetcher.cache.cut(&self.fill, "proxy_internal_error");
        }
    }
}
