//! A timer that one request after another uses.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

/// A timer whose time is moved on nearly always before it comes. Moving it
/// costs nothing: it is set anew when it rings too early, once in its time
/// and not once a request. Until then whoever waited last may be woken for
/// nothing.
#[derive(Debug, Default)]
pub(super) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ends at `due`.
    pub(super) async fn passed(&mut self, due: Instant) {
        poll_fn(|cx| self.poll_passed(cx, due)).await;
    }

    /// Ready at `due`.
    pub(super) fn poll_passed(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        let due = due.into();
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        }
        ready!(sleep.as_mut().poll(cx));
        if sleep.deadline() >= due {
            return Poll::Ready(());
        }
        sleep.as_mut().reset(due);
        sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use tokio::runtime::{Builder, LocalOptions};

    use super::*;

    #[test]
    fn it_ends_when_it_is_due_however_it_was_moved() {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default());
        runtime.unwrap().block_on(async {
            let mut timer = Timer::default();
            let mut cx = Context::from_waker(Waker::noop());
            let start = Instant::now();
            let far = start + Duration::from_secs(600);
            assert!(timer.poll_passed(&mut cx, far).is_pending());
            for wait in [20, 0, 60] {
                let due = start + Duration::from_millis(wait);
                timer.passed(due).await;
                assert!(Instant::now() >= due);
                assert!(timer.poll_passed(&mut cx, far).is_pending());
            }
        });
    }
}
