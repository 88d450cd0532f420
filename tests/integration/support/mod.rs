//! A scripted origin, the proxy in this process, and a client that sends bytes.

mod client;
mod http2;
mod origin;
mod peers;
mod program;
mod proxy;
mod random;
mod tls;
mod tried;
mod wire;

pub(crate) use client::{Client, Reply};
pub(crate) use http2::{Http2, read as read_reply, send_all};
pub(crate) use origin::{Asked, Conversation, Origin};
pub(crate) use peers::{Haproxy, Nginx, curl, is_installed};
pub(crate) use program::{Program, portcullis};
pub(crate) use proxy::{Portcullis, eventually};
pub(crate) use random::Random;
pub(crate) use tls::{Authority, Issued, TlsOrigin, private};
pub(crate) use tried::{tried, untried};
pub(crate) use wire::{Frame, Wire, integer, kind};
