//! `/-/denials`: the newest denials, and what rules in shadow would have
//! denied.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State as Given};
use axum::response::Response;
use bytes::Bytes;
use hyper::StatusCode;
use ipnet::IpNet;
use url::form_urlencoded;

use super::{State, reply};
use crate::access::RuleId;
use crate::config::Snapshot;
use crate::log::access::{Block, Entry, MOST_KEPT};
use crate::log::counters::RULES;
use crate::network::parse_network;
use crate::replay::{Wanted, derived, host, reference};

/// How many are told where nobody says how many.
const TOLD: usize = 100;

/// No more of an answer is made, in bytes.
const MOST_BYTES: usize = 4 << 20;

/// About as many bytes of it are sent at once.
const PIECE: usize = 64 << 10;

/// What may be asked.
const PARAMETERS: &str = "ref, rule, client, host, shadow and limit";

/// What is asked.
#[derive(Debug)]
pub(super) struct Asked {
    wanted: Wanted,
    limit: usize,
}

/// What is found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// How many are kept, of that kind.
    kept: usize,
    /// How many of them are what was asked for.
    found: usize,
    /// The newest of those, as lines of an access log.
    pub(super) lines: Vec<Vec<u8>>,
}

/// Tells them.
pub(super) async fn answer(Given(state): Given<Arc<State>>, RawQuery(query): RawQuery) -> Response {
    let asked = match Asked::read(query.as_deref().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(why) => return reply::text(StatusCode::BAD_REQUEST, &why),
    };
    match find(Arc::clone(&state), asked).await {
        Some(found) => state.outstanding.json(found.json()),
        None => reply::text(StatusCode::INTERNAL_SERVER_ERROR, "The search panicked."),
    }
}

/// Finds them, on a thread that may take its time; one search at once, so that
/// no more memory than one takes is ever needed. `None`: it panicked.
pub(super) async fn find(state: Arc<State>, asked: Asked) -> Option<Found> {
    let turn = Arc::clone(&state.searching).lock_owned().await;
    let search = move || {
        // It goes on if nobody waits for it any more.
        let _turn = turn;
        state.subject.find(&asked)
    };
    tokio::task::spawn_blocking(search).await.ok()
}

impl Asked {
    /// The one with that `ref`, whatever became of it.
    pub(super) fn reference(reference: &str, shadow: bool) -> Self {
        Self {
            wanted: Wanted {
                reference: Some(reference.to_owned()),
                shadow,
                ..Wanted::default()
            },
            limit: 1,
        }
    }

    fn read(query: &str) -> Result<Self, String> {
        let mut asked = Self {
            wanted: Wanted::default(),
            limit: TOLD,
        };
        for (name, value) in parameters(query)? {
            asked.set(&name, &value)?;
        }
        Ok(asked)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let wanted = &mut self.wanted;
        match name {
            "ref" => {
                let reference = reference(value).map_err(|why| format!("ref: {why}"))?;
                wanted.reference = Some(reference);
            }
            "rule" => wanted.rule = Some(rule(value)?),
            "client" => wanted.client = Some(client(value)?),
            "host" => {
                let host = host(value).ok_or("host: not a host, such as img.example.com")?;
                wanted.host = Some(host);
            }
            "shadow" => {
                wanted.shadow = match value {
                    "true" => true,
                    "false" => false,
                    _ => return Err("shadow: true or false".to_owned()),
                }
            }
            "limit" => {
                let limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=MOST_KEPT).contains(limit));
                self.limit = limit.ok_or_else(|| format!("limit: 1 to {MOST_KEPT}"))?;
            }
            _ => {
                return Err(format!(
                    "there is no parameter of that name: it takes {PARAMETERS}"
                ));
            }
        }
        Ok(())
    }
}

/// What stands in a query, each name once.
pub(super) fn parameters(query: &str) -> Result<BTreeMap<Cow<'_, str>, Cow<'_, str>>, String> {
    let mut all = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if all.contains_key(&name) {
            return Err("no parameter may be there twice".to_owned());
        }
        all.insert(name, value);
    }
    Ok(all)
}

fn rule(id: &str) -> Result<RuleId, String> {
    RuleId::parse(id).ok_or_else(|| {
        let all = RuleId::ALL.map(RuleId::as_str).join(", ");
        format!("rule: no such rule; there are {all}")
    })
}

fn client(text: &str) -> Result<IpNet, String> {
    let written = parse_network(text).map_err(|error| {
        format!("client: not an address or a network, such as 203.0.113.0/24: {error}")
    })?;
    Ok(written.network)
}

