//! One workload at a time: everybody who takes part is started, then they
//! take turns, and each answer is held against what it should be.

mod answers;
mod asking;
mod growing;
mod latency;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::check;
use crate::client::Reply;
use crate::idle::Idle;
use crate::load::objects::Objects;
use crate::load::request::{self, Clients, Request};
use crate::load::script;
use crate::load::wrk::{self, Load};
use crate::origin::{self, Origin};
use crate::peers::{Instance, Name, Peer, Purpose};
use crate::policy::Policy;
use crate::process::{self, Core};
use crate::report::{Latency, Run};
use crate::tls::Identity;
use crate::usage::{Cpu, Memory};
use crate::workload::{IDLE, Work, Workload};
use crate::{Outcome, interrupt};

/// Bytes that may be stored where all of it fits.
const AMPLE: u64 = 128 << 20;

/// Connections of the load at saturation.
const CONNECTIONS: usize = 32;

/// Which of the denied requests is looked at, and is all that is asked where
/// there is only one: by the country of its client, the third of five rules.
const DENIED: usize = 2;

/// How much of each there is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) idle: usize,
    /// Whether caches are filled before a mix, and latency is measured.
    pub(crate) is_full: bool,
}

impl Extent {
    /// The least there can be.
    pub(crate) const SHORT: Self = Self {
        rounds: 1,
        seconds: 1,
        idle: IDLE / 50,
        is_full: false,
    };
}

/// What all workloads share.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) policy: Policy,
    pub(crate) origin: Origin,
    pub(crate) extent: Extent,
    objects: Objects,
    admitted: Request,
    /// Gets the other variant.
    without_webp: Request,
    denied: Request,
    scripts: Scripts,
    identity: Identity,
    scratch: TempDir,
}

#[derive(Debug)]
struct Scripts {
    admitted: PathBuf,
    denied: PathBuf,
    mix: PathBuf,
    new: PathBuf,
    /// One request as it is sent.
    single: PathBuf,
}

/// Somebody who takes part in a workload.
#[derive(Debug)]
struct Contestant {
    name: Name,
    instance: Instance,
}

impl Bench {
    pub(crate) fn new(extent: Extent) -> Outcome<Self> {
        let scratch = tempfile::Builder::new().prefix("compare-").tempdir()?;
        let folder = scratch.path();
        let policy = Policy::new()?;
        let objects = Objects::new();
        let mut clients = Clients::new(&policy);
        let admitted = request::admitted(&mut clients);
        let denied = request::denied(&mut clients);
        let mixed = request::mixed(&admitted, &denied);
        let single = folder.join("single");
        std::fs::write(&single, admitted[0].get(&origin::path(1024)))?;
        Ok(Self {
            scripts: Scripts {
                admitted: script::one_path(folder, "admitted.lua", &admitted)?,
                denied: script::one_path(folder, "denied.lua", &denied)?,
                mix: script::objects(folder, "mix.lua", &mixed, &objects)?,
                new: script::new_ones(folder, "new.lua", &admitted)?,
                single,
            },
            origin: Origin::start(folder)?,
            admitted: admitted[0].clone(),
            without_webp: admitted[3].clone(),
            denied: denied[DENIED].clone(),
            policy,
            extent,
            objects,
            identity: Identity::new(scratch.path())?,
            scratch,
        })
    }

    /// Starts a peer as `workload` needs it.
    pub(crate) fn start(&self, peer: &Peer, purpose: Purpose) -> Outcome<Instance> {
        let scratch = self.scratch.path();
        let origin = self.origin.address();
        peer.start(&self.policy, origin, purpose, &self.identity, scratch)
    }

    /// Bytes that may be stored in the ample case.
    pub(crate) fn ample() -> u64 {
        AMPLE
    }

