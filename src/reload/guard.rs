//! What a change on disk may not do by itself (section 3, "List files and
//! databases being written"): a file that lost much was more likely cut short
//! than meant so.

use std::fmt;
use std::path::PathBuf;

use crate::config::{Held, SourceFile};

/// Files that someone has to confirm; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Doubts(Vec<Doubt>);

/// A file that someone has to confirm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Which file.
    pub path: PathBuf,
    /// What is the matter with it.
    pub loss: Loss,
    /// Entries of a list, nodes of a database, in the snapshot in force.
    pub before: u64,
    /// The same in the file now.
    pub after: u64,
}

/// Why a file may have been cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing is in it.
    Empty,
    /// Not even half of what was in it.
    MoreThanHalf,
    /// The last line of a list has no newline.
    Newline,
}

impl Doubts {
    /// Compares the files of a snapshot in force with those of the next.
    ///
    /// # Errors
    ///
    /// The files that lost too much, or look cut short.
    pub(super) fn check(old: &[SourceFile], new: &[SourceFile]) -> Result<(), Self> {
        let doubts = new.iter().filter_map(|file| {
            let before = old.iter().find(|old| old.path == file.path);
            // What is in force already was confirmed, or was there at the start.
            let known = before.is_some_and(|before| before.has_bytes_of(file));
            let before = before.map_or(Held::Uncounted, |before| before.held);
            (!known).then(|| doubt(file, before)).flatten()
        });
        let doubts: Vec<Doubt> = doubts.collect();
        if doubts.is_empty() {
            Ok(())
        } else {
            Err(Self(doubts))
        }
    }
}

fn doubt(file: &SourceFile, before: Held) -> Option<Doubt> {
    let (after, whole) = match file.held {
        Held::Uncounted => return None,
        Held::List {
            entries,
            ends_in_newline,
        } => (entries, ends_in_newline),
        Held::Database { nodes } => (nodes, true),
    };
    let before = match before {
        Held::Uncounted => None,
        Held::List { entries, .. } => Some(entries),
        Held::Database { nodes } => Some(nodes),
    };
    let loss = match before {
        // Nobody can lose what was not there.
        Some(0) if after == 0 && whole => return None,
        _ if after == 0 => Loss::Empty,
        Some(before) if after < before.div_ceil(2) => Loss::MoreThanHalf,
        _ if !whole => Loss::Newline,
        _ => return None,
    };
    Some(Doubt {
        path: file.path.clone(),
        loss,
        before: before.unwrap_or(0),
        after,
    })
}

impl fmt::Display for Doubts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for doubt in &self.0 {
            write!(f, "{doubt}; ")?;
        }
        f.write_str("was it cut short, or is it still being written? If this is meant, confirm it by SIGHUP or POST /-/reload")
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, after, .. } = self;
        let path = self.path.display();
        match self.loss {
            Loss::Empty => write!(f, "{path} is empty")?,
            Loss::MoreThanHalf => write!(f, "{path} lost more than half of its entries")?,
            Loss::Newline => write!(f, "the last line of {path} has no newline")?,
        }
        write!(f, " ({before} entries before, {after} now)")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::config;

    const POLICY: &str =
        "[origin]\nurl = \"http://127.0.0.1:9\"\n[access.ip]\nblock_files = [\"l\"]\n";

    /// The files of a configuration with that list.
    fn sources(list: &str) -> Vec<SourceFile> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("p.toml"), POLICY).unwrap();
        std::fs::write(at("l"), list).unwrap();
        let (snapshot, _) = config::load(&at("p.toml")).unwrap();
        let mut sources = snapshot.sources;
        for file in &mut sources {
            file.path = file.path.file_name().unwrap().into();
        }
        sources
    }

    fn lines(count: usize) -> String {
        (0..count).map(|n| format!("10.0.0.{n}\n")).collect()
    }

    #[rstest]
    #[case::grows(4, lines(5), None)]
    #[case::half(4, lines(2), None)]
    #[case::half_of_odd(5, lines(3), None)]
    #[case::less_than_half(4, lines(1), Some((Loss::MoreThanHalf, 1)))]
    #[case::less_than_half_of_odd(5, lines(2), Some((Loss::MoreThanHalf, 2)))]
    #[case::nothing(1, String::new(), Some((Loss::Empty, 0)))]
    #[case::only_comments(1, "# none\n".to_owned(), Some((Loss::Empty, 0)))]
    #[case::nothing_from_nothing(0, "# still none\n".to_owned(), None)]
    #[case::no_newline(1, "10.0.0.1\n10.0.0.2".to_owned(), Some((Loss::Newline, 2)))]
    #[case::no_newline_from_nothing(0, "10.0.0.1".to_owned(), Some((Loss::Newline, 1)))]
    #[case::nothing_and_no_newline(0, "# none".to_owned(), Some((Loss::Empty, 0)))]
    fn a_list(#[case] before: usize, #[case] now: String, #[case] expected: Option<(Loss, u64)>) {
        let found = Doubts::check(&sources(&lines(before)), &sources(&now));
        let expected = expected.map(|(loss, after)| Doubt {
            path: "l".into(),
            loss,
            before: before as u64,
            after,
        });
        let expected = expected.map_or(Ok(()), |doubt| Err(Doubts(vec![doubt])));
        assert_eq!(found, expected);
    }

    #[test]
    fn one_that_is_in_force_is_not_doubted_and_one_newly_named_is() {
        let cut = sources("10.0.0.1");
        assert_eq!(Doubts::check(&cut, &cut), Ok(()));
        let doubts = Doubts::check(&cut[..1], &cut).unwrap_err();
        let told = doubts.to_string();
        assert!(
            told.starts_with("the last line of l has no newline (0 entries before, 1 now); ")
                && told.contains("SIGHUP or POST /-/reload"),
            "{told}"
        );
    }
}
