//! Configuration files: compiled or refused, with errors that can be shown on
//! a terminal and point into the file; what compiles decides every request.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use portcullis::access::country::CountryDatabase;
use portcullis::config::{TestRequest, load_embedded};
use portcullis::plan::{Explanation, Question, run_tests};

/// The name that errors give the file.
const NAME: &str = "fuzz.toml";

/// See the module.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // Nothing is to be read from where this runs.
    if text.contains("_file") || text.contains('\\') {
        return;
    }
    let country = include_bytes!("../../tests/fixtures/country/country.mmdb");
    let country = CountryDatabase::from_bytes(country.to_vec(), Path::new("country.mmdb"));
    let databases = [("country.mmdb", country.expect("it is a database"))];
    match load_embedded(NAME, text, databases) {
        Ok((snapshot, warnings)) => {
            can_be_shown(&warnings.to_string());
            for failure in run_tests(&snapshot) {
                can_be_shown(&failure.to_string());
            }
            for request in requests() {
                let question = Question::new(&request).expect("it can be asked");
                match question.answer(&snapshot) {
                    Explanation::Rejected { status, .. } => {
                        assert!([400, 405, 421].contains(&status), "{status}");
                    }
                    Explanation::Decided(told) => {
                        assert_eq!(told.rules.len(), 8);
                        let denies = told.rules.iter().find(|rule| rule.outcome == "deny");
                        assert_eq!(denies.map(|rule| rule.rule), told.rule);
                        assert_eq!(told.verdict == "deny", told.rule.is_some());
                    }
                }
            }
        }
        Err(errors) => {
            let shown = errors.to_string();
            can_be_shown(&shown);
            assert!(shown.starts_with("error: "), "{shown}");
        }
    }
}

fn can_be_shown(text: &str) {
    let bad = text
        .chars()
        .find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    assert_eq!(bad, None, "a terminal would obey {text:?}");
}

/// One that all rules look at, and an upload.
fn requests() -> [TestRequest; 2] {
    let headers = [
        ("user-agent", "Mozilla/5.0 (Linux; Android 11)"),
        ("referer", "https://good.com/page"),
        ("origin", "https://good.com"),
        ("x-forwarded-for", "203.0.113.9"),
        ("accept", "image/webp"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let request = |method: &str, url: &str| TestRequest {
        url: url.to_owned(),
        method: Some(method.to_owned()),
        client: None,
        peer: Some(IpAddr::from(Ipv4Addr::new(192, 0, 2, 1))),
        headers: headers.to_vec(),
    };
    [
        request(
            "GET",
            "https://img.example.com/premium/a.jpg?utm_source=x&w=1",
        ),
        request("POST", "http://img.example.com/a%20b;c"),
    ]
}
