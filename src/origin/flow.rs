//! How an upload moves: who waits for whom, and for how long.
//!
//! The upload and the connection write down what happens to them; whoever
//! waits for the response looks at it now and then, and only if something was
//! not ready at once. An upload that is never held up costs no timer.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::OriginError;
use crate::message::unread::Unread;

/// A client that sends less is stalled (section 10), in bytes a second.
pub const SLOWEST: u64 = 1024;

/// The flow is looked at so many times in `stall_timeout`.
const LOOKS: u32 = 8;

/// The flow of one connection's upload.
#[derive(Debug, Default)]
pub(super) struct Flow {
    upload: Cell<UploadState>,
    /// Bytes that the client sent.
    received: Cell<u64>,
    /// The origin could take more than the client has sent.
    starved: Cell<bool>,
    /// Bytes that the origin took.
    written: Cell<u64>,
    /// The origin does not take what is there.
    blocked: Cell<bool>,
    /// Someone had to wait.
    held_up: Cell<bool>,
    /// Rung when someone has to wait for the first time, and at the end.
    event: Notify,
    /// What is read of the response.
    pub(super) unread: Unread,
}

/// What has become of an upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum UploadState {
    /// There is none, or it was handed over to its end.
    #[default]
    Done,
    /// On its way.
    Going,
    /// Given up before its end.
    Cut,
    /// Cut because it is longer than `server.max_body`.
    TooLarge,
}

/// What was seen at the last looks.
#[derive(Debug, Default)]
struct Seen {
    written: u64,
    received: u64,
    blocked_looks: u32,
    starved_looks: u32,
}

impl Flow {
    /// An upload begins.
    pub(super) fn begin(&self) {
        self.upload.set(UploadState::Going);
        self.starved.set(false);
        self.blocked.set(false);
        self.held_up.set(false);
    }

    /// It ended; only the first end counts.
    pub(super) fn end(&self, state: UploadState) {
        if self.upload.get() == UploadState::Going {
            self.upload.set(state);
            self.event.notify_one();
        }
    }

    /// What has become of the upload.
    pub(super) fn upload(&self) -> UploadState {
        self.upload.get()
    }

    /// The client sent so many bytes.
    pub(super) fn received(&self, bytes: usize) {
        self.starved.set(false);
        self.received
            .set(self.received.get().wrapping_add(bytes as u64));
    }

    /// There is nothing from the client to pass on.
    pub(super) fn starve(&self) {
        self.starved.set(true);
        self.hold_up();
    }

    /// The origin took so many bytes.
    pub(super) fn written(&self, bytes: usize) {
        self.blocked.set(false);
        self.written
            .set(self.written.get().wrapping_add(bytes as u64));
    }

    /// The origin takes nothing at the moment.
    pub(super) fn block(&self) {
        self.blocked.set(true);
        self.hold_up();
    }

    fn hold_up(&self) {
        if self.upload.get() == UploadState::Going && !self.held_up.replace(true) {
            self.event.notify_one();
        }
    }

    /// Ends when the upload has ended, in whatever way.
    ///
    /// # Errors
    ///
    /// [`OriginError`] of the side that has not moved for `limit`.
    pub(super) async fn ended(&self, limit: Duration) -> Result<(), OriginError> {
        let pause = (limit / LOOKS).max(Duration::from_millis(1));
        let mut seen = Seen {
            written: self.written.get(),
            received: self.received.get(),
            ..Seen::default()
        };
        while self.upload.get() == UploadState::Going {
            let event = self.event.notified();
            if !self.held_up.get() {
                event.await;
            } else if timeout(pause, event).await.is_err() {
                self.look(&mut seen, limit)?;
            }
        }
        Ok(())
    }

    fn look(&self, seen: &mut Seen, limit: Duration) -> Result<(), OriginError> {
        // The look that finds someone waiting first does not know since when.
        let enough = LOOKS + 1;
        if self.blocked.get() {
            // While the origin takes nothing, nobody waits for the client.
            let moved = self.written.get() != seen.written;
            seen.written = self.written.get();
            seen.blocked_looks = if moved { 1 } else { seen.blocked_looks + 1 };
            return match seen.blocked_looks >= enough {
                true => Err(OriginError::WriteTimeout),
                false => Ok(()),
            };
        }
        seen.blocked_looks = 0;
        seen.starved_looks += u32::from(self.starved.get());
        if seen.starved_looks >= enough {
            let received = self.received.get().wrapping_sub(seen.received);
            if u128::from(received) * 1000 < u128::from(SLOWEST) * limit.as_millis() {
                return Err(OriginError::UploadStalled);
            }
            seen.starved_looks = 0;
            seen.received = self.received.get();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(8);

    fn looks(flow: &Flow, count: u32, mut between: impl FnMut(&Flow)) -> Result<(), OriginError> {
        let mut seen = Seen::default();
        (0..count).try_for_each(|_| {
            between(flow);
            flow.look(&mut seen, LIMIT)
        })
    }

    #[test]
    fn a_client_slower_than_a_kibibyte_a_second_has_stalled() {
        let flow = Flow::default();
        flow.begin();
        let sends = |bytes| {
            move |flow: &Flow| {
                flow.received(bytes);
                flow.starve();
            }
        };
        assert!(looks(&flow, 8, sends(0)).is_ok());
        let stalled = looks(&flow, 9, sends(900));
        assert!(matches!(stalled, Err(OriginError::UploadStalled)));
        assert!(looks(&flow, 100, sends(1100)).is_ok());
    }

    #[test]
    fn only_time_in_which_the_origin_waits_counts_against_the_client() {
        let flow = Flow::default();
        flow.begin();
        flow.received(1);
        assert!(looks(&flow, 100, |_| {}).is_ok());
        flow.starve();
        let takes_a_little = |flow: &Flow| {
            flow.written(1);
            flow.block();
        };
        assert!(looks(&flow, 100, takes_a_little).is_ok());
    }

    #[test]
    fn an_origin_that_takes_nothing_has_stalled() {
        let flow = Flow::default();
        flow.begin();
        flow.block();
        assert!(looks(&flow, 8, |_| {}).is_ok());
        let stalled = looks(&flow, 9, |_| {});
        assert!(matches!(stalled, Err(OriginError::WriteTimeout)));
    }
}
