//! Hand-over (section 11): a new process of the same program takes the
//! listening sockets while the old one finishes what it has.
//!
//! On SIGUSR2 the [`Elder`] starts the program that is now where its own was,
//! and passes its sockets by the new one's standard input. The new one starts
//! as ever, but does not bind what it is given; then it says so, as [`Heir`].
//! Only now the elder stops to accept: at every moment somebody does, and
//! nobody who waits to be accepted is lost, since the sockets stay open.

mod elder;
mod heir;
mod wire;

pub(super) use elder::{Elder, Retire};
pub(super) use heir::Heir;

use std::time::Duration;

/// In the environment of the new process: the id of the old one, which is at
/// the other end of its standard input.
const VARIABLE: &str = "PORTCULLIS_HAND_OVER";

/// How long the new process may take to start; large lists and databases are
/// compiled, and the tests of the policy run, in a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);
