//! Portcullis: an edge reverse proxy in front of an asset origin.
//!
//! # Life of a request
//!
//! 1. [`server`] accepts the connection, by TLS with what [`tls`] made ready,
//!    and parses the request.
//! 2. [`proxy`] loads the snapshot (made by [`config`], swapped by [`reload`]), once.
//! 3. [`plan`] works out all that is known before a byte goes to the origin:
//!    the client ([`client`]), the host, path and route ([`route`]), the
//!    decision ([`access`]), the variant and `Accept` ([`images`]) and the
//!    cache key ([`cache`]).
//! 4. Denied: [`proxy`] answers 403. Else [`cache`] answers if it may, or
//!    [`origin`] is asked and its response streamed, and stored on the way.
//! 5. [`log`] counts it and writes down what happened; [`admin`] tells.
//!    [`replay`] asks later what another configuration would have done.
//!
//! Below all of them: [`message`] (HTTP semantics without state) and
//! [`network`] (addresses and sets of them). [`cli`] is a file a command.
#![forbid(unsafe_code)]

pub mod message;
pub mod network;

pub mod log;

pub mod client;
pub mod images;
pub mod route;
pub mod tls;

pub mod access;
pub mod cache;
pub mod origin;

pub mod config;
pub mod plan;

pub mod proxy;
pub mod reload;

pub mod replay;

pub mod admin;

pub mod server;

pub mod cli;
