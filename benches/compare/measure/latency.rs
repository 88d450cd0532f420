//! How long an answer takes while there is time to spare.

use super::{Bench, Contestant, answers};
use crate::load::wrk::{self, Counted, Load};
use crate::peers::Name;
use crate::report::{Latency, Run, median};
use crate::workload::Workload;
use crate::{Outcome, interrupt};

/// Connections of the load below saturation.
const CONNECTIONS: usize = 256;

/// Of saturation, where latency is compared.
const SHARE: f64 = 0.7;

/// Each of them takes two turns of every peer.
const ROUNDS: usize = 3;

impl Bench {
    /// p99 at 70 % of what each can do, and of what the best of the peers can.
    pub(super) fn latency(
        &self,
        workload: &Workload,
        contestants: &[Contestant],
        runs: &[Run],
    ) -> Outcome<Vec<Latency>> {
        let measured = |contestant: &&Contestant| {
            !matches!(contestant.name, Name::Floor | Name::PortcullisLog)
        };
        let contestants: Vec<&Contestant> = contestants.iter().filter(measured).collect();
        let rate = |name| {
            median(
                runs.iter()
                    .filter(|run| run.peer == name && run.wrong.is_empty())
                    .map(|run| run.rate),
            )
        };
        let best = contestants
            .iter()
            .filter(|contestant| contestant.name != Name::Portcullis)
            .map(|contestant| rate(contestant.name))
            .fold(0.0, f64::max);
        let mut plan = Vec::new();
        for contestant in contestants {
            for (is_own, saturation) in [(true, rate(contestant.name)), (false, best)] {
                if saturation > 0.0 {
                    let think = self.calibrate(workload, contestant, SHARE * saturation)?;
                    plan.push((contestant, is_own, SHARE * saturation, think));
                }
            }
        }
        let mut latencies = Vec::new();
        for round in 0..self.extent.rounds.min(ROUNDS) {
            for (contestant, is_own, wanted, think) in &plan {
                interrupt::check()?;
                let load = self.below_saturation(workload, *think, self.extent.seconds);
                let (counted, wrong) = self.checked(workload, contestant, &load)?;
                latencies.push(Latency {
                    workload: workload.name,
                    peer: contestant.name,
                    is_own: *is_own,
                    round,
                    wanted: *wanted,
                    rate: counted.rate(),
                    p50: counted.p50,
                    p99: counted.p99,
                    wrong,
                });
            }
        }
        Ok(latencies)
    }

    /// Runs a load; beside what was counted, what is wrong with it.
    fn checked(
        &self,
        workload: &Workload,
        contestant: &Contestant,
        load: &Load<'_>,
    ) -> Outcome<(Counted, Vec<String>)> {
        let instance = &contestant.instance;
        let length = self.sample(workload, instance)?;
        let asked = self.origin.requests()?;
        let counted = wrk::run(instance.address, load)?;
        let asked = self.origin.requests()?.saturating_sub(asked + 1);
        let wrong = answers::wrong(
            (workload, contestant.name, load.connections),
            &counted,
            asked,
            length,
        );
        Ok((counted, wrong))
    }

    /// The think time, in milliseconds, at which `rate` requests a second
    /// come: a guess, put right by what it gives.
    fn calibrate(&self, workload: &Workload, contestant: &Contestant, rate: f64) -> Outcome<f64> {
        let connections = CONNECTIONS as f64 * 1000.0;
        let mut think = (connections / rate - 1.0).max(0.0);
        for _ in 0..2 {
            let load = self.below_saturation(workload, think, 1);
            let counted = wrk::run(contestant.instance.address, &load)?;
            think = (think + connections / rate - connections / counted.rate().max(1.0)).max(0.0);
        }
        Ok(think)
    }

    fn below_saturation(&self, workload: &Workload, think: f64, seconds: u64) -> Load<'_> {
        Load {
            connections: CONNECTIONS,
            think,
            seconds,
            ..self.load(workload, 0)
        }
    }
}
