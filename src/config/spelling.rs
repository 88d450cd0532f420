//! Which of the words that are allowed was probably meant.

/// The word in `words` that `found` is most likely a misspelling of.
pub(super) fn closest<'a>(
    found: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let found = plain(found);
    // A third of the letters, one at least: `org` is no misspelling of `ip`.
    let limit = (found.chars().count() / 3).max(1);
    words
        .into_iter()
        .map(|word| (distance(&found, &plain(word)), word))
        .filter(|(distance, word)| *distance <= limit && *distance < word.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// The word in `words` that `found` probably stands for: another word for the
/// same, or a misspelling.
pub(super) fn meant<'a>(
    found: &str,
    words: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let same = match plain(found).as_str() {
        "deny" | "blacklist" | "blocklist" | "denylist" | "forbid" => "block",
        "whitelist" | "allowlist" | "permit" | "pass" => "allow",
        "none" | "disabled" | "no" | "false" => "off",
        "warning" => "warn",
        "remove" | "strip" | "ignore" => "drop",
        _ => "",
    };
    let found_same = words.clone().into_iter().find(|word| *word == same);
    found_same.or_else(|| closest(found, words))
}

/// Keys are often typed `maxConnections`, `max-connections` or `MaxConnections`.
fn plain(word: &str) -> String {
    let letters = word.chars().filter(|letter| !matches!(letter, '_' | '-'));
    letters.flat_map(char::to_lowercase).collect()
}

/// How many letters must be changed, added, removed or swapped with their
/// neighbour to get from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = changed.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_letters() {
        assert_eq!(distance("countries", "countries"), 0);
        assert_eq!(distance("contries", "countries"), 1);
        assert_eq!(distance("countreis", "countries"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn finds_what_was_meant() {
        let words = ["block", "allow", "off"];
        assert_eq!(closest("blok", words), Some("block"));
        assert_eq!(closest("ALLOW", words), Some("allow"));
        assert_eq!(closest("on", words), None);
        assert_eq!(closest("", words), None);
        assert_eq!(meant("deny", words), Some("block"));
        assert_eq!(meant("whitelist", words), Some("allow"));
        assert_eq!(meant("warning", words), None);
        assert_eq!(closest("userAgent", ["user_agent"]), Some("user_agent"));
    }
}
