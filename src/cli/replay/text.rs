//! A report for people.

use std::fmt::Write as _;

use crate::message::terminal::plain;
use crate::replay::{Group, Report, RuleReport, Sample};

/// Letters of a value that are shown.
const WIDTH: usize = 100;

/// The report as text, without the end of its last line.
pub(super) fn of(report: &Report) -> String {
    let mut text = String::new();
    push_totals(&mut text, report);
    push_rules(&mut text, report);
    push_groups(&mut text, report);
    push_samples(&mut text, &report.samples);
    text.truncate(text.trim_end().len());
    text
}

// Writing to a String cannot fail: results of `writeln!` are dropped below.

fn push_totals(text: &mut String, report: &Report) {
    let before = match report.against {
        "file" => "the old file",
        _ => "what was logged",
    };
    let (requests, lines) = (
        counted(report.requests, "request"),
        counted(report.lines, "line"),
    );
    let _ = writeln!(text, "{requests} in {lines}, against {before}");
    let skipped = report
        .skipped
        .iter()
        .map(|(why, count)| (why.as_str(), *count));
    push_reasons(text, "skipped", skipped);
    let undecided = report.undecided.iter().map(|(why, count)| (*why, *count));
    push_reasons(text, "undecided", undecided);
    if let Some(differs) = report.old_differs_from_log.filter(|differs| *differs > 0) {
        let _ = writeln!(
            text,
            "{} the old file decides otherwise than the log says: did it write this log?",
            grouped(differs)
        );
    }
    push_decisions(text, report);
    push_keys(text, report);
}

fn push_decisions(text: &mut String, report: &Report) {
    let decisions = &report.decisions;
    let _ = writeln!(
        text,
        "\ndecisions  {:>12} of {}",
        changed(decisions.changed),
        grouped(report.decided())
    );
    for (name, count) in [
        ("newly denied", decisions.newly_denied),
        ("newly forwarded", decisions.newly_forwarded),
        ("denied by another rule", decisions.denied_otherwise),
        ("newly rejected", decisions.newly_rejected),
        ("no longer rejected", decisions.no_longer_rejected),
        ("rejected otherwise", decisions.rejected_otherwise),
    ] {
        if count > 0 {
            let _ = writeln!(
                text,
                "  {:>12} {name} ({} %)",
                grouped(count),
                percent(count, report.decided())
            );
        }
    }
}

fn push_keys(text: &mut String, report: &Report) {
    let keys = &report.keys;
    let _ = writeln!(
        text,
        "cache keys {:>12} of {}{}",
        changed(keys.changed),
        grouped(keys.compared),
        open(keys.undecided)
    );
    let about = if keys.distinct.error_percent > 0.0 {
        "about "
    } else {
        ""
    };
    let (old, new) = (keys.distinct.before, keys.distinct.after);
    let _ = writeln!(
        text,
        "  {about}{} different ones, before {about}{}",
        grouped(new),
        grouped(old)
    );
    let variants = &report.variants;
    let _ = writeln!(
        text,
        "variants   {:>12} of {}{}",
        changed(variants.changed),
        grouped(variants.compared),
        open(variants.undecided)
    );
    if report.against == "log"
        && (keys.undecided > 0
            || variants.undecided > 0
            || report.undecided.contains_key("client_field"))
    {
        text.push_str("  (`--against` the file that wrote the log decides more of them)\n");
    }
}

fn push_reasons<'a>(text: &mut String, what: &str, reasons: impl Iterator<Item = (&'a str, u64)>) {
    let reasons: Vec<(&str, u64)> = reasons.collect();
    if reasons.is_empty() {
        return;
    }
    let total: u64 = reasons.iter().map(|(_, count)| count).sum();
    let told: Vec<String> = reasons
        .iter()
        .map(|(why, count)| format!("{why} {}", grouped(*count)))
        .collect();
    let _ = writeln!(text, "{} {what}: {}", grouped(total), told.join(", "));
}

