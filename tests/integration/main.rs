//! What a user of Portcullis sees, a module per step of a request's life.
#![expect(missing_docs, reason = "tests document themselves by their names")]

mod policy;
mod rules;
mod seeds;
