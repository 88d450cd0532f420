//! Running the `[[test]]`s of a configuration.

use super::{Explanation, Question};
use crate::config::{Expect, Finding, PolicyTest, Snapshot};

/// A promise that the policy does not keep.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TestFailure(
    /// Its name and place, what was expected, in the words of the file, and
    /// what would happen, and why.
    pub Finding,
);

/// Runs every test of `snapshot`; the failures, in order.
pub fn run_tests(snapshot: &Snapshot) -> Vec<TestFailure> {
    snapshot
        .tests
        .iter()
        .filter_map(|test| failure(snapshot, test))
        .collect()
}

/// What is wrong with `test`, if anything.
fn failure(snapshot: &Snapshot, test: &PolicyTest) -> Option<TestFailure> {
    let expected = told(test.expect);
    let answer = match Question::new(&test.request) {
        Ok(question) => question.answer(snapshot),
        Err(error) => {
            let finding = test.cannot_be_asked(&expected, &error.to_string());
            return Some(TestFailure(finding));
        }
    };
    let fails = || TestFailure(test.fails(&expected, &found(&answer)));
    (!fits(test.expect, &answer)).then(fails)
}

fn fits(expect: Expect, answer: &Explanation) -> bool {
    match (expect, answer) {
        // OPTIONS * is answered here, but with a success.
        (Expect::Reject, Explanation::Rejected { status, .. }) => *status >= 400,
        (_, Explanation::Rejected { .. }) | (Expect::Reject, Explanation::Decided(_)) => false,
        (Expect::Forward(variant), Explanation::Decided(told)) => {
            told.verdict == "forward" && variant.is_none_or(|v| v.as_str() == told.variant)
        }
        (Expect::Deny(rule), Explanation::Decided(told)) => {
            told.verdict == "deny" && rule.is_none_or(|r| Some(r.as_str()) == told.rule)
        }
    }
}

fn told(expect: Expect) -> String {
    match expect {
        Expect::Forward(None) => "forward".to_owned(),
        Expect::Forward(Some(variant)) => format!("forward:{variant}"),
        Expect::Deny(None) => "deny".to_owned(),
        Expect::Deny(Some(rule)) => format!("deny:{rule}"),
        Expect::Reject => "reject".to_owned(),
    }
}

fn found(answer: &Explanation) -> String {
    match answer {
        Explanation::Rejected { status, error, .. } => format!("reject ({status}: {error})"),
        Explanation::Decided(told) => match told.rule {
            None => format!("forward:{} on route {}", told.variant, told.route),
            Some(rule) => {
                let why = told.rules.iter().find(|report| report.rule == rule);
                let why = why.map_or("", |report| report.why.as_str());
                format!("deny:{rule} on route {} ({why})", told.route)
            }
        },
    }
}
