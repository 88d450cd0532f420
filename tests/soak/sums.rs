//! Whether the counters add up.

use std::collections::BTreeMap;

use crate::world::World;

/// The numbers of a page of metrics, named as the ledger names its sums.
pub(crate) struct Metrics(Vec<(String, BTreeMap<String, String>, f64)>);

impl Metrics {
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(parse).collect())
    }

    /// The sum of what has this name and these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let fits = |known: &BTreeMap<String, String>| {
            labels
                .iter()
                .all(|(name, value)| known.get(*name).is_some_and(|known| known == value))
        };
        let found = self
            .0
            .iter()
            .filter(|(known, with, _)| known == name && fits(with));
        found.map(|(_, _, value)| *value as u64).sum()
    }

    /// As the ledger has them.
    fn sums(&self) -> BTreeMap<String, u64> {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for (name, labels, value) in &self.0 {
            let label = |name: &str| labels.get(name).map_or("", String::as_str);
            let key = match name.as_str() {
                "portcullis_requests_total" => format!(
                    "verdict {} {} {}",
                    label("verdict"),
                    label("rule"),
                    label("status")
                ),
                "portcullis_request_errors_total" => format!("error {}", label("error")),
                "portcullis_cache_requests_total" => format!("cache {}", label("result")),
                "portcullis_sent_bytes_total" => "bytes".to_owned(),
                _ => continue,
            };
            *sums.entry(key).or_default() += *value as u64;
        }
        sums
    }
}

fn parse(line: &str) -> Option<(String, BTreeMap<String, String>, f64)> {
    let (name, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = name.split_once('{') else {
        return Some((name.to_owned(), BTreeMap::new(), value));
    };
    let labels = labels
        .trim_end_matches('}')
        .split("\",")
        .filter_map(|label| {
            let (name, value) = label.split_once("=\"")?;
            Some((name.to_owned(), value.trim_end_matches('"').to_owned()))
        });
    Some((name.to_owned(), labels.collect(), value))
}

/// Counters and lines say the same, and nothing is lost.
pub(crate) fn compare(world: &World, metrics: &Metrics) {
    let mut counted = metrics.sums();
    counted.retain(|_, count| *count > 0);
    let logged = world.ledger.lock().unwrap().sums.clone();
    let named = |key: &&String| {
        // What never got to the cache or the origin has other words there.
        !key.starts_with("error ") && **key != "lines" || counted.contains_key(*key)
    };
    let keys: std::collections::BTreeSet<&String> =
        counted.keys().chain(logged.keys().filter(named)).collect();
    for key in keys {
        let [counter, lines] = [&counted, &logged].map(|sums| sums.get(key).copied().unwrap_or(0));
        if counter != lines {
            world.wrong(
                "counters and access log differ",
                &format!("{key}: {counter} counted, {lines} logged"),
            );
        }
    }
    for name in [
        "portcullis_panics_total",
        "portcullis_access_log_lines_lost_total",
    ] {
        if metrics.sum(name, &[]) > 0 {
            world.wrong("a counter that must be 0", name);
        }
    }
    let ended: u64 = metrics.sum("portcullis_cache_fills_ended_total", &[]);
    let begun = metrics.sum("portcullis_cache_fills_begun_total", &[]);
    if begun != ended {
        world.wrong(
            "fills that do not end",
            &format!("{begun} begun, {ended} ended"),
        );
    }
}
