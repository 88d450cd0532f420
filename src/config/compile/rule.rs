//! What the rule tables have in common.

use crate::config::error::{Finding, Spot};
use crate::config::file::{Limits, List, Maybe, Mode, Written};
use crate::config::reader::Findings;

/// One of `[limits]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    key: &'static str,
    most: usize,
}

/// `[limits]`: how much one list may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListLimits {
    pub(super) ip_entries: Limit,
    pub(super) referrers: Limit,
    pub(super) origin_patterns: Limit,
    pub(super) user_agents: Limit,
}

impl ListLimits {
    pub(super) fn new(raw: &Limits) -> Self {
        let limit = |key, written: &Maybe<usize>, most| Limit {
            key,
            most: written.as_ref().map_or(most, |written| written.value),
        };
        Self {
            ip_entries: limit("limits.ip_entries", &raw.ip_entries, 100),
            referrers: limit("limits.referrers", &raw.referrers, 30),
            origin_patterns: limit("limits.origin_patterns", &raw.origin_patterns, 20),
            user_agents: limit("limits.user_agents", &raw.user_agents, 10),
        }
    }
}

impl Limit {
    /// Reports the first entry of `list` that is too many.
    pub(super) fn check(self, list: &List, findings: &Findings) {
        let Self { key, most } = self;
        let Some(first) = list.iter().nth(most) else {
            return;
        };
        let count = list.len();
        let message = format!("this list has {count} entries, and {key} allows {most}");
        let spot = Spot {
            key: list.spot.key.clone(),
            ..first.spot()
        };
        findings.add(
            spot.error(message)
                .label("the first one too many")
                .allowed(format!("{most} at most"))
                .help(format!("raise {key} to {count}, or take entries out")),
        );
    }
}

/// `key` of `table` may not be left to its default, because of what stands at
/// `why`.
pub(super) fn must_be_written(why: &Spot, table: &Spot, key: &str, when: &str) -> Finding {
    let spot = Spot {
        span: why.span.clone(),
        ..table.lacking(key)
    };
    let message = format!("must be written out when {when}");
    spot.error(message).label(format!("`{key}` is missing"))
}

/// A mode other than off, and nothing that it is about.
pub(super) fn nothing_listed(mode: &Written<Mode>, table: &Spot, key: &str) -> Finding {
    let spot = Spot {
        span: mode.spot.span.clone(),
        ..table.lacking(key)
    };
    let (mode, meaning) = match mode.value {
        Mode::Off => ("off", "that does nothing"),
        Mode::Block => ("block", "that would block nobody"),
        Mode::Allow => ("allow", "that would let nobody in"),
    };
    let message = format!("nothing is listed, and mode = \"{mode}\": {meaning}");
    spot.error(message).label(format!("`{key}` is empty"))
}

/// A list that waits for a mode: only a written mode says whether that is
/// meant.
pub(super) fn mode_must_be_written(list: &List, table: &Spot) -> Finding {
    let spot = Spot {
        span: list.spot.span.clone(),
        ..table.lacking("mode")
    };
    let finding = spot.error("is missing, so the list does nothing");
    finding
        .label("`mode` is missing")
        .allowed("\"off\", \"block\" or \"allow\"")
        .help(
            "write `mode = \"block\"` to refuse what is listed, `mode = \"allow\"` to let nothing \
             else in, or `mode = \"off\"` if the list is to wait",
        )
}

/// Whether a switch that is off by default is on.
pub(super) fn is_on(written: Option<&Written<bool>>) -> bool {
    written.is_some_and(|written| written.value)
}
