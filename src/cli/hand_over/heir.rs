//! The new process of a hand-over.

use std::io;
use std::os::unix::process::parent_id;

use super::wire::{Wire, Word};
use super::{PATIENCE, VARIABLE};
use crate::cli::CliError;
use crate::server::Passed;

/// This process, if it is to take over from the one that started it.
#[derive(Debug)]
pub(in crate::cli) struct Heir(Option<Wire>);

impl Heir {
    /// Whether it is to, and if so the sockets that it is given.
    pub(in crate::cli) fn find() -> Result<(Self, Option<Passed>), CliError> {
        let elder = std::env::var(VARIABLE).unwrap_or_default();
        // Else the variable was meant for someone before.
        if elder != parent_id().to_string() {
            return Ok((Self(None), None));
        }
        let (wire, passed) =
            given().map_err(|error| CliError::Io("take the listeners over", error))?;
        Ok((Self(Some(wire)), Some(passed)))
    }

    /// Tells the elder why nothing comes of it.
    pub(in crate::cli) fn failed(&self, why: &str) {
        if let Some(wire) = &self.0 {
            // It hears of the end in any case.
            let _ = wire.say(&Word::Failed(why.to_owned()));
        }
    }

    /// Tells the elder that this process serves on the sockets `taken`, and
    /// waits until it has left them.
    ///
    /// # Errors
    ///
    /// If the elder was stopped meanwhile, so that this one has to end too.
    pub(in crate::cli) fn serving(&self, taken: &[String]) -> io::Result<()> {
        let Some(wire) = &self.0 else { return Ok(()) };
        wire.say(&Word::Serving(taken.to_vec()))?;
        match wire.hear()? {
            Some(Word::Go) => Ok(()),
            _ => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

fn given() -> io::Result<(Wire, Passed)> {
    let wire = Wire::of_stdin()?;
    wire.set_patience(PATIENCE)?;
    let mut sockets = Vec::new();
    loop {
        match wire.hear()? {
            Some(Word::Socket(bound)) => sockets.push(bound),
            Some(Word::All) => return Ok((wire, sockets.into())),
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
