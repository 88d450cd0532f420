//! Waiting for a connection (section 10).

use std::rc::Rc;
use std::time::Instant;

use tokio::time::timeout;

use super::limit::{Class, Permit, Place};
use super::pool::{Connection, Endpoint};
use super::{ClientGroup, OriginError, OriginSettings};

/// What somebody in line got.
enum Turn {
    Connect(Permit),
    Reuse(Box<Connection>),
}

/// Someone who waits for a connection, and may leave at any time.
struct InLine<'a> {
    place: Place,
    endpoint: &'a Rc<Endpoint>,
}

impl Endpoint {
    /// Waits in line for at most `connect_timeout`.
    pub(super) async fn wait(
        self: &Rc<Self>,
        settings: &OriginSettings,
        client: Option<ClientGroup>,
        place: Place,
    ) -> Result<Box<Connection>, OriginError> {
        let since = Instant::now();
        let turn = self.turn(settings.max_connections, client, place);
        let turn = timeout(settings.connect_timeout, turn).await;
        self.counters.origin.waited_for(since.elapsed());
        match turn {
            Err(_) => Err(OriginError::NoConnectionFree),
            Ok(Turn::Reuse(connection)) => Ok(connection),
            Ok(Turn::Connect(permit)) => self.open(settings, permit).await,
        }
    }

    /// Those who have much wait behind all others. It is asked when somebody
    /// begins to wait, and once more when the turn has come, since many could
    /// have begun together: who has much by then steps back, once.
    async fn turn(self: &Rc<Self>, max: usize, client: Option<ClientGroup>, place: Place) -> Turn {
        let front = InLine::new(place, self);
        if self.has_much(client) {
            drop(front);
        } else {
            let turn = front.turn().await;
            if !(self.has_much(client) && self.limit.has_front()) {
                return turn;
            }
            match turn {
                Turn::Connect(permit) => drop(permit),
                Turn::Reuse(connection) => self.give_back(connection),
            }
        }
        self.counters.origin.waited_behind.add(1);
        match self.limit.enter(self.worker, max, Class::Behind) {
            Ok(permit) => Turn::Connect(permit),
            Err(place) => InLine::new(place, self).turn().await,
        }
    }

    fn has_much(&self, client: Option<ClientGroup>) -> bool {
        self.busy.borrow().is_much_for(client)
    }
}

impl<'a> InLine<'a> {
    fn new(place: Place, endpoint: &'a Rc<Endpoint>) -> Self {
        Self { place, endpoint }
    }

    async fn turn(mut self) -> Turn {
        match self.place.turn().await {
            Some(permit) => Turn::Connect(permit),
            None => {
                let handed = self.handed();
                Turn::Reuse(handed.expect("it is handed over before the turn is taken"))
            }
        }
    }

    fn handed(&self) -> Option<Box<Connection>> {
        self.endpoint.handed.borrow_mut().remove(&self.place.ticket)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.handed() {
            self.endpoint.give_back(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::runtime::{Builder, LocalOptions};

    use super::*;
    use crate::log::counters::WorkerCounters;
    use crate::origin::{Asking, HostMode, Limits, OriginUrl, Origins};

    fn one_connection_to(address: &str) -> OriginSettings {
        OriginSettings {
            url: OriginUrl::parse(&format!("http://{address}")).unwrap(),
            tls: None,
            host: HostMode::Preserve,
            methods: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(5),
            max_connections: 1,
            retries: 0,
        }
    }

    #[test]
    fn who_leaves_gives_back_what_was_handed_over() {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default());
        runtime.unwrap().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let settings = one_connection_to(&listener.local_addr().unwrap().to_string());
            let counters = Arc::new(WorkerCounters::default());
            let origins = Origins::new(0, Arc::new(Limits::default()), Arc::clone(&counters));
            let endpoint = origins.endpoint(&settings);
            let asking = Asking {
                settings: &settings,
                client: None,
                stall_timeout: Duration::from_secs(5),
            };
            let lease = endpoint.lease(asking).await.unwrap();
            let _accepted = listener.accept().await.unwrap();
            {
                let mut waiting = pin!(endpoint.lease(asking));
                let mut cx = Context::from_waker(Waker::noop());
                assert!(waiting.as_mut().poll(&mut cx).is_pending());
                lease.finish();
                assert_eq!(counters.origin.idle.get(), 0, "it is handed over");
            }
            assert_eq!(counters.origin.idle.get(), 1);
            assert!(endpoint.lease_idle(asking, Instant::now()).is_some());
        });
    }
}
