//! What is measured of Portcullis alone, as something grows.

use super::{Bench, CONNECTIONS, microseconds, path};
use crate::Outcome;
use crate::check;
use crate::client::Client;
use crate::load::wrk::{self, Load};
use crate::peers::Instance;
use crate::usage::Cpu;

impl Bench {
    /// CPU microseconds a request for 1 KiB, of so many connections.
    pub(crate) fn cpu_with(&self, instance: &Instance, connections: usize) -> Outcome<f64> {
        let load = Load {
            script: &self.scripts.admitted,
            what: path(1 << 10),
            start: 0,
            connections,
            seconds: self.extent.seconds,
            think: 0.0,
        };
        let before = Cpu::now(instance.process());
        let counted = wrk::run(instance.address, &load)?;
        let cpu = Cpu::now(instance.process()).since(&before);
        if counted.denied + counted.broken > 0 || counted.requests == 0 {
            return Err(format!(
                "{connections} connections are not all served: of {} requests {} were denied, {} broke off",
                counted.requests, counted.denied, counted.broken
            )
            .into());
        }
        Ok(microseconds(cpu) / counted.requests as f64)
    }

    /// Asks for one body of 1 KiB.
    pub(crate) fn store_one(&self, instance: &Instance) -> Outcome<()> {
        let mut client = Client::connect(instance.address)?;
        check::body(&mut client, &self.admitted, 1 << 10)?;
        Ok(())
    }

    /// Asks for what was not asked for before; tells how much it was.
    pub(crate) fn store_new(&self, instance: &Instance, seconds: u64, known: u64) -> Outcome<u64> {
        let load = Load {
            script: &self.scripts.new,
            what: "/mix/36/",
            // beyond all that was asked for, also what the end of a run cut off
            start: usize::try_from(2 * known)?,
            connections: CONNECTIONS,
            seconds,
            think: 0.0,
        };
        let asked = self.origin.requests()?;
        wrk::run(instance.address, &load)?;
        Ok(self.origin.requests()?.saturating_sub(asked + 1))
    }
}
