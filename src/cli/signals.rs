//! The signals that mean something to a running server (section 11).

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::CliError;
use crate::server::Stop;

/// Listens from [`Self::listen`] on, so that no signal is missed between the
/// start of a server and [`Self::obey`].
pub(super) struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, CliError> {
        let failed = |error| CliError::Io("listen for signals", error);
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let inside = runtime.enter();
        let listen = |kind| signal(kind).map_err(failed);
        let terminate = listen(SignalKind::terminate())?;
        let interrupt = listen(SignalKind::interrupt())?;
        let hangup = listen(SignalKind::hangup())?;
        drop(inside);
        Ok(Self {
            runtime,
            terminate,
            interrupt,
            hangup,
        })
    }

    /// Starts a thread that obeys them until the process ends: the first
    /// SIGTERM or SIGINT drains the server of `stop`, the second ends it at
    /// once.
    pub(super) fn obey(
        mut self,
        stop: Stop,
        mut on_hangup: impl FnMut() + Send + 'static,
    ) -> Result<(), CliError> {
        let obey = move || {
            self.runtime.block_on(async {
                let mut draining = false;
                loop {
                    tokio::select! {
                        _ = self.hangup.recv() => on_hangup(),
                        _ = self.terminate.recv() => stop_again(&mut draining, &stop),
                        _ = self.interrupt.recv() => stop_again(&mut draining, &stop),
                    }
                }
            })
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(obey)
            .map(drop)
            .map_err(|error| CliError::Io("start the thread for signals", error))
    }
}

fn stop_again(draining: &mut bool, stop: &Stop) {
    // Told last: whoever reads standard error may have stopped reading.
    if std::mem::replace(draining, true) {
        stop.now();
        tracing::warn!("a second signal: ending at once");
    } else {
        stop.drain();
        tracing::info!("stopping: requests in flight are finished first");
    }
}
