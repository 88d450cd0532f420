//! A scripted origin, the proxy in this process, and a client that sends bytes.

mod client;
mod origin;
mod peers;
mod program;
mod proxy;
mod tls;

pub(crate) use client::{Client, Reply};
pub(crate) use origin::{Asked, Conversation, Origin};
pub(crate) use peers::{Haproxy, Nginx, curl, is_installed};
pub(crate) use program::{Program, portcullis};
pub(crate) use proxy::{Portcullis, eventually};
pub(crate) use tls::{Authority, Issued, TlsOrigin, private};
