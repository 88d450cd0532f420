use std::fmt;
use std::str;

use thiserror::Error;

use crate::network::shown;

/// ISO 3166-1 alpha-2, officially assigned: 249 codes; and `XK` (Kosovo), which
/// databases use and the standard leaves to its users.
const CODES: &[u8] = b"\
    ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCL\
    CMCNCOCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGU\
    GWGYHKHMHNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMC\
    MDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPT\
    PWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZUA\
    UGUMUSUYUZVAVCVEVGVIVNVUWFWSYEYTZAZMZW\
    XK";

/// For each first letter a bit for each second.
const LISTED: [u32; 26] = listed();

/// What people write, and the code they mean: names of parts and languages,
/// codes of earlier times, and the three-letter codes most often seen.
const MEANT: &[(&str, &str)] = &[
    ("UK", "GB"),
    ("EN", "GB"),
    ("ENG", "GB"),
    ("SCO", "GB"),
    ("GBR", "GB"),
    ("EL", "GR"),
    ("GRC", "GR"),
    ("USA", "US"),
    ("JA", "JP"),
    ("JPN", "JP"),
    ("ZH", "CN"),
    ("CHN", "CN"),
    ("PRC", "CN"),
    ("KO", "KR"),
    ("KOR", "KR"),
    ("PRK", "KP"),
    ("DA", "DK"),
    ("DNK", "DK"),
    ("CS", "CZ"),
    ("CZE", "CZ"),
    ("SU", "RU"),
    ("RUS", "RU"),
    ("YU", "RS"),
    ("SRB", "RS"),
    ("DD", "DE"),
    ("GER", "DE"),
    ("DEU", "DE"),
    ("FX", "FR"),
    ("FRA", "FR"),
    ("TP", "TL"),
    ("ZR", "CD"),
    ("BU", "MM"),
    ("AN", "CW"),
    ("XKX", "XK"),
    ("UKR", "UA"),
    ("IND", "IN"),
    ("BRA", "BR"),
    ("AUS", "AU"),
    ("AUT", "AT"),
    ("CAN", "CA"),
    ("CHE", "CH"),
    ("ESP", "ES"),
    ("ITA", "IT"),
    ("NLD", "NL"),
    ("BEL", "BE"),
    ("POL", "PL"),
    ("SWE", "SE"),
    ("NOR", "NO"),
    ("FIN", "FI"),
    ("PRT", "PT"),
    ("TUR", "TR"),
    ("IRN", "IR"),
    ("IRQ", "IQ"),
    ("SYR", "SY"),
    ("BLR", "BY"),
    ("MEX", "MX"),
    ("VNM", "VN"),
    ("IDN", "ID"),
    ("ISR", "IL"),
    ("ZAF", "ZA"),
];

/// What databases and other products write where there is no country.
const NO_COUNTRY: &[(&str, &str)] = &[
    ("EU", "the European Union: list the codes of its countries"),
    (
        "AP",
        "a region (Asia/Pacific): list the codes of its countries",
    ),
    (
        "A1",
        "a mark for anonymous proxies, which no address has any more",
    ),
    (
        "A2",
        "a mark for satellite providers, which no address has any more",
    ),
    ("T1", "Cloudflare's mark for Tor"),
    ("XX", "a mark for an unknown country: use the key `unknown`"),
    ("ZZ", "a mark for an unknown country: use the key `unknown`"),
];

/// A country or territory: ISO 3166-1 alpha-2, or `XK`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode([u8; 2]);

/// A text that is no country code.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CountryCodeError {
    /// A common mistake.
    #[error("`{found}` is not an ISO 3166-1 alpha-2 country code: did you mean {fix}?")]
    Meant {
        /// The text, cut and escaped for showing.
        found: String,
        /// What was probably meant.
        fix: CountryCode,
    },
    /// A code that stands for something else.
    #[error("`{found}` is not a country, but {what}")]
    NoCountry {
        /// The text, cut and escaped for showing.
        found: String,
        /// What it is.
        what: &'static str,
    },
    /// Anything else.
    #[error("`{found}` is not an ISO 3166-1 alpha-2 country code (two letters, such as DE)")]
    Unknown {
        /// The text, cut and escaped for showing.
        found: String,
    },
}

impl CountryCode {
    /// Reads a code, in any case.
    pub fn parse(text: &str) -> Result<Self, CountryCodeError> {
        Self::known(text).ok_or_else(|| explain(text))
    }