fn push_rules(text: &mut String, report: &Report) {
    text.push_str("\nrules\n");
    let decided = report.decided();
    for rule in &report.rules {
        let after = rule.denied_after + rule.would_deny_after;
        let before = rule.denied_before + rule.would_deny_before;
        let open = rule.would_deny_undecided_after;
        if after == 0 && before == 0 && open == 0 {
            continue;
        }
        let _ = writeln!(
            text,
            "  {:<17} would have denied {} of {} ({} %){}{}, before {}{}{}",
            rule.rule,
            grouped(after),
            grouped(decided),
            percent(after, decided),
            if rule.would_deny_after + open > 0 {
                " if not in shadow"
            } else {
                ""
            },
            mostly(rule, after),
            grouped(before),
            untold(" (", rule.would_deny_undecided_before, ")"),
            untold("; ", open, " by the log"),
        );
    }
}

/// Would-be denials that nobody can count.
fn untold(start: &str, count: u64, end: &str) -> String {
    match count {
        0 => String::new(),
        count => format!("{start}{} more cannot be told{end}", grouped(count)),
    }
}

fn mostly(rule: &RuleReport, denials: u64) -> String {
    let Some(share) = &rule.mostly else {
        return String::new();
    };
    let how = match 2 * share.requests > denials {
        true => "mostly",
        false => "most often",
    };
    let what = name(share.what);
    match &share.value {
        Some(value) => format!(
            ", {how} {what} {} ({})",
            short(value),
            grouped(share.requests)
        ),
        None => format!(", {how} without a {what} ({})", grouped(share.requests)),
    }
}

fn push_groups(text: &mut String, report: &Report) {
    for (change, groups) in &report.groups {
        for (what, groups) in [
            ("rule", &groups.rule),
            ("route", &groups.route),
            ("country", &groups.country),
            ("referrer", &groups.referrer),
            ("user_agent", &groups.user_agent),
        ] {
            // That all of them have none says nothing.
            if groups.iter().any(|group| group.value.is_some()) {
                let _ = writeln!(text, "\n{} by {}", name(change), name(what));
                groups.iter().for_each(|group| push_group(text, group));
            }
        }
    }
}

fn push_group(text: &mut String, group: &Group) {
    let value = match group.value.as_deref() {
        Some(value) => short(value),
        None if group.known => "-".to_owned(),
        None => "(not known)".to_owned(),
    };
    let _ = match group.error {
        0 => writeln!(text, "{:>12}  {value}", grouped(group.requests)),
        error => writeln!(
            text,
            "{:>12}  {value} (up to {} more)",
            grouped(group.requests),
            grouped(error)
        ),
    };
}

fn push_samples(text: &mut String, samples: &[Sample]) {
    if samples.is_empty() {
        return;
    }
    text.push_str("\nsamples\n");
    for sample in samples {
        let _ = writeln!(
            text,
            "  {}: {} -> {}\n    {} {}",
            name(sample.change),
            short(&sample.before),
            short(&sample.after),
            short(&sample.method),
            short(&sample.url),
        );
        let about = [
            ("ref", &sample.reference),
            ("client", &sample.client),
            ("referer", &sample.referer),
            ("origin", &sample.origin_field),
            ("user agent", &sample.user_agent),
        ];
        let about = about.into_iter().filter_map(|(name, value)| {
            let value = value.as_deref()?;
            Some(format!("{name} {}", short(value)))
        });
        let _ = writeln!(text, "    {}", about.collect::<Vec<_>>().join(", "));
    }
}

fn open(undecided: u64) -> String {
    match undecided {
        0 => String::new(),
        count => format!(", {} undecided", grouped(count)),
    }
}

fn changed(count: u64) -> String {
    format!("{} changed", grouped(count))
}

fn counted(count: u64, what: &str) -> String {
    format!(
        "{} {what}{}",
        grouped(count),
        if count == 1 { "" } else { "s" }
    )
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.1}", 100.0 * part as f64 / whole.max(1) as f64)
}

/// A name of JSON for people.
fn name(name: &str) -> String {
    name.replace('_', " ")
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a request brought along, short and harmless.
fn short(value: &str) -> String {
    match value.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}...", plain(&value[..end])),
        None => plain(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_values() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0, 999, 1000, 1_234_567]
                .map(grouped)
                .each_ref()
                .map(String::as_str)
        );
        assert_eq!(percent(1, 0), "100.0");
        assert_eq!(short("a\x1b[0m"), "a\\u{1b}[0m");
        assert_eq!(short(&"ü".repeat(101)), format!("{}...", "ü".repeat(100)));
    }
}
