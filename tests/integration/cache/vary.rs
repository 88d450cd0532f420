//! `Vary`: a stored response is for requests like the one that fetched it.

use super::support::{FRESH, is_hit, ok, status};
use crate::support::{Origin, Portcullis};

/// An origin that varies by these fields and answers with what it got.
fn varying(vary: &'static str) -> Origin {
    Origin::answered_by(move |asked| {
        let lang = asked.field("x-lang").unwrap_or("none".to_owned());
        ok(&format!("{FRESH}Vary: {vary}\r\n"), &lang)
    })
}

#[test]
fn each_form_is_stored_beside_the_others() {
    let origin = varying("X-Lang, X-Other");
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    let forms = [
        "X-Lang: de\r\n",
        "X-Lang: fr\r\n",
        "X-Lang: fr\r\nX-Other: 1\r\n",
        "",
    ];
    for (number, fields) in forms.iter().enumerate() {
        let told = status(&client.get("/", fields));
        let reason = if number == 0 { "uri-miss" } else { "vary-miss" };
        assert_eq!(told.fwd.as_deref(), Some(reason), "{fields}");
    }
    for fields in forms {
        assert!(is_hit(&mut client, "/", fields), "{fields}");
    }
    assert_eq!(client.get("/", "X-Lang: de\r\n").text(), "de");
    assert_eq!(client.get("/", "").text(), "none");
    assert_eq!(origin.count(), forms.len());
}

#[test]
fn blanks_and_other_fields_do_not_count() {
    let origin = varying("x-lang");
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "X-Lang: de\r\n");
    assert!(is_hit(
        &mut client,
        "/",
        "X-LANG:   de  \r\nUser-Agent: me\r\nCookie: a=1\r\n"
    ));
    assert!(!is_hit(&mut client, "/", "X-Lang: DE\r\n"));
    assert!(!is_hit(&mut client, "/", "X-Lang: d e\r\n"));
}

#[test]
fn who_varies_by_everything_is_never_stored() {
    for vary in ["*", "X-Lang, *"] {
        let origin = varying(vary);
        let proxy = Portcullis::start(&origin, "");
        let mut client = proxy.client();
        for _ in 0..2 {
            let told = status(&client.get("/", ""));
            assert!(!told.hit && !told.stored);
        }
        assert_eq!(origin.count(), 2);
    }
}

/// Section 9: at most 16 forms of a key; the oldest goes.
#[test]
fn sixteen_forms_are_kept() {
    let origin = varying("X-Lang");
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    let lang = |number: usize| format!("X-Lang: {number}\r\n");
    for number in 0..17 {
        assert!(!is_hit(&mut client, "/", &lang(number)));
    }
    for number in 1..17 {
        assert!(is_hit(&mut client, "/", &lang(number)), "{number}");
    }
    assert!(!is_hit(&mut client, "/", &lang(0)), "the oldest is gone");
    assert_eq!(origin.count(), 18);
}

#[test]
fn a_flood_of_forms_leaves_other_keys_alone() {
    let origin = varying("X-Lang");
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/kept", "");
    for number in 0..200 {
        client.get("/flood", &format!("X-Lang: {number}\r\n"));
    }
    assert!(is_hit(&mut client, "/kept", ""));
    assert!(is_hit(&mut client, "/flood", "X-Lang: 199\r\n"));
}
