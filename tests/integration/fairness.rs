//! Who is next for a connection to the origin (section 10).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use crate::support::{Client, Origin, Portcullis, eventually};

const POLICY: &str = r#"
[server]
listen = ["127.0.0.1:0"]
workers = 1
[client]
trusted_proxies = ["127.0.0.0/8"]
[origin]
url = "@origin@"
max_connections = 4
connect_timeout = "8s"
[cache]
memory = "0"    # each request is one to the origin
"#;

/// An origin that answers only when it is let, and who asks it.
struct Stage {
    origin: Origin,
    portcullis: Portcullis,
    /// The oldest request that is held is answered.
    let_go: mpsc::Sender<()>,
    clients: Vec<Client>,
}

impl Stage {
    fn new() -> Self {
        let (let_go, going) = mpsc::channel::<()>();
        let going = Arc::new(Mutex::new(going));
        let turn = Arc::new(AtomicUsize::new(0));
        let next = Arc::new(AtomicUsize::new(0));
        let origin = Origin::scripted(move |conversation| {
            while conversation.request().is_some() {
                let own = next.fetch_add(1, Ordering::SeqCst);
                while turn.load(Ordering::SeqCst) != own {
                    std::thread::yield_now();
                }
                let told = going.lock().unwrap().recv();
                turn.fetch_add(1, Ordering::SeqCst);
                if told.is_err() {
                    return;
                }
                conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        let portcullis = Portcullis::start(&origin, POLICY);
        Self {
            origin,
            portcullis,
            let_go,
            clients: Vec::new(),
        }
    }

    /// `client` asks; the next one asks only when this one is asked for or waits.
    fn ask(&mut self, client: &str) -> &mut Self {
        let seen = self.asked().len();
        let mut stream = self.portcullis.client();
        let field = match client {
            "" => String::new(),
            client => format!("X-Forwarded-For: {client}\r\n"),
        };
        let name = client.replace(['.', ':'], "-");
        stream.send(format!("GET /{name} HTTP/1.1\r\nHost: a\r\n{field}\r\n"));
        self.clients.push(stream);
        if seen < 4 {
            eventually("asked", || self.asked().len() > seen);
        } else {
            // It is in line as soon as the worker has read it; a request on
            // another connection after it is read after it.
            let mut probe = self.portcullis.client();
            probe.send("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(probe.reply().status, 405);
        }
        self
    }

    /// Lets the oldest request go, and says who was asked for then.
    fn next(&self) -> String {
        let seen = self.asked().len();
        self.let_go.send(()).unwrap();
        eventually("the next one is asked for", || self.asked().len() > seen);
        self.asked()[seen].clone()
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.origin.asked();
        let path = |line: &str| line.split(['/', ' ']).nth(2).unwrap().replace('-', ".");
        asked.iter().map(|asked| path(asked.line())).collect()
    }
}

#[test]
fn who_holds_much_waits_behind_all_others() {
    let mut stage = Stage::new();
    for _ in 0..6 {
        stage.ask("192.0.2.1");
    }
    stage.ask("192.0.2.2").ask("192.0.2.3");
    let order: Vec<String> = (0..4).map(|_| stage.next()).collect();
    assert_eq!(order, ["192.0.2.2", "192.0.2.3", "192.0.2.1", "192.0.2.1"]);
    let counters = stage.portcullis.server.counters();
    assert_eq!(counters.sum(|worker| worker.origin.waited.get()), 4);
    assert_eq!(counters.sum(|worker| worker.origin.waited_behind.get()), 2);
}

#[test]
fn those_who_hold_little_wait_in_order() {
    let mut stage = Stage::new();
    for client in 1..=8 {
        stage.ask(&format!("192.0.2.{client}"));
    }
    let order: Vec<String> = (0..4).map(|_| stage.next()).collect();
    assert_eq!(order[..1], ["192.0.2.5"]);
    assert_eq!(order, ["192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.8"]);
}

#[test]
fn an_ipv6_client_is_its_64() {
    let mut stage = Stage::new();
    for host in 1..=5 {
        stage.ask(&format!("2001:db8::{host}"));
    }
    stage.ask("2001:db8:0:1::1");
    assert_eq!(stage.next(), "2001.db8.0.1..1");
    assert_eq!(stage.next(), "2001.db8..5");
}

#[test]
fn a_trusted_proxy_is_not_one_client() {
    let mut stage = Stage::new();
    for _ in 0..5 {
        stage.ask("");
    }
    stage.ask("192.0.2.2");
    assert_eq!(stage.next(), "");
    assert_eq!(stage.next(), "192.0.2.2");
}

/// Many requests that begin to wait together hold nothing yet; the first of
/// them to be served makes the others wait behind.
#[test]
fn a_crowd_that_came_first_steps_back() {
    let mut stage = Stage::new();
    for client in 1..=4 {
        stage.ask(&format!("192.0.2.{client}"));
    }
    for _ in 0..5 {
        stage.ask("203.0.113.9");
    }
    stage.ask("192.0.2.5").ask("192.0.2.6");
    let order: Vec<String> = (0..4).map(|_| stage.next()).collect();
    assert_eq!(
        order,
        ["203.0.113.9", "192.0.2.5", "192.0.2.6", "203.0.113.9"]
    );
}
