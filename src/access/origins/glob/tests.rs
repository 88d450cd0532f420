use super::*;

fn reason(text: &str) -> (Range<usize>, PatternReason) {
    let error = OriginPattern::parse(text).expect_err(text);
    (error.span, error.reason)
}

#[test]
fn refused_with_the_place() {
    for (text, span, expected) in [
        ("", 0..0, PatternReason::Empty),
        ("https://", 0..8, PatternReason::Empty),
        ("(a).com", 0..1, PatternReason::Character('(')),
        ("a\\b.com", 1..2, PatternReason::Character('\\')),
        ("a.com/x", 5..7, PatternReason::Path),
        ("a.com//", 5..7, PatternReason::Path),
        ("a.{com", 2..3, PatternReason::Unbalanced('{')),
        ("a.com}", 5..6, PatternReason::Unbalanced('}')),
        ("[a.com", 0..1, PatternReason::Unbalanced('[')),
        ("a].com", 1..2, PatternReason::Unbalanced(']')),
        ("a{}.com", 1..3, PatternReason::EmptyGroup),
        ("a[].com", 1..3, PatternReason::EmptyGroup),
        ("a.com,b.com", 5..6, PatternReason::Comma),
        ("[!a].com", 1..2, PatternReason::NegatedSet),
        ("[^a].com", 1..2, PatternReason::NegatedSet),
        ("[a.b].com", 2..3, PatternReason::InSet('.')),
        ("[+-9].com", 1..2, PatternReason::InSet('+')),
        ("[d-a].com", 1..4, PatternReason::Range),
        ("[a-a-f].com", 4..5, PatternReason::Hyphen),
        ("[a--].com", 3..4, PatternReason::Hyphen),
        ("[--a].com", 1..2, PatternReason::Hyphen),
        ("a**.com", 0..7, PatternReason::DoubleStar),
        ("a..com", 0..6, PatternReason::Label(String::new())),
        (
            "*\u{fc}.de",
            0..6,
            PatternReason::Label("*\u{fc}".to_owned()),
        ),
        ("a.com:0x1", 6..9, PatternReason::Port("0x1".to_owned())),
        (
            "a.com:99999",
            6..11,
            PatternReason::Port("99999".to_owned()),
        ),
        ("a.com:080", 6..9, PatternReason::Port("080".to_owned())),
        ("a.com:**", 6..8, PatternReason::Port("**".to_owned())),
        ("{a.com:80,b.com}", 6..7, PatternReason::PortInBraces),
        ("capacitor://*", 12..13, PatternReason::AppGlob),
        ("://x", 0..4, PatternReason::NotAnOrigin),
        ("1x://a", 0..6, PatternReason::NotAnOrigin),
        ("capacitor://a b", 0..15, PatternReason::NotAnOrigin),
        ("127.1", 0..5, PatternReason::Label("127.1".to_owned())),
        ("a.com:0", 6..7, PatternReason::Port("0".to_owned())),
        ("a b.com", 1..2, PatternReason::Character(' ')),
        ("u@a.com", 1..2, PatternReason::Character('@')),
    ] {
        assert_eq!(reason(text), (span, expected), "{text}");
    }
    assert_eq!(reason("a.com:").1, PatternReason::Port(String::new()));
    assert_eq!(reason("a:b:80"), (1..2, PatternReason::Character(':')));
    assert_eq!(reason(&"{a,b}".repeat(10)).1, PatternReason::TooMany);
}

#[test]
fn braces_multiply_out() {
    assert_eq!(
        expand("{a,b{c,d}}{,x}").unwrap(),
        ["a", "ax", "bc", "bcx", "bd", "bdx"]
    );
    assert_eq!(expand("{a}").unwrap(), ["a"]);
}
