//! An origin of its own, which does what paths say, and breaks as they say.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::answering::serve;
use crate::wire::{Reader, Transport};
use crate::world::World;

/// Where it listens.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) port: u16,
    pub(crate) socket: PathBuf,
}

/// How a connection ends.
pub(crate) trait End: Transport {
    /// Whatever way it ends from now on, it is a reset, or is not.
    fn reset_on_close(&self, reset: bool);
}

impl End for TcpStream {
    fn reset_on_close(&self, reset: bool) {
        let _ = SockRef::from(self).set_linger(reset.then_some(Duration::ZERO));
    }
}

impl End for UnixStream {
    fn reset_on_close(&self, _: bool) {}
}

/// Serves on a thread of its own until the process ends. `up` says when it
/// is to be there; when it is not, it is gone at once with all connections.
pub(crate) fn start(world: &Arc<World>, places: Places, up: watch::Receiver<bool>) {
    let world = Arc::clone(world);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(live(world, places, up));
    });
}

async fn live(world: Arc<World>, places: Places, mut up: watch::Receiver<bool>) {
    while up.wait_for(|up| *up).await.is_ok() {
        let tcp = TcpListener::bind(("127.0.0.1", places.port)).await.unwrap();
        let _ = std::fs::remove_file(&places.socket);
        let Ok(unix) = UnixListener::bind(&places.socket) else {
            // The folder is gone: so is the soak.
            return;
        };
        world.is_up();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = tcp.accept() => if let Ok((stream, _)) = accepted {
                    let _ = stream.set_nodelay(true);
                    stream.reset_on_close(true);
                    connections.spawn(serve(Reader::new(stream), Arc::clone(&world)));
                },
                accepted = unix.accept() => if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(Reader::new(stream), Arc::clone(&world)));
                },
                Some(_) = connections.join_next() => {}
                _ = up.wait_for(|up| !*up) => break,
            }
        }
        connections.shutdown().await;
    }
}
