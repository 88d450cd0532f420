//! The signals that mean something to a running server (section 11).

use std::process;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::CliError;
use crate::server::Stop;

/// Listens from [`Self::listen`] on, on a thread of its own: loading a
/// configuration takes its time, SIGHUP would end the process meanwhile, and
/// SIGTERM mean nothing to the first process of a container.
pub(super) struct Signals {
    server: oneshot::Sender<Obeyed>,
}

/// What they are for, once it runs.
pub(super) struct Obeyed {
    /// The first SIGTERM or SIGINT drains it, and the second ends it at once.
    pub(super) stop: Stop,
    /// The first of them.
    pub(super) on_stop: Box<dyn FnMut() + Send>,
    /// SIGHUP.
    pub(super) on_hangup: Box<dyn FnMut() + Send>,
    /// SIGUSR2.
    pub(super) on_hand_over: Box<dyn FnMut() + Send>,
}

struct Listening {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    hand_over: Signal,
}

impl Signals {
    /// Until [`Self::obey`], SIGTERM and SIGINT end the process, and the
    /// others wait.
    pub(super) fn listen() -> Result<Self, CliError> {
        let failed = |error| CliError::Io("listen for signals", error);
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let inside = runtime.enter();
        let listen = |kind| signal(kind).map_err(failed);
        let listening = Listening {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
            hand_over: listen(SignalKind::user_defined2())?,
        };
        drop(inside);
        let (sender, server) = oneshot::channel();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(listening.obey(server)))
            .map_err(|error| CliError::Io("start the thread for signals", error))?;
        Ok(Self { server: sender })
    }

    /// From now on they mean what `obeyed` says.
    pub(super) fn obey(self, obeyed: Obeyed) {
        // The thread waits for it, or the process has ended.
        let _ = self.server.send(obeyed);
    }
}

impl Listening {
    async fn obey(mut self, server: oneshot::Receiver<Obeyed>) {
        let server = tokio::select! {
            // What runs is stopped in order, also by a signal just behind it.
            biased;
            server = server => server,
            _ = self.terminate.recv() => process::exit(0),
            _ = self.interrupt.recv() => process::exit(0),
        };
        // Nothing has come of the start.
        let Ok(mut server) = server else {
            return;
        };
        let mut draining = false;
        loop {
            tokio::select! {
                _ = self.hangup.recv() => (server.on_hangup)(),
                _ = self.hand_over.recv() => (server.on_hand_over)(),
                _ = self.terminate.recv() => server.stop_again(&mut draining),
                _ = self.interrupt.recv() => server.stop_again(&mut draining),
            }
        }
    }
}

impl Obeyed {
    fn stop_again(&mut self, draining: &mut bool) {
        // Told last: whoever reads standard error may have stopped reading.
        if std::mem::replace(draining, true) {
            self.stop.now();
            tracing::warn!("a second signal: ending at once");
        } else {
            self.stop.drain();
            (self.on_stop)();
            tracing::info!("stopping: requests in flight are finished first");
        }
    }
}
