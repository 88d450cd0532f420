//! What clients saw of each request beside its line in the access log.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

/// What a client saw.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// 0: nothing.
    pub(crate) status: u16,
    /// Of the body.
    pub(crate) bytes: u64,
    pub(crate) reference: Option<String>,
    pub(crate) rule: Option<String>,
    /// Whether it was answered to the end.
    pub(crate) full: bool,
}

/// A line of the log, as far as it is compared.
#[derive(Clone, Debug)]
struct Line {
    status: u16,
    bytes: u64,
    reference: String,
    rule: Option<String>,
}

/// All requests, matched one by one; what is done with is forgotten.
#[derive(Default)]
pub(crate) struct Ledger {
    told: HashMap<u64, Told>,
    lines: HashMap<u64, Line>,
    /// Bits of those whose line came.
    logged: Vec<u64>,
    /// As the metrics name it: how many lines say so.
    pub(crate) sums: BTreeMap<String, u64>,
    pub(crate) matched: u64,
    /// Those whose lines are shown, because their answers were wrong.
    pub(crate) curious: BTreeSet<u64>,
}

type Wrongs = Vec<(&'static str, String)>;

impl Ledger {
    /// A client is done with a request.
    pub(crate) fn tell(&mut self, number: u64, told: Told) -> Wrongs {
        match self.lines.remove(&number) {
            Some(line) => self.compare(number, &told, &line),
            None if self.is_logged(number) => {
                vec![("a request was told twice", number.to_string())]
            }
            None => {
                self.told.insert(number, told);
                Vec::new()
            }
        }
    }

    /// The log has this line.
    pub(crate) fn read(&mut self, text: &str) -> Wrongs {
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return vec![("a line of the access log is no JSON", text.to_owned())];
        };
        let line = Line {
            status: value["status"].as_u64().unwrap_or(0) as u16,
            bytes: value["bytes"].as_u64().unwrap_or(0),
            reference: value["ref"].as_str().unwrap_or("").to_owned(),
            rule: value["rule"].as_str().map(ToOwned::to_owned),
        };
        self.sum(&value, &line);
        let agent = value["user_agent"].as_str().unwrap_or("");
        let number = agent
            .strip_prefix("soak/")
            .map(|rest| rest.split(' ').next());
        let Some(number) = number.flatten().and_then(|number| number.parse().ok()) else {
            return Vec::new();
        };
        if self.curious.remove(&number) {
            eprintln!("its line: {text}");
        }
        if self.is_logged(number) {
            return vec![("a request has two lines in the access log", text.to_owned())];
        }
        self.logged[(number / 64) as usize] |= 1 << (number % 64);
        match self.told.remove(&number) {
            Some(told) => self.compare(number, &told, &line),
            None => {
                self.lines.insert(number, line);
                Vec::new()
            }
        }
    }

    fn is_logged(&mut self, number: u64) -> bool {
        let place = (number / 64) as usize;
        if self.logged.len() <= place {
            self.logged.resize(place + 1024, 0);
        }
        self.logged[place] & 1 << (number % 64) != 0
    }

    fn sum(&mut self, value: &Value, line: &Line) {
        let text = |name: &str| value[name].as_str().unwrap_or("").to_owned();
        let class = match line.status {
            499 => "499".to_owned(),
            status => format!("{}xx", status / 100),
        };
        let mut add = |what: String, more: u64| *self.sums.entry(what).or_default() += more;
        add("lines".to_owned(), 1);
        add("bytes".to_owned(), line.bytes);
        let (verdict, rule) = (text("verdict"), text("rule"));
        add(format!("verdict {verdict} {rule} {class}"), 1);
        for name in ["error", "cache"] {
            if let Some(word) = value[name].as_str() {
                add(format!("{name} {word}"), 1);
            }
        }
    }

    fn compare(&mut self, number: u64, told: &Told, line: &Line) -> Wrongs {
        self.matched += 1;
        let same = told.status == line.status
            && told.bytes == line.bytes
            && told
                .reference
                .as_ref()
                .is_none_or(|told| *told == line.reference)
            && (told.reference.is_none() || told.rule == line.rule);
        if told.full && !same {
            let details = format!("request {number}: {told:?}, and {line:?}");
            return vec![("the access log says otherwise than the client", details)];
        }
        Vec::new()
    }

    /// At the end: what has no other half.
    pub(crate) fn close(&mut self) -> Wrongs {
        let without_line = self.told.drain().filter(|(_, told)| told.full);
        let mut wrong: Wrongs = without_line
            .map(|(number, told)| {
                (
                    "a request has no line in the access log",
                    format!("request {number}: {told:?}"),
                )
            })
            .collect();
        let without_request = self.lines.drain();
        wrong.extend(without_request.map(|(number, line)| {
            (
                "a line is of a request that nobody made",
                format!("request {number}: {line:?}"),
            )
        }));
        wrong
    }
}
