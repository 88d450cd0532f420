//! What a user of Portcullis sees, a module per step of a request's life.

mod keys;
mod oracle;
mod policy;
mod rules;
mod running_keys;
mod seeds;
