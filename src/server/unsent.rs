//! What the kernel holds of a response and has not sent yet.
//!
//! Much of it spares wake-ups, but a slow client's progress shows only when
//! half of it has gone out. So there may be little, and more only for a
//! client that was just seen to be fast.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;
use tokio::net::TcpStream;

/// What may wait unsent for any client.
const LITTLE: u32 = 128 * 1024;

/// What may wait unsent for a fast one.
const MUCH: u32 = 1 << 20;

/// No time at all.
const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Little may wait.
pub(super) fn narrow(tcp: &TcpStream) {
    allow(tcp, LITTLE);
}

/// Much may wait, but no more than a third of the send buffer: its fill level
/// must not be what [`measure`] sees. Whether that is more than little.
pub(super) fn widen(tcp: &TcpStream) -> bool {
    let room = SockRef::from(tcp).send_buffer_size().unwrap_or(0) / 3;
    let much = u32::try_from(room).map_or(MUCH, |room| room.min(MUCH));
    let is_more = much > LITTLE;
    if is_more {
        allow(tcp, much);
    }
    is_more
}

/// How many bytes wait unsent. Found by search: a socket can be written to
/// when twice as much as that is below what may wait. Little may wait
/// afterwards.
pub(super) fn measure(tcp: &TcpStream) -> u64 {
    let (mut low, mut high) = (0, 2 * MUCH);
    while low < high {
        let middle = low.midpoint(high);
        allow(tcp, 2 * middle + 1);
        match has_room(tcp) {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    narrow(tcp);
    low.into()
}

/// A connection is not worth ending if this fails.
fn allow(tcp: &TcpStream, bytes: u32) {
    let _ = SockRef::from(tcp).set_tcp_notsent_lowat(bytes);
}

fn has_room(tcp: &TcpStream) -> bool {
    let mut sockets = [PollFd::new(tcp, PollFlags::OUT)];
    let ready = poll(&mut sockets, Some(&NOW));
    ready.is_ok() && sockets[0].revents().contains(PollFlags::OUT)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[tokio::test]
    async fn what_waits_is_measured_to_the_byte() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        SockRef::from(&listener)
            .set_recv_buffer_size(64 * 1024)
            .unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap());
        let ours = ours.await.unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        narrow(&ours);
        assert_eq!(measure(&ours), 0);
        assert!(widen(&ours));
        let mut written = 0;
        while let Ok(more) = ours.try_write(&[7; 64 * 1024]) {
            written += more as u64;
            ours.writable().await.unwrap();
            if written > u64::from(MUCH) {
                break;
            }
        }
        let before = measure(&ours);
        assert!(before > u64::from(LITTLE), "{before} of {written}");
        assert_eq!(measure(&ours), before);
        let mut part = vec![0; 256 * 1024];
        theirs.read_exact(&mut part).unwrap();
        let after = measure(&ours);
        assert!(after < before, "{after} of {before}");
    }
}
