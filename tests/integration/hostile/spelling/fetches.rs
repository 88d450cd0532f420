//! Sec-Fetch fields: what a browser itself reports as embedding elsewhere stays
//! that, whatever stands beside it.

use super::ways::{Attack, Question};
use super::{KIND, Random, cases};
use crate::support::tried;

const RULES: [&str; 2] = [
    "[access.referrer]\nmode = \"allow\"\nmissing = \"infer\"\nurls = [\"https://good.example\"]\n",
    "[access.origins.delivery]\nmissing = \"infer\"\npatterns = [\"good.example\"]\n",
];

/// What is no exact word of a browser for the same site.
const SITES: &[&[u8]] = &[
    b"cross-site",
    b"cross-site",
    b"Cross-Site",
    b"SAME-ORIGIN",
    b"None",
    b"same-origin, cross-site",
    b"none;v=1",
    b"\"none\"",
    b"same_origin",
    b"null",
    b"?1",
    b"same-origin\xff",
    b"\xc2\xa0none",
    b"none,",
    b"x",
];

#[test]
fn an_embedding_page_cannot_talk_its_way_in() {
    for rule in RULES {
        let mut attack = Attack::start(&format!("[cache]\nmemory = \"0\"\n{rule}"));
        let mut random = Random(0x5eed_0b5e_55ed_000a);
        for _ in 0..cases(200) {
            let mut question = Question::get("/a.jpg");
            for _ in 0..=random.below(2) {
                question = question.field("Sec-Fetch-Site", random.one(SITES));
            }
            if random.chance(20) {
                question = question.field(
                    "sec-fetch-site",
                    random.one(&["none", "same-origin", "same-site"]),
                );
            }
            // A navigation of the whole page would pass: one of the two is not that.
            let modes = [
                "no-cors",
                "cors",
                "websocket",
                "Navigate",
                "navigate, no-cors",
                "",
                "navigate\t;",
            ];
            let dests = [
                "image",
                "iframe",
                "embed",
                "Document",
                "document, image",
                "",
                "empty",
                "\"document\"",
            ];
            let (mode, dest) = match random.chance(50) {
                true => (random.one(&modes), random.one(&["document", "image"])),
                false => (random.one(&["navigate", "cors"]), random.one(&dests)),
            };
            question = question
                .field("Sec-Fetch-Mode", mode)
                .field("Sec-Fetch-Dest", dest);
            for (name, value) in [
                ("Sec-Fetch-User", "?1"),
                ("Referer", ""),
                ("Referer", "about:blank"),
                ("Referer", " \t"),
                ("Origin", ""),
                ("Sec-Fetch-Mode", "navigate"),
                ("Sec-Fetch-Dest", "document"),
                ("Upgrade-Insecure-Requests", "1"),
            ] {
                // Twice the same field is not a word of a browser either.
                if random.chance(12) {
                    question = question.field(name, value);
                }
            }
            if (mode, dest) == ("navigate", "") || mode.is_empty() && dest == "document" {
                // With the field once more it would be a navigation by its last line alone.
                question.fields.retain(|(name, value)| {
                    !(name.starts_with("Sec-Fetch-")
                        && matches!(&**value, b"navigate" | b"document"))
                });
            }
            assert_eq!(attack.ask(&question), [403; 3], "{rule}: {question:?}");
        }
        assert_eq!(attack.origin().count(), 0);
        tried(KIND, attack.tried);
    }
}
