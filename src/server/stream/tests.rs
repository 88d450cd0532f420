use std::io::Read as _;
use std::net::TcpListener;

use socket2::{Domain, Socket, Type};

use super::*;
use tokio::net::TcpStream;

use crate::server::limits::Limits;
use crate::server::socket;
use crate::server::table::Table;
use crate::server::unsent;

const LIMITS: Limits = Limits {
    header: 1000,
    idle: 1000,
    stall: 1000,
    head: 8192,
    connections: 10,
    streams: 10,
};

/// A stream, and its peer, whose window opens in small steps.
async fn pair() -> (Stream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    peer.set_recv_buffer_size(32 * 1024).unwrap();
    peer.connect(&address.into()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    let ours = socket::Socket::Tcp(TcpStream::from_std(ours).unwrap());
    unsent::narrow(&ours);
    let link = Link::enter(&Rc::<Table>::default(), LIMITS);
    link.request(false);
    (Stream::new(Transport::Plain(ours), &link), peer.into())
}

/// What goes out at once.
async fn write(stream: &Stream) -> Option<usize> {
    // The runtime learns of room only between two tasks.
    tokio::task::yield_now().await;
    let bytes = [7; 64 * 1024];
    let mut cx = Context::from_waker(std::task::Waker::noop());
    match stream.write(&mut cx, &[io::IoSlice::new(&bytes)]) {
        Poll::Ready(written) => Some(written.unwrap()),
        Poll::Pending => None,
    }
}

#[tokio::test]
async fn room_is_found_before_it_is_told() {
    let (stream, mut peer) = pair().await;
    while write(&stream).await.is_some() {}
    let pace = stream.0.link.pace();
    let mut part = [0; 4 * 1024];
    let found = loop {
        assert!(pace.is_blocked(), "told of it");
        peer.read_exact(&mut part).unwrap();
        assert_eq!(write(&stream).await, None, "told of it");
        pace.try_first();
        match write(&stream).await {
            Some(written) => break written,
            None => assert!(!pace.tries(), "there was no room"),
        }
    };
    assert!(found > 0 && pace.tries(), "until there is none");
}
