//! What a user of Portcullis sees: policies asked about requests, and whole
//! requests from a client's bytes to an origin's and back.

mod policy;
mod support;

mod agreement;
mod answer;
mod forward;
mod keys;
mod log;
mod oracle;
mod origin;
mod reload;
mod rules;
mod running_keys;
mod seeds;
mod server;
