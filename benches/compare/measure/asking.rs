//! Each row by the tool that can ask it.

use super::{Bench, CONNECTIONS, path};
use crate::Outcome;
use crate::load::wrk::{self, Counted};
use crate::load::{h2load, handshakes};
use crate::peers::Instance;
use crate::workload::{Wire, Work, Workload};

impl Bench {
    /// Asks for so many seconds, at saturation.
    pub(super) fn ask(
        &self,
        workload: &Workload,
        instance: &Instance,
        round: usize,
        seconds: u64,
    ) -> Outcome<Counted> {
        match (workload.work, workload.wire) {
            (Work::Handshake { resumes }, _) => handshakes::run(&handshakes::Load {
                address: instance.address,
                certificate: self.identity.certificate.clone(),
                request: self.scripts.single.clone(),
                resumes,
                connections: CONNECTIONS,
                seconds,
            }),
            (_, Wire::Clear) => {
                let load = self.load(workload, round);
                wrk::run(instance.address, &wrk::Load { seconds, ..load })
            }
            (work, wire) => {
                let (request, size) = match work {
                    Work::Hit(size) | Work::Forward(size) => (&self.admitted, size),
                    _ => (&self.denied, 1 << 10),
                };
                let load = h2load::Load {
                    wire,
                    path: path(size),
                    request,
                    connections: CONNECTIONS,
                    seconds,
                    folder: self.scratch.path(),
                };
                h2load::run(instance.address, &load)
            }
        }
    }
}
