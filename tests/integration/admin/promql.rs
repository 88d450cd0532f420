//! As much of PromQL as it takes to say which metrics an expression reads, and
//! how.

use std::collections::BTreeSet;

/// A selector in an expression.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    pub(super) metric: String,
    /// Label, operator, value.
    pub(super) matchers: Vec<(String, String, String)>,
    /// Whether it is a range, `[5m]`.
    pub(super) range: bool,
    /// The function that it stands directly in; empty if in none.
    pub(super) function: String,
}

/// What an expression reads.
#[derive(Debug, Default)]
pub(super) struct Expression {
    pub(super) selectors: Vec<Selector>,
    /// In `by`, `on` and the like.
    pub(super) labels: BTreeSet<String>,
    pub(super) functions: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

const OPERATORS: [&str; 6] = ["and", "or", "unless", "offset", "bool", "atan2"];
const GROUPINGS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

impl Expression {
    pub(super) fn parse(text: &str) -> Self {
        let tokens = tokens(text);
        let mut expression = Self::default();
        // What stands before each parenthesis that is open.
        let mut open: Vec<String> = Vec::new();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            let next = tokens.get(at);
            match token {
                Token::Word(word) if word.starts_with(|c: char| c.is_ascii_digit()) => {}
                Token::Word(word) if OPERATORS.contains(&word.as_str()) => {}
                Token::Word(word) if GROUPINGS.contains(&word.as_str()) => {
                    let list = tokens[at..].iter();
                    let list = list.take_while(|token| **token != Token::Sign(')'));
                    for token in list {
                        at += 1;
                        if let Token::Word(label) = token {
                            expression.labels.insert(label.clone());
                        }
                    }
                    at += 1;
                }
                Token::Word(word)
                    if next == Some(&Token::Sign('(')) || aggregates(&tokens[at..]) =>
                {
                    expression.functions.insert(word.clone());
                    if next == Some(&Token::Sign('(')) {
                        open.push(word.clone());
                        at += 1;
                    }
                }
                Token::Word(word) => {
                    let mut selector = Selector {
                        metric: word.clone(),
                        function: open.last().cloned().unwrap_or_default(),
                        ..Selector::default()
                    };
                    at = selector.rest(&tokens, at);
                    expression.selectors.push(selector);
                }
                // Those of `sum by (a) (...)`, and those around anything.
                Token::Sign('(') => open.push(String::new()),
                Token::Sign(')') => {
                    open.pop().expect("a parenthesis is open");
                }
                _ => {}
            }
        }
        assert!(open.is_empty(), "not closed: {text}");
        expression
    }
}

/// `by (...)` follows, as in `sum by (rule) (...)`.
fn aggregates(tokens: &[Token]) -> bool {
    let by = |word: &str| tokens.first() == Some(&Token::Word(word.to_owned()));
    by("by") || by("without")
}

impl Selector {
    /// Reads what stands behind the name; where that ends.
    fn rest(&mut self, tokens: &[Token], mut at: usize) -> usize {
        if tokens.get(at) == Some(&Token::Sign('{')) {
            at += 1;
            while tokens[at] != Token::Sign('}') {
                let Token::Word(label) = &tokens[at] else {
                    panic!("no label: {:?}", &tokens[at..]);
                };
                let signs = tokens[at + 1..].iter();
                let operator: String = signs
                    .map_while(|token| match token {
                        Token::Sign(sign) => Some(*sign),
                        _ => None,
                    })
                    .collect();
                at += 1 + operator.len();
                let Token::Text(value) = &tokens[at] else {
                    panic!("no value: {:?}", &tokens[at..]);
                };
                self.matchers.push((label.clone(), operator, value.clone()));
                at += 1;
                if tokens[at] == Token::Sign(',') {
                    at += 1;
                }
            }
            at += 1;
        }
        if tokens.get(at) == Some(&Token::Sign('[')) {
            self.range = true;
            let rest = tokens[at..].iter();
            at += rest.take_while(|token| **token != Token::Sign(']')).count() + 1;
        }
        at
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '$' | '.');
        let length = if first == '"' {
            let end = rest[1..].find('"').expect("a text ends");
            tokens.push(Token::Text(rest[1..=end].to_owned()));
            end + 2
        } else if of_word(first) {
            let end = rest.find(|c| !of_word(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            end
        } else {
            tokens.push(Token::Sign(first));
            first.len_utf8()
        };
        rest = rest[length..].trim_start();
    }
    tokens
}

#[test]
fn expressions_are_taken_apart() {
    let text = "sum by (job, rule) (rate(a_total{v=\"deny\", w=~\"x|y\"}[5m])) > 3 * on (job) group_left () \
                (0.05 * b:c) unless time() - max(d{}) offset 1h <= 2";
    let expression = Expression::parse(text);
    let names: Vec<&str> = expression
        .selectors
        .iter()
        .map(|selector| selector.metric.as_str())
        .collect();
    assert_eq!(names, ["a_total", "b:c", "d"]);
    let first = &expression.selectors[0];
    assert!(first.range && first.function == "rate");
    let matcher = ("w".to_owned(), "=~".to_owned(), "x|y".to_owned());
    assert_eq!(first.matchers[1], matcher);
    assert_eq!(expression.selectors[2].function, "max");
    assert!(expression.labels.iter().eq(["job", "rule"]));
    assert!(
        expression
            .functions
            .iter()
            .eq(["max", "rate", "sum", "time"])
    );
}
