//! The globs of the policy as regular expressions, for peers that have none.

/// What a host has to be to fit. `*` and `?` stop at a dot.
fn host(glob: &str) -> String {
    let mut regex = String::new();
    let mut depth = 0;
    for character in glob.chars() {
        match character {
            '*' => regex.push_str("[^.]*"),
            '?' => regex.push_str("[^.]"),
            '.' => regex.push_str(r"\."),
            '{' => {
                depth += 1;
                regex.push_str("(?:");
            }
            '}' => {
                depth -= 1;
                regex.push(')');
            }
            ',' if depth > 0 => regex.push('|'),
            other => regex.push(other),
        }
    }
    regex
}

/// What an `Origin`, or the Referer that stands in for it, has to be to fit
/// one of the globs.
pub(crate) fn any(globs: &[String]) -> String {
    let hosts: Vec<String> = globs.iter().map(|glob| host(glob)).collect();
    format!(r"^https?://(?:{})(?::[0-9]+)?(?:[/?#]|$)", hosts.join("|"))
}

/// Any of these words, taken as they are.
pub(crate) fn words(words: &[&str]) -> String {
    let escaped: Vec<String> = words.iter().map(|word| word.replace('.', r"\.")).collect();
    format!("(?:{})", escaped.join("|"))
}

/// A path with one of these extensions.
pub(crate) fn extensions(extensions: &[&str]) -> String {
    format!(r"\.(?:{})$", extensions.join("|"))
}
