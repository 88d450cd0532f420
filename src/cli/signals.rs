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
    server: oneshot::Sender<Server>,
}

/// What they are for, once it runs.
struct Server {
    stop: Stop,
    on_hangup: Box<dyn FnMut() + Send>,
}

struct Listening {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Until [`Self::obey`], SIGTERM and SIGINT end the process, and a SIGHUP
    /// waits.
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
        };
        drop(inside);
        let (sender, server) = oneshot::channel();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(listening.obey(server)))
            .map_err(|error| CliError::Io("start the thread for signals", error))?;
        Ok(Self { server: sender })
    }

    /// From now on the first SIGTERM or SIGINT drains the server of `stop`, and
    /// the second ends it at once.
    pub(super) fn obey(self, stop: Stop, on_hangup: impl FnMut() + Send + 'static) {
        let on_hangup = Box::new(on_hangup);
        // The thread waits for it, or the process has ended.
        let _ = self.server.send(Server { stop, on_hangup });
    }
}

impl Listening {
    async fn obey(mut self, server: oneshot::Receiver<Server>) {
        let server = tokio::select! {
            // What runs is stopped in order, also by a signal just behind it.
            biased;
            server = server => server,
            _ = self.terminate.recv() => process::exit(0),
            _ = self.interrupt.recv() => process::exit(0),
        };
        // Nothing has come of the start.
        let Ok(Server {
            stop,
            mut on_hangup,
        }) = server
        else {
            return;
        };
        let mut draining = false;
        loop {
            tokio::select! {
                _ = self.hangup.recv() => on_hangup(),
                _ = self.terminate.recv() => stop_again(&mut draining, &stop),
                _ = self.interrupt.recv() => stop_again(&mut draining, &stop),
            }
        }
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
