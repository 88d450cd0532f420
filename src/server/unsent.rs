//! What the kernel may hold of a response and not have sent yet.
//!
//! Much of it spares wake-ups: a writer is woken when half of it is gone. But
//! every slow client holds it, so that much is only for those that were fast.

use super::socket::Socket;

/// What may wait unsent for any client.
const LITTLE: u32 = 128 * 1024;

/// What may wait unsent for a fast one: with this, a stored body of 1 MiB
/// costs a fifth less, and with twice as much no less than that.
const MUCH: u32 = 512 * 1024;

/// Little may wait. A connection is not worth ending if this fails.
pub(super) fn narrow(socket: &Socket) {
    socket.set_unsent(LITTLE);
}

/// Much may wait. The same holds.
pub(super) fn widen(socket: &Socket) {
    socket.set_unsent(MUCH);
}
