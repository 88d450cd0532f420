//! What a user of Portcullis sees: policies asked about requests, and whole
//! requests from a client's bytes to an origin's and back.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod policy;
mod pool;
mod support;

mod admin;
mod agreement;
mod answer;
mod any_bytes;
mod bodies;
mod cache;
mod certificates;
mod command;
mod connections;
mod fairness;
mod forward;
mod hand_over;
mod hostile;
mod http2;
mod http_request;
mod http_response;
mod keys;
mod log;
mod oracle;
mod origin;
mod origin_bytes;
mod packaged;
mod proxy_protocol;
mod reaching;
mod real_peers;
mod reload;
mod replay;
mod rules;
mod running_keys;
mod seeds;
mod server;
mod start;
mod stop;
mod streaming;
mod swap;
mod systemd;
mod tls_clients;
mod tls_nginx;
mod tls_origin;
mod unix_listener;
mod unix_origin;
