//! Many path patterns at once: the first route that fits, without asking each.

use std::collections::{BTreeMap, HashSet};

use super::pattern::{Glob, Rest};

/// Path patterns of routes, by the literal text that they begin with.
///
/// Of the literals that begin a path, the longest is the last one in byte
/// order that is not after the path, or begins that one: whatever stands
/// between a literal and a path that it begins, it begins too. So one search
/// finds an end of the chain that all literals of a path are on. A `*` that
/// ends its segment leads to an index of what follows; patterns with another
/// `*` behind the same literal are compared one by one.
#[derive(Clone, Debug)]
pub(super) struct PathIndex {
    /// In byte order, each literal once.
    literals: Box<[Literal]>,
}

/// One literal, and the patterns that begin with it.
#[derive(Clone, Debug)]
struct Literal {
    text: Box<[u8]>,
    /// The next on the chain: the longest other literal that begins this one.
    shorter: Option<usize>,
    /// Routes with what follows the literal, each different rest once, the
    /// first route first.
    rests: Box<[(usize, Rest)]>,
    /// What follows a `*` that ends the segment.
    below: Option<Box<PathIndex>>,
}

/// How many times a `*` may lead to an index: a pattern may have any number of
/// them, and the stack has to do.
const DEPTH: usize = 8;

impl PathIndex {
    /// Takes patterns with their routes, in the order of routes.
    pub(super) fn new<'a>(patterns: impl Iterator<Item = (usize, &'a Glob)>) -> Self {
        Self::nested(patterns, DEPTH)
    }

    fn nested<'a>(patterns: impl Iterator<Item = (usize, &'a Glob)>, depth: usize) -> Self {
        let mut by_literal: BTreeMap<&[u8], Vec<(usize, &Rest)>> = BTreeMap::new();
        for (route, Glob { literal, rest }) in patterns {
            by_literal.entry(literal).or_default().push((route, rest));
        }
        let mut literals: Vec<Literal> = Vec::with_capacity(by_literal.len());
        // The chain of the literal before.
        let mut chain: Vec<usize> = Vec::new();
        for (text, rests) in by_literal {
            while let Some(last) = chain.last()
                && !text.starts_with(&literals[*last].text)
            {
                chain.pop();
            }
            let shorter = chain.last().copied();
            chain.push(literals.len());
            literals.push(Literal::new(text, shorter, &rests, depth));
        }
        Self {
            literals: literals.into(),
        }
    }

    /// The first route that has a pattern which fits `path`, if it comes
    /// before the route `end`; else `end`.
    pub(super) fn first(&self, path: &[u8], end: usize) -> usize {
        let after = self.literals.partition_point(|l| *l.text <= *path);
        let mut at = after.checked_sub(1);
        let mut first = end;
        while let Some(literal) = at.map(|at| &self.literals[at]) {
            first = literal.first(path, first);
            at = literal.shorter;
        }
        first
    }
}

impl Literal {
    fn new(text: &[u8], shorter: Option<usize>, all: &[(usize, &Rest)], depth: usize) -> Self {
        let mut seen = HashSet::new();
        let mut rests = Vec::new();
        let mut below = Vec::new();
        for (route, rest) in all.iter().filter(|(_, rest)| seen.insert(*rest)) {
            match rest.below_segment().filter(|_| depth > 0) {
                Some(glob) => below.push((*route, glob)),
                None => rests.push((*route, (*rest).clone())),
            }
        }
        let index = |below: &[(usize, Glob)]| {
            let patterns = below.iter().map(|(route, glob)| (*route, glob));
            Box::new(PathIndex::nested(patterns, depth - 1))
        };
        Self {
            text: text.into(),
            shorter,
            rests: rests.into(),
            below: (!below.is_empty()).then(|| index(&below)),
        }
    }

    /// As [`PathIndex::first`].
    fn first(&self, path: &[u8], end: usize) -> usize {
        let Some(behind) = path.strip_prefix(&*self.text) else {
            return end;
        };
        let first = (self.rests.iter())
            .take_while(|(route, _)| *route < end)
            .find(|(_, rest)| rest.matches(behind))
            .map_or(end, |(route, _)| *route);
        let Some(index) = &self.below else {
            return first;
        };
        let segment = behind.iter().position(|byte| *byte == b'/');
        segment.map_or(first, |at| index.first(&behind[at..], first))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::route::PathPattern;

    fn index(patterns: &[PathPattern]) -> PathIndex {
        PathIndex::new(patterns.iter().map(PathPattern::normal).enumerate())
    }

    fn parsed<T: AsRef<str>>(patterns: &[T]) -> Vec<PathPattern> {
        (patterns.iter())
            .filter_map(|text| PathPattern::parse(text.as_ref()).ok())
            .collect()
    }

    #[test]
    fn the_first_of_all_literals_wins() {
        let patterns = parsed(&[
            "/a/b/c", "/a/b*", "/a/**", "/a/b/**", "/**", "/a", "/x/*", "/",
        ]);
        let index = index(&patterns);
        assert_eq!(patterns.len(), 8);
        for (path, expected) in [
            ("/a/b/c", 0),
            ("/a/bx", 1),
            ("/a/b/x", 2),
            ("/a", 2),
            ("/a/", 2),
            ("/ab", 4),
            ("/", 4),
            ("/x/y", 4),
            ("*", 9),
        ] {
            assert_eq!(index.first(path.as_bytes(), 9), expected, "{path}");
        }
        assert_eq!(index.first(b"/a/b/x", 2), 2, "not before the end");
        assert_eq!(index.first(b"/a/b/x", 1), 1);
    }

    #[test]
    fn what_many_routes_say_is_kept_once() {
        let patterns = parsed(&vec!["/a/**"; 1000]);
        let index = index(&patterns);
        assert_eq!(index.literals.len(), 1);
        assert_eq!(index.literals[0].rests.len(), 1);
        assert_eq!(index.first(b"/a", 1000), 0);
    }

    #[test]
    fn any_number_of_wildcards_fits_the_stack() {
        let patterns = parsed(&["/*".repeat(50_000), "/*".repeat(9) + "/a"]);
        let index = index(&patterns);
        assert_eq!(index.first("/a".repeat(50_000).as_bytes(), 2), 0);
        assert_eq!(index.first("/a".repeat(10).as_bytes(), 2), 1);
        assert_eq!(index.first("/a".repeat(11).as_bytes(), 2), 2);
    }

    #[test]
    fn nothing_fits_nothing() {
        assert_eq!(index(&[]).first(b"/", 1), 1);
    }

    proptest! {
        #[test]
        fn equals_asking_each(
            patterns in proptest::collection::vec(
                "(/[ab*]{0,3}){1,3}(/\\*\\*)?|(/[ab*]){1,11}(/\\*\\*)?|/same/same[ab*/]{0,3}(/\\*\\*)?|/a{0,6}", 0..40
            ),
            path in "(/[ab]{0,3}){1,4}|(/[ab]){1,11}|/same/same[ab/]{0,4}|/a{0,7}|/same?|\\*?",
            end in 0_usize..40,
        ) {
            let patterns = parsed(&patterns);
            let fits = |pattern: &PathPattern| pattern.matches(path.as_bytes());
            let expected = patterns.iter().take(end).position(fits).unwrap_or(end);
            prop_assert_eq!(index(&patterns).first(path.as_bytes(), end), expected);
        }
    }
}