impl super::Subject {
    /// What is kept and asked for. Formatting is left for what is told.
    fn find(&self, asked: &Asked) -> Found {
        let snapshot = self.policy.load_full();
        let blocks = self.kept(asked.wanted.shadow);
        let entries = newest_first(&blocks, asked.wanted.shadow);
        let mut found = Found {
            kept: entries.len(),
            ..Found::default()
        };
        let sought = asked.wanted.reference.as_deref().map(str::as_bytes);
        let mut bytes = 0;
        for entry in entries {
            if sought.is_some_and(|sought| entry.reference() != sought)
                || !asked.wanted.has(&line(&entry, &snapshot, false))
            {
                continue;
            }
            found.found += 1;
            if found.lines.len() < asked.limit && bytes < MOST_BYTES {
                let line = line(&entry, &snapshot, true);
                bytes += line.len();
                found.lines.push(line);
            }
        }
        found
    }

    /// Everything that is kept: of a denied request it may be known that a rule
    /// in shadow would have denied it too.
    pub(super) fn kept(&self, shadow: bool) -> Vec<Arc<Block>> {
        let mut blocks = self.counters.kept(|kept| &kept.denials);
        if shadow {
            blocks.extend(self.counters.kept(|kept| &kept.would_be));
        }
        blocks
    }
}

/// An entry as a line of an access log; `whole`: with what only the
/// configuration that decided it can tell, if that is still in force.
pub(super) fn line(entry: &Entry<'_>, snapshot: &Snapshot, whole: bool) -> Vec<u8> {
    const NAMES: [&str; RULES] = {
        let mut names = [""; RULES];
        let mut number = 0;
        while number < RULES {
            names[number] = RuleId::ALL[number].as_str();
            number += 1;
        }
        names
    };
    match entry {
        Entry::Line(line) => line.to_vec(),
        Entry::Raw(raw) => {
            let line = raw.line(&NAMES, None);
            if !whole || raw.generation() != snapshot.generation {
                return line;
            }
            let accept: Vec<&[u8]> = raw.accept().collect();
            let derived = derived(&line, &accept, snapshot);
            derived.map_or(line, |derived| raw.line(&NAMES, Some(&derived)))
        }
    }
}

/// What is kept, no more than is promised; of `shadow` only that.
pub(super) fn newest_first(blocks: &[Arc<Block>], shadow: bool) -> Vec<Entry<'_>> {
    let entries = blocks.iter().flat_map(|block| block.entries());
    let entries = entries.filter(|entry| !shadow || entry.would_deny());
    let mut entries: Vec<(String, Entry<'_>)> =
        entries.map(|entry| (entry.time(), entry)).collect();
    // Of the same millisecond, those of a block that came later are newer.
    entries.reverse();
    entries.sort_by(|(a, _), (b, _)| b.cmp(a));
    entries.truncate(MOST_KEPT);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

impl Found {
    /// Each on a line of its own, so that `grep` finds it too. What is written
    /// of a line is no longer there twice.
    fn json(self) -> Vec<Bytes> {
        let (kept, found) = (self.kept, self.found);
        let mut pieces = Vec::new();
        let mut piece = format!("{{\"kept\":{kept},\"found\":{found},\"denials\":[").into_bytes();
        for (index, line) in self.lines.into_iter().enumerate() {
            piece.extend_from_slice(if index > 0 { b",\n" } else { b"\n" });
            piece.extend_from_slice(&line);
            if piece.len() >= PIECE {
                pieces.push(Bytes::from(piece.into_boxed_slice()));
                piece = Vec::with_capacity(PIECE);
            }
        }
        piece.extend_from_slice(b"\n]}\n");
        pieces.push(piece.into());
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_asked() {
        let asked = Asked::read(
            "ref=8AA2M89X6EGJY0WNCQTN&rule=geo.allow&client=203.0.113.9&host=IMG.example.com&shadow=true&limit=7",
        );
        let Asked { wanted, limit } = asked.unwrap();
        assert_eq!(wanted.reference.as_deref(), Some("8aa2m89x6egjy0wncqtn"));
        assert_eq!(wanted.rule, Some(RuleId::GeoAllow));
        assert_eq!(wanted.client, "203.0.113.9/32".parse().ok());
        assert_eq!(wanted.host.as_deref(), Some("img.example.com"));
        assert!(wanted.shadow && limit == 7);
        assert_eq!(Asked::read("").unwrap().limit, TOLD);
        for (query, word) in [
            ("rule=geo", "geo.allow"),
            ("client=10.0.0.0/33", "network"),
            ("client=", "network"),
            ("host=a%20b", "host"),
            ("shadow=yes", "true or false"),
            ("limit=0", "1 to 10000"),
            ("limit=10001", "1 to 10000"),
            ("limit=-1", "1 to 10000"),
            ("from=1", "ref, rule"),
            ("ref", "20 letters"),
            ("ref=8aa2m89x6egjy0wncqt&", "20 letters"),
            ("rule=geo.allow&rule=ip.block", "there twice"),
            ("client=10.0.0.1&shadow=true&client=10.0.0.2", "there twice"),
        ] {
            match Asked::read(query) {
                Ok(_) => assert_eq!(word, "", "{query}"),
                Err(why) => assert!(why.contains(word), "{query}: {why}"),
            }
        }
    }
}
