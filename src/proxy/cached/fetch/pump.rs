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
use crate::origin::Download;

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
    over: bool,
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
    ) {
        fetcher.underway.add(&fill);
        let pump = Self {
            fetcher,
            fill,
            stale,
            body,
            patience: PATIENCE,
            over: false,
        };
        spawn_local(pump.run());
    }

    async fn run(mut self) {
        loop {
            let frame = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await;
            match frame {
                None => break self.finish(),
                Some(Err(error)) => break self.cut(error.as_str()),
                Some(Ok(frame)) => {
                    let Ok(bytes) = frame.into_data() else {
                        continue;
                    };
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

impl Drop for Pump {
    fn drop(&mut self) {
        if !self.over {
            self.fetcher.cache.cut(&self.fill, "proxy_internal_error");
        }
    }
}
