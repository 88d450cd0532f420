use proptest::prelude::*;

use super::*;

fn fields(lines: &[(&str, &str)]) -> Fields {
    let mut text = Vec::new();
    let mut places = Vec::new();
    for (name, value) in lines {
        places.push((text.len(), name.len(), value.len()));
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(value.as_bytes());
    }
    let mut fields = Fields::within(text.into(), 0);
    for (start, name, value) in places {
        assert!(fields.push((start, name), (start + name, value)));
    }
    fields
}

fn all(lines: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<String> {
    let text = |line: &[u8]| String::from_utf8(line.to_vec()).unwrap();
    lines.map(|line| text(line.as_ref())).collect()
}

const SENT: [(&str, &str); 6] = [
    ("Host", "a.com"),
    ("X-Own", "1"),
    ("ACCEPT", "image/webp"),
    ("x-own", "2"),
    ("accept", " \t"),
    ("Referer", "  https://b.com/ "),
];

#[test]
fn lines_by_name() {
    let fields = fields(&SENT);
    assert_eq!(fields.len(), 6);
    assert_eq!(all(fields.lines(Name::HOST)), ["a.com"]);
    assert_eq!(all(fields.lines(Name::ACCEPT)), ["image/webp", " \t"]);
    assert_eq!(all(fields.lines(Name::ACCEPT).rev()), [" \t", "image/webp"]);
    assert_eq!(fields.first(Name::ACCEPT), Some(&b"image/webp"[..]));
    assert_eq!(fields.first(Name::ORIGIN), None);
    assert!(all(fields.lines(Name::ORIGIN)).is_empty());
    assert!(fields.contains(Name::REFERER) && !fields.contains(Name::RANGE));
    assert!(fields.contains_any(Names::of(&[Name::RANGE, Name::HOST])));
    assert!(!fields.contains_any(Names::of(&[Name::RANGE, Name::VIA])));
    assert_eq!(fields.single(Name::ORIGIN), Single::Missing);
    assert_eq!(fields.single(Name::ACCEPT), Single::Several);
    assert_eq!(fields.single(Name::REFERER), Single::One(b"https://b.com/"));
}

#[test]
fn lines_of_configured_names() {
    let fields = fields(&SENT);
    let own = HeaderName::from_static("x-own");
    let accept = HeaderName::from_static("accept");
    let other = HeaderName::from_static("x-ow");
    assert_eq!(all(fields.lines_of(&own)), ["1", "2"]);
    assert_eq!(all(fields.lines_of(&own).rev()), ["2", "1"]);
    assert_eq!(all(fields.lines_of(&accept)), ["image/webp", " \t"]);
    assert!(fields.contains_name(&own) && fields.contains_name(&accept));
    assert!(!fields.contains_name(&other) && all(fields.lines_of(&other)).is_empty());
    assert_eq!(fields.single_of(&own), Single::Several);
    assert_eq!(fields.single_of(&other), Single::Missing);
    assert_eq!(
        fields.single_of(&HeaderName::from_static("referer")),
        Single::One(b"https://b.com/")
    );
}

#[test]
fn what_is_removed_is_nowhere() {
    let mut fields = fields(&SENT);
    fields.retain(|line| line.name != b"ACCEPT" && line.name != b"X-Own");
    assert_eq!(all(fields.lines(Name::ACCEPT)), [" \t"]);
    assert_eq!(fields.single(Name::ACCEPT), Single::Missing);
    assert_eq!(all(fields.iter().map(|line| line.value)).len(), 4);
    fields.retain(|line| line.known != Some(Name::ACCEPT));
    assert!(!fields.contains(Name::ACCEPT) && fields.contains(Name::HOST));
    assert_eq!(fields.first(Name::ACCEPT), None);
    fields.retain(|_| false);
    assert!(fields.is_empty() && !fields.contains(Name::HOST));
}

#[test]
fn places_beyond_the_text_are_refused() {
    let mut fields = Fields::within(Bytes::from_static(b"host: a"), 1);
    assert!(!fields.push((0, 4), (6, 2)));
    assert!(!fields.push((usize::MAX, 4), (6, 1)));
    assert!(!fields.push((0, usize::MAX), (6, 1)));
    assert!(fields.is_empty());
    assert!(fields.push((0, 4), (6, 1)));
    assert_eq!(fields.first(Name::HOST), Some(&b"a"[..]));
}

#[test]
fn more_lines_than_places() {
    let mut fields = Fields::within(Bytes::from_static(b"a"), 0);
    for _ in 0..MOST_LINES {
        assert!(fields.push((0, 1), (1, 0)));
    }
    assert!(!fields.push((0, 1), (1, 0)));
}

#[test]
fn a_map_of_what_passes_on() {
    let map = fields(&SENT).to_map(0, |name| match name {
        Ok(known) => known != Name::HOST,
        Err(name) => name != "x-else",
    });
    assert_eq!(map.len(), 5);
    assert_eq!(all(map.get_all("x-own").iter()), ["1", "2"]);
    assert!(!map.contains_key("host"));
    let none = fields(&SENT).to_map(0, |name| name.is_ok());
    assert!(!none.contains_key("x-own"));
}

proptest! {
    /// All that is asked of them is what a map of the same lines says.
    #[test]
    fn they_are_what_a_map_is(
        lines in proptest::collection::vec(
            ("(accept|ACCEPT|Accept|host|Host|range|x-a|X-A|Sec-Fetch-Site|[a-zA-Z-]{1,30})", "[ -~\u{e9}]{0,6}"), 0..12
        )
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in &lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let lines: Vec<_> = lines.iter().map(|(name, value)| (&**name, &**value)).collect();
        let sent = fields(&lines);
        prop_assert_eq!(sent.to_map(0, |_| true), map.clone());
        for fields in [sent, Fields::from(map.clone())] {
            for known in Name::all() {
                let name = known.name();
                let expected: Vec<_> = map.get_all(name).iter().map(|value| value.as_bytes()).collect();
                prop_assert_eq!(fields.lines(known).collect::<Vec<_>>(), expected.clone());
                prop_assert_eq!(fields.first(known), expected.first().copied());
                prop_assert_eq!(fields.single(known), crate::message::field::single(&map, name));
            }
            for name in map.keys() {
                let expected: Vec<_> = map.get_all(name).iter().map(|value| value.as_bytes()).collect();
                prop_assert_eq!(fields.lines_of(name).collect::<Vec<_>>(), expected);
                prop_assert_eq!(fields.single_of(name), crate::message::field::single(&map, name));
            }
        }
    }
}
