//! What a user of Portcullis sees, a module per step of a request's life.

mod support;

mod answer;
mod policy;
mod rules;
mod seeds;