    /// The code, in upper case.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("two ASCII letters")
    }

    /// Its two letters.
    pub const fn letters(self) -> [u8; 2] {
        self.0
    }

    /// Like `parse`, but a text that is no code costs no error.
    pub(super) fn known(text: &str) -> Option<Self> {
        let code = <[u8; 2]>::try_from(text.as_bytes()).ok()?;
        let code = code.map(|letter| letter.to_ascii_uppercase());
        let [first, second] = code.map(|letter| letter.wrapping_sub(b'A'));
        let seconds = LISTED.get(usize::from(first))?;
        (second < 26 && seconds >> second & 1 == 1).then_some(Self(code))
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cold]
fn explain(text: &str) -> CountryCodeError {
    let found = shown(text);
    let is = |code: &str| code.eq_ignore_ascii_case(text);
    if let Some((_, what)) = NO_COUNTRY.iter().find(|(code, _)| is(code)) {
        return CountryCodeError::NoCountry { found, what };
    }
    let meant = MEANT.iter().find(|(code, _)| is(code));
    match meant.and_then(|(_, fix)| CountryCode::known(fix)) {
        Some(fix) => CountryCodeError::Meant { found, fix },
        None => CountryCodeError::Unknown { found },
    }
}

const fn listed() -> [u32; 26] {
    let mut listed = [0; 26];
    let mut at = 0;
    while at < CODES.len() {
        listed[(CODES[at] - b'A') as usize] |= 1 << (CODES[at + 1] - b'A');
        at += 2;
    }
    listed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn there_are_249_codes_and_one_more() {
        let count: u32 = LISTED.iter().map(|seconds| seconds.count_ones()).sum();
        assert_eq!((CODES.len(), count), (500, 250));
    }

    #[test]
    fn any_case_is_read_and_upper_case_shown() {
        for text in ["de", "De", "DE"] {
            let code = CountryCode::parse(text).expect("a code");
            assert_eq!((code.as_str(), code.to_string().as_str()), ("DE", "DE"));
        }
        assert_eq!(CountryCode::parse("xk").expect("a code").as_str(), "XK");
    }

    #[test]
    fn every_hint_is_for_something_that_is_no_code_and_names_one() {
        for (wrong, right) in MEANT {
            assert_eq!(CountryCode::known(wrong), None, "{wrong}");
            assert!(CountryCode::known(right).is_some(), "{right}");
        }
        for (wrong, _) in NO_COUNTRY {
            assert_eq!(CountryCode::known(wrong), None, "{wrong}");
        }
    }

    #[rstest]
    #[case(
        "UK",
        "`UK` is not an ISO 3166-1 alpha-2 country code: did you mean GB?"
    )]
    #[case(
        "uk",
        "`uk` is not an ISO 3166-1 alpha-2 country code: did you mean GB?"
    )]
    #[case(
        "EL",
        "`EL` is not an ISO 3166-1 alpha-2 country code: did you mean GR?"
    )]
    #[case(
        "usa",
        "`usa` is not an ISO 3166-1 alpha-2 country code: did you mean US?"
    )]
    #[case(
        "EN",
        "`EN` is not an ISO 3166-1 alpha-2 country code: did you mean GB?"
    )]
    #[case(
        "EU",
        "`EU` is not a country, but the European Union: list the codes of its countries"
    )]
    #[case(
        "AP",
        "`AP` is not a country, but a region (Asia/Pacific): list the codes of its countries"
    )]
    #[case(
        "ZZ",
        "`ZZ` is not a country, but a mark for an unknown country: use the key `unknown`"
    )]
    #[case(
        "Germany",
        "`Germany` is not an ISO 3166-1 alpha-2 country code (two letters, such as DE)"
    )]
    #[case(
        "",
        "`` is not an ISO 3166-1 alpha-2 country code (two letters, such as DE)"
    )]
    #[case(
        "\u{e4}",
        "`\u{e4}` is not an ISO 3166-1 alpha-2 country code (two letters, such as DE)"
    )]
    fn no_codes(#[case] text: &str, #[case] message: &str) {
        let error = CountryCode::parse(text).expect_err("no code");
        assert_eq!(error.to_string(), message);
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            if let Ok(code) = CountryCode::parse(&text) {
                prop_assert_eq!(code.as_str(), text.to_ascii_uppercase());
            }
        }
    }
}
