//! A scripted origin, the proxy in this process, and a client that sends bytes.

mod client;
mod origin;
mod proxy;

pub(crate) use client::{Client, Reply};
pub(crate) use origin::{Asked, Origin};
pub(crate) use proxy::{Portcullis, eventually};
