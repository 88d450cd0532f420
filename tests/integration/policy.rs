//! Asking a policy what would become of a request.

use std::path::PathBuf;

use portcullis::config::{Snapshot, TestRequest, load};
use portcullis::plan::{Decided, Explanation, Question};

/// A policy compiled from `toml`, with an origin where it names none.
pub(crate) fn policy(toml: &str) -> Snapshot {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    std::fs::write(&path, with_origin(toml)).unwrap();
    match load(&path) {
        Ok((snapshot, _)) => snapshot,
        Err(errors) => panic!("{errors}"),
    }
}

/// The errors of a configuration that is refused.
pub(crate) fn refused(toml: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    std::fs::write(&path, with_origin(toml)).unwrap();
    load(&path).expect_err("it should be refused").to_string()
}

fn with_origin(toml: &str) -> String {
    match toml.contains("[origin]") {
        true => toml.to_owned(),
        false => format!("{toml}\n[origin]\nurl = \"http://127.0.0.1:9\"\n"),
    }
}

/// The committed country database.
pub(crate) fn country_database() -> PathBuf {
    [
        env!("CARGO_MANIFEST_DIR"),
        "tests/fixtures/country/country.mmdb",
    ]
    .iter()
    .collect()
}

/// A request, built up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask(TestRequest);

/// A GET of `url`.
pub(crate) fn get(url: &str) -> Ask {
    Ask(TestRequest {
        url: url.to_owned(),
        ..TestRequest::default()
    })
}

impl Ask {
    pub(crate) fn method(mut self, method: &str) -> Self {
        self.0.method = Some(method.to_owned());
        self
    }

    pub(crate) fn client(mut self, address: &str) -> Self {
        self.0.client = Some(address.parse().unwrap());
        self
    }

    pub(crate) fn peer(mut self, address: &str) -> Self {
        self.0.peer = Some(address.parse().unwrap());
        self
    }

    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.0.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn answer(&self, snapshot: &Snapshot) -> Explanation {
        Question::new(&self.0).unwrap().answer(snapshot)
    }

    /// The explanation of a request that rules decide.
    pub(crate) fn decided(&self, snapshot: &Snapshot) -> Decided {
        match self.answer(snapshot) {
            Explanation::Decided(told) => *told,
            rejected => panic!("{self:?}: {rejected:?}"),
        }
    }

    /// `forward`, `deny:<rule>`, or `reject:<status>`.
    pub(crate) fn verdict(&self, snapshot: &Snapshot) -> String {
        match self.answer(snapshot) {
            Explanation::Rejected { status, .. } => format!("reject:{status}"),
            Explanation::Decided(told) => match told.rule {
                Some(rule) => format!("deny:{rule}"),
                None => "forward".to_owned(),
            },
        }
    }

    /// The outcome of one rule.
    pub(crate) fn outcome(&self, snapshot: &Snapshot, rule: &str) -> &'static str {
        let told = self.decided(snapshot);
        told.rules
            .iter()
            .find(|report| report.rule == rule)
            .unwrap()
            .outcome
    }
}
