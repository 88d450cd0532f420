//! What a user of Portcullis sees: policies asked about requests, and whole
//! requests from a client's bytes to an origin's and back.
#![expect(
    clippy::unwrap_used,
    reason = "what fails in a test, or in what a test is built of, fails the test"
)]

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