    /// All rounds of one workload.
    pub(crate) fn run(
        &self,
        workload: &Workload,
        peers: &[Peer],
    ) -> Outcome<(Vec<Run>, Vec<Latency>)> {
        let mut runs = Vec::new();
        let mut contestants = self.contestants(workload, peers)?;
        contestants.retain(|contestant| match self.prepare(workload, contestant) {
            Ok(()) => true,
            Err(error) => {
                let run = Run::failed(workload.name, contestant.name, 0, error.to_string());
                eprintln!("  {run}");
                runs.push(run);
                false
            }
        });
        interrupt::check()?;
        for round in 0..self.extent.rounds {
            for turn in 0..contestants.len() {
                let contestant = &contestants[(round + turn) % contestants.len()];
                let run = self.cell(workload, contestant, round);
                interrupt::check()?;
                let run = run.unwrap_or_else(|error| {
                    Run::failed(workload.name, contestant.name, round, error.to_string())
                });
                eprintln!("  {run}");
                runs.push(run);
            }
        }
        let latency = if workload.is_small && self.extent.is_full {
            self.latency(workload, &contestants, &runs)?
        } else {
            Vec::new()
        };
        Ok((runs, latency))
    }

    fn contestants(&self, workload: &Workload, peers: &[Peer]) -> Outcome<Vec<Contestant>> {
        let cache = match workload.work {
            Work::Mix => Some(self.objects.bytes() / 2),
            _ => workload.has_cache().then_some(AMPLE),
        };
        let purpose = Purpose {
            wire: workload.wire,
            ..Purpose::clear(cache)
        };
        let mut contestants = Vec::new();
        for peer in peers.iter().filter(|peer| workload.is_for(peer.name)) {
            let name = peer.name;
            let instance = self.start(peer, purpose)?;
            contestants.push(Contestant { name, instance });
            if workload.is_small && name == Name::Portcullis {
                let name = Name::PortcullisLog;
                let instance = self.start(
                    peer,
                    Purpose {
                        log: true,
                        ..purpose
                    },
                )?;
                contestants.push(Contestant { name, instance });
            }
        }
        if workload.has_floor() {
            contestants.push(self.floor(workload)?);
        }
        Ok(contestants)
    }

    fn floor(&self, workload: &Workload) -> Outcome<Contestant> {
        let size = match workload.work {
            Work::Hit(size) => size,
            _ => 0,
        };
        let address = process::free_address()?;
        let mut command = process::command(Core::Proxy, std::env::current_exe()?)?;
        command.args(["floor", "--address", &address.to_string()]);
        command.args(["--size", &size.to_string()]);
        let folder = tempfile::tempdir_in(self.scratch.path())?;
        Ok(Contestant {
            name: Name::Floor,
            instance: Instance::start(&mut command, address, folder)?,
        })
    }

    /// Fills what has a cache.
    fn prepare(&self, workload: &Workload, contestant: &Contestant) -> Outcome<()> {
        if workload.work != Work::Mix || !self.extent.is_full {
            return self.warm(workload, contestant);
        }
        for (what, seconds) in [("each", 5), ("draws", 3)] {
            let load = Load {
                what,
                seconds,
                // not the draws of a round: each peer would have just stored them
                start: 0,
                ..self.load(workload, 0)
            };
            wrk::run(contestant.instance.address, &load)?;
        }
        Ok(())
    }

    /// A second of what comes, not measured.
    fn warm(&self, workload: &Workload, contestant: &Contestant) -> Outcome<()> {
        if self.extent.is_full {
            self.ask(workload, &contestant.instance, 0, 1)?;
        }
        Ok(())
    }

