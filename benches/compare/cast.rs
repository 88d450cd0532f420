//! Who takes part in what, and whether they mean the same.

use std::collections::BTreeSet;

use crate::Outcome;
use crate::check::Check;
use crate::measure::Bench;
use crate::options::Choice;
use crate::peers::{self, Name, Peer, Purpose};
use crate::workload::{self, Wire, Workload};

/// What takes part, and what is missing.
pub(crate) struct Cast {
    pub(crate) peers: Vec<Peer>,
    pub(crate) missing: Vec<String>,
    pub(crate) workloads: Vec<Workload>,
    /// By which of them decisions are looked at.
    wires: Vec<Wire>,
}

impl Cast {
    pub(crate) fn choose(choice: &Choice) -> Outcome<Self> {
        let (peers, mut missing) = peers::installed(&choice.portcullis);
        let peers = chosen_peers(peers, &choice.peers)?;
        let mut workloads = chosen_workloads(&choice.workloads)?;
        let mut wires = vec![Wire::Clear, Wire::Tls];
        wires.retain(|wire| workloads.iter().any(|row| is_checked_by(*wire, row)));
        missing.extend(without_tool(&mut workloads));
        for missing in &missing {
            println!("NOT COMPARED: {missing}");
        }
        Ok(Self {
            peers,
            missing,
            workloads,
            wires,
        })
    }

    /// An error that tells where they do not; else how many requests showed it.
    pub(crate) fn policies_agree(&self, bench: &Bench) -> Outcome<usize> {
        let check = Check::new(&bench.policy);
        let mut wrong = Vec::new();
        for wire in &self.wires {
            for peer in &self.peers {
                wrong.extend(differences(bench, &check, peer, *wire)?);
            }
        }
        let (count, first) = (wrong.len(), &wrong[..wrong.len().min(30)]);
        if count == 0 {
            let peers = self.peers.len();
            println!(
                "{} requests are decided alike by {peers} peers",
                check.len()
            );
            return Ok(check.len());
        }
        let first = first.join("\n");
        Err(format!("the policies do not mean the same, {count} times:\n{first}").into())
    }
}

/// Portcullis and those that are named, all of them where none is.
fn chosen_peers(mut peers: Vec<Peer>, names: &[String]) -> Outcome<Vec<Peer>> {
    let known = ["nginx", "haproxy", "varnish"];
    let unknown = |name: &&String| !known.contains(&name.as_str());
    if let Some(name) = names.iter().find(unknown) {
        let known = known.join(", ");
        return Err(format!("no peer is called {name:?}; there are {known}").into());
    }
    peers.retain(|peer| {
        let name = peer.name.to_string().to_ascii_lowercase();
        names.is_empty() || peer.name == Name::Portcullis || names.contains(&name)
    });
    Ok(peers)
}

/// Those that begin with one of the names, all of them where there is none.
fn chosen_workloads(names: &[String]) -> Outcome<Vec<Workload>> {
    let mut workloads = workload::all();
    let begins = |workload: &Workload, name: &String| workload.name.starts_with(name.as_str());
    let unknown = |name: &&String| !workloads.iter().any(|workload| begins(workload, name));
    if let Some(name) = names.iter().find(unknown) {
        let known: Vec<&str> = workloads.iter().map(|workload| workload.name).collect();
        let known = known.join(", ");
        return Err(format!("no workload begins with {name:?}; there are {known}").into());
    }
    workloads
        .retain(|workload| names.is_empty() || names.iter().any(|name| begins(workload, name)));
    Ok(workloads)
}

/// Takes those out for which there is no tool; tells which are missing.
fn without_tool(workloads: &mut Vec<Workload>) -> BTreeSet<String> {
    let lacking = |workload: &Workload| {
        let tool = workload.tool();
        tool.filter(|(program, _)| peers::program(program).is_none())
    };
    let missing = workloads.iter().filter_map(lacking);
    let missing = missing.map(|(program, package)| {
        format!("there is no {program} (Debian: {package}) for the workloads that it asks")
    });
    let missing = missing.collect();
    workloads.retain(|workload| lacking(workload).is_none());
    missing
}

/// Where there is TLS, what is decided is looked at by HTTP/1.1.
fn is_checked_by(wire: Wire, workload: &Workload) -> bool {
    workload.is_encrypted() == (wire != Wire::Clear)
}

/// What this peer decides otherwise than it should.
fn differences(bench: &Bench, check: &Check, peer: &Peer, wire: Wire) -> Outcome<Vec<String>> {
    let mut wrong = Vec::new();
    if wire == Wire::Tls && peer.name == Name::Varnish {
        return Ok(wrong);
    }
    for cache in [None, Some(Bench::ample())] {
        let purpose = Purpose {
            wire,
            ..Purpose::clear(cache)
        };
        let instance = bench.start(peer, purpose)?;
        let found = check.run(&instance, &bench.origin, cache.is_some())?;
        let named = |what| format!("{}, {}: {what}", peer.name, instance.scheme());
        wrong.extend(found.into_iter().map(named));
    }
    Ok(wrong)
}
