//! Uploads: the `Origin` that they need, and the methods that they are.

use super::KIND;
use super::pages::{NO_CACHE, NOT_GOOD};
use super::ways::{Attack, Question};
use crate::support::tried;

/// Only `scheme://host[:port]` is an `Origin`; for uploads nothing else will do.
#[test]
fn an_upload_needs_a_listed_origin_and_a_method_cannot_hide_it() {
    let policy = format!(
        "{NO_CACHE}[access.origins.upload]\nmissing = \"block\"\npatterns = [\"good.example\"]\n"
    );
    let mut attack = Attack::start(&policy);
    let origins = NOT_GOOD.iter().copied().chain([
        "https://good.example/",
        "https://good.example?",
        "https://good.example#",
        "https://u@good.example",
        "https://good.example:",
        "https://good.example\\",
        "null",
        "NULL",
        "https:good.example",
        "https:\\\\good.example",
        "https://good.example,",
        "",
        "about:blank",
    ]);
    for page in origins {
        let names: [&[(&str, &str)]; 3] = [
            &[],
            &[("Referer", "https://good.example/")],
            &[("Sec-Fetch-Site", "same-origin")],
        ];
        for fields in names {
            let question = Question {
                method: "POST".into(),
                ..Question::get("/a.jpg")
            }
            .field("Origin", page);
            let question = fields.iter().fold(question, |question, (name, value)| {
                question.field(name, value)
            });
            for status in attack.ask(&question) {
                assert!(
                    matches!(status, 0 | 400 | 403),
                    "{status}: {page} {fields:?}"
                );
            }
        }
    }
    for (method, statuses) in [
        ("PUT", &[403][..]),
        ("PATCH", &[403]),
        ("DELETE", &[403]),
        ("post", &[405]),
        ("get", &[405]),
        ("Get", &[405]),
        ("GETX", &[405]),
        ("OPTIONS", &[403]),
        ("GET", &[200]),
    ] {
        for asked in [
            "PUT",
            "get",
            "GET, PUT",
            "GET,GET",
            "GET ,",
            "POST",
            "\"GET\"",
            "GET\t/",
            "*",
            "GETT",
            "HEAD, GET",
            "G\u{415}T",
        ] {
            let question = Question {
                method: method.into(),
                ..Question::get("/a.jpg")
            }
            .field("Origin", "https://evil.example");
            let mut question = question.field("Access-Control-Request-Method", asked);
            for name in [
                "X-HTTP-Method-Override",
                "X-HTTP-Method",
                "X-Method-Override",
                "X_HTTP_Method_Override",
                "x-http-method-override",
            ] {
                question = question.field(name, "PUT");
            }
            for status in attack.ask(&question) {
                assert!(statuses.contains(&status), "{status}: {method} {asked}");
            }
        }
        let question = Question {
            method: method.into(),
            ..Question::get("/a.jpg")
        }
        .field("Origin", "https://evil.example");
        let twice = question
            .field("Access-Control-Request-Method", "GET")
            .field("access-control-request-method", "PUT");
        for status in attack.ask(&twice) {
            assert!(statuses.contains(&status), "{status}: {method}");
        }
    }
    for (_, asked) in attack.received() {
        assert!(asked.line().starts_with("GET "), "{}", asked.head);
        assert!(
            !asked.head.to_lowercase().contains("method-override"),
            "{}",
            asked.head
        );
        assert_eq!(asked.field("x-http-method"), None);
    }
    tried(KIND, attack.tried);
}