    fn load(&self, workload: &Workload, round: usize) -> Load<'_> {
        let (script, what): (&Path, &str) = match workload.work {
            Work::Denied => (&self.scripts.denied, path(1 << 10)),
            Work::Hit(size) | Work::Forward(size) | Work::Idle(size) => {
                (&self.scripts.admitted, path(size))
            }
            Work::Handshake { .. } => (&self.scripts.admitted, path(1 << 10)),
            Work::Mix => (&self.scripts.mix, "draws"),
        };
        Load {
            script,
            what,
            start: (round + 3) * 37_810,
            connections: CONNECTIONS,
            seconds: self.extent.seconds,
            think: 0.0,
        }
    }

    fn cell(&self, workload: &Workload, contestant: &Contestant, round: usize) -> Outcome<Run> {
        interrupt::check()?;
        let instance = &contestant.instance;
        let length = self.sample(workload, instance)?;
        let (idle, idle_bytes) = self.idle(workload, instance)?;
        let asked = self.origin.requests()?;
        let before = Cpu::now(instance.process());
        let counted = self.ask(workload, instance, round, self.extent.seconds)?;
        let cpu = Cpu::now(instance.process()).since(&before);
        let memory = Memory::now(instance.process());
        let asked = self.origin.requests()?.saturating_sub(asked + 1);
        drop(idle);
        self.sample(workload, instance)?;
        Ok(Run {
            workload: workload.name,
            peer: contestant.name,
            round,
            requests: counted.requests,
            rate: counted.rate(),
            p50: counted.p50,
            p99: counted.p99,
            cpu: microseconds(cpu) / counted.requests.max(1) as f64,
            busy: microseconds(cpu) / counted.microseconds.max(1) as f64,
            origin_share: asked as f64 / counted.requests.max(1) as f64,
            resumed: counted.resumed,
            memory,
            // later rounds find memory that an allocator kept from earlier ones
            idle_bytes: idle_bytes.filter(|_| round == 0),
            wrong: answers::wrong(
                (workload, contestant.name, CONNECTIONS),
                &counted,
                asked,
                length,
            ),
        })
    }

    /// Opens what the row has beside it, and tells what a connection takes.
    fn idle(
        &self,
        workload: &Workload,
        instance: &Instance,
    ) -> Outcome<(Option<Idle>, Option<f64>)> {
        let Work::Idle(_) = workload.work else {
            return Ok((None, None));
        };
        let before = Memory::now(instance.process()).shown();
        let count = self.extent.idle;
        let idle = Idle::open(instance.address, count, &self.scripts.single)?;
        let grown = Memory::now(instance.process())
            .shown()
            .saturating_sub(before);
        Ok((Some(idle), Some(grown as f64 / count as f64)))
    }

    /// Looks at one answer byte by byte; tells its length as it is
    /// counted: in HTTP/2 heads differ, so that h2load tells of bodies only.
    fn sample(&self, workload: &Workload, instance: &Instance) -> Outcome<Option<usize>> {
        let mut client = instance.client()?;
        let length = |reply: Reply| match workload.tool() {
            Some(("h2load", _)) => reply.body.len(),
            _ => reply.len(),
        };
        match workload.work {
            Work::Denied => {
                let reply = client.ask(&self.denied.get(path(1 << 10)))?;
                if reply.status != 403 {
                    return Err(format!("status {} instead of 403", reply.status).into());
                }
                Ok(Some(length(reply)))
            }
            Work::Hit(size) | Work::Forward(size) | Work::Idle(size) => {
                check::body(&mut client, &self.without_webp, size)?;
                let reply = check::body(&mut client, &self.admitted, size)?;
                Ok(Some(length(reply)))
            }
            Work::Handshake { .. } => {
                let reply = check::body(&mut client, &self.admitted, 1 << 10)?;
                Ok(Some(length(reply)))
            }
            Work::Mix => {
                for object in (0..20).map(|n| n * 997) {
                    let reply = client.ask(&self.admitted.get(&self.objects.path(object)))?;
                    if reply.body != origin::body(self.objects.size(object)) {
                        return Err(format!("object {object} is not as the origin has it").into());
                    }
                }
                Ok(None)
            }
        }
    }
}

fn path(size: usize) -> &'static str {
    match size {
        0x400 => "/1024.jpg",
        0x2800 => "/10240.jpg",
        0x19000 => "/102400.jpg",
        _ => "/1048576.jpg",
    }
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
