//! Stopping, in two steps (section 11).

use std::sync::Arc;

use tokio::sync::watch;

/// How a server is told to stop.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<Phase>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Draining,
    Stopped,
}

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Phase::Serving)))
    }
}

impl Stop {
    /// No new connections; what is in flight is finished within
    /// `server.drain_timeout`.
    pub fn drain(&self) {
        self.advance(Phase::Draining);
    }

    /// Ends at once, also while draining.
    pub fn now(&self) {
        self.advance(Phase::Stopped);
    }

    /// Whether it is to stop.
    pub fn is_draining(&self) -> bool {
        *self.0.borrow() > Phase::Serving
    }

    fn advance(&self, to: Phase) {
        self.0.send_if_modified(|phase| {
            let later = to > *phase;
            *phase = to.max(*phase);
            later
        });
    }

    pub(super) async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    pub(super) async fn stopped(&self) {
        self.reached(Phase::Stopped).await;
    }

    async fn reached(&self, wanted: Phase) {
        let mut phase = self.0.subscribe();
        phase
            .wait_for(|phase| *phase >= wanted)
            .await
            .expect("this holds the sender");
    }
}
