//! `[[test]]`: promises about the policy.

use std::net::IpAddr;

use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};

use super::Compiler;
use crate::access::RuleId;
use crate::config::error::{Spot, quoted};
use crate::config::file::{Entry, List, Maybe, Request, Test, Written};
use crate::config::spelling;
use crate::config::{Expect, PolicyTest, TestRequest};
use crate::network::parse_address;

const EXPECTATIONS: &str = r#""forward", "forward:<variant>", "deny", "deny:<rule>" or "reject""#;

impl Compiler<'_> {
    /// All tests, in their order.
    pub(super) fn tests(&self, tests: &[Test]) -> Vec<PolicyTest> {
        tests.iter().filter_map(|test| self.test(test)).collect()
    }

    fn test(&self, raw: &Test) -> Option<PolicyTest> {
        let name = self.given(
            &raw.name,
            &raw.spot,
            "name",
            "name = \"hotlinkers stay out\"",
        );
        let expect = self.given(&raw.expect, &raw.spot, "expect", "expect = \"forward\"");
        let expect = expect.and_then(|written| Some((self.expect(written)?, &written.spot)));
        let example = "request = { url = \"https://img.example.com/a.jpg\" }";
        if raw.request.is_none() {
            self.lacks(&raw.spot, "request", example);
        }
        let request = raw
            .request
            .as_ref()
            .and_then(|raw| Some((self.request(raw)?, &raw.spot)));
        let ((request, request_at), (expect, expect_at)) = (request?, expect?);
        Some(PolicyTest {
            name: name?.value.clone(),
            request,
            expect,
            request_at: request_at.clone(),
            expect_at: expect_at.clone(),
        })
    }

    fn request(&self, raw: &Request) -> Option<TestRequest> {
        let url = self.given(
            &raw.url,
            &raw.spot,
            "url",
            "url = \"https://img.example.com/a.jpg\"",
        );
        let url = url.filter(|url| self.is_whole(url));
        let method = raw
            .method
            .as_ref()
            .and_then(|method| self.test_method(method));
        let headers = raw
            .headers
            .iter()
            .flat_map(|(name, values)| self.header(name, values));
        let headers = headers.collect();
        let (client, peer) = (self.address(&raw.client), self.address(&raw.peer));
        Some(TestRequest {
            url: url?.value.clone(),
            method,
            client,
            peer,
            headers,
        })
    }

    fn given<'w>(
        &self,
        value: &'w Maybe<String>,
        table: &Spot,
        key: &str,
        example: &str,
    ) -> Option<&'w Written<String>> {
        if value.is_none() {
            self.lacks(table, key, example);
        }
        value.as_ref()
    }

    fn lacks(&self, table: &Spot, key: &str, example: &str) {
        let finding = table.lacking(key).error("must be given");
        let finding = finding.label(format!("`{key}` is missing"));
        self.findings
            .add_first(finding.help(format!("write `{example}`")));
    }

    /// Whether a URL has a scheme and a host; the rest is for the request to
    /// be judged by.
    fn is_whole(&self, url: &Written<String>) -> bool {
        let rest = ["http://", "https://"].iter().find_map(|scheme| {
            let front = url.value.get(..scheme.len())?;
            front
                .eq_ignore_ascii_case(scheme)
                .then(|| &url.value[scheme.len()..])
        });
        let whole = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#']));
        if !whole {
            let finding = url
                .spot
                .error(format!("{} is not a whole URL", quoted(&url.value)));
            let finding = finding.label("not a whole URL");
            self.findings
                .add(finding.allowed("http:// or https://, a host and a path"));
        }
        whole
    }

    fn test_method(&self, written: &Written<String>) -> Option<String> {
        if Method::from_bytes(written.value.as_bytes()).is_ok() {
            return Some(written.value.clone());
        }
        let message = format!("{} is not a method", quoted(&written.value));
        let finding = written.spot.error(message).label("not a method");
        self.findings
            .add(finding.allowed("\"GET\", \"POST\" and the like"));
        None
    }

    fn address(&self, written: &Maybe<String>) -> Option<IpAddr> {
        let written = written.as_ref()?;
        let address = parse_address(written.value.trim().as_bytes());
        if address.is_none() {
            let message = format!("{} is not an address", quoted(&written.value));
            let finding = written.spot.error(message).label("not an address");
            self.findings
                .add(finding.allowed("one IPv4 or IPv6 address, without port or prefix"));
        }
        address
    }

    fn header(&self, name: &Written<String>, values: &List) -> Vec<(String, String)> {
        if HeaderName::from_bytes(name.value.as_bytes()).is_err() {
            let message = format!("{} is not a field name", quoted(&name.value));
            self.findings
                .add(name.spot.error(message).label("not a field name"));
        }
        let bad = |text: &str| HeaderValue::from_bytes(text.as_bytes()).is_err();
        for entry in values.iter().filter(|entry| bad(entry.text)) {
            let finding = entry.error("no field can have this value");
            let finding = finding.label("holds a control character");
            self.findings
                .add(finding.allowed("visible characters and blanks"));
        }
        let field = |value: Entry<'_>| (name.value.clone(), value.text.to_owned());
        values.iter().map(field).collect()
    }

    fn expect(&self, written: &Written<String>) -> Option<Expect> {
        let expect = Expect::parse(&written.value);
        if expect.is_none() {
            self.unexpected(written);
        }
        expect
    }

    fn unexpected(&self, written: &Written<String>) {
        let (verdict, detail) = written
            .value
            .split_once(':')
            .unwrap_or((&written.value, ""));
        let words = match (verdict, detail) {
            (_, "") => Vec::new(),
            ("forward", _) => vec!["original", "webp", "avif"],
            ("deny", _) => RuleId::ALL.map(RuleId::as_str).to_vec(),
            _ => Vec::new(),
        };
        let message = format!("{} is not a verdict", quoted(&written.value));
        let finding = written.spot.error(message).label("not a verdict");
        let finding = match words.as_slice() {
            [] => finding.allowed(EXPECTATIONS),
            words => finding.allowed(format!("{verdict}: and one of {}", words.join(", "))),
        };
        let meant = match words.as_slice() {
            [] => spelling::closest(verdict, ["forward", "deny", "reject"]).map(str::to_owned),
            words => spelling::closest(detail, words.iter().copied())
                .map(|word| format!("{verdict}:{word}")),
        };
        let help = meant.map(|word| format!("did you mean `\"{word}\"`?"));
        self.findings.add(finding.help(help.unwrap_or_default()));
    }
}
