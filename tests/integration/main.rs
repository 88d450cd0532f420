//! What a user of Portcullis sees, a module per step of a request's life.

mod support;

mod answer;
mod forward;
mod log;
mod origin;
mod policy;
mod reload;
mod rules;
mod seeds;
mod server;
