//! The dashboard and the alerts under `config/`, against what `/metrics` says.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::get;
use super::metrics::Metrics;
use super::promql::{Expression, Selector};
use crate::support::{Origin, Program, eventually, is_installed};

/// Put on every series by Prometheus.
const OF_THE_SCRAPE: [&str; 2] = ["job", "instance"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

fn dashboard() -> Value {
    serde_json::from_str(&text("config/grafana/portcullis.json")).unwrap()
}

/// A server that has seen every kind of traffic.
fn after_traffic() -> Program {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let fixture = |name: &str| {
        root()
            .join("tests/fixtures")
            .join(name)
            .display()
            .to_string()
    };
    let policy = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nmax_body = \"1 KiB\"\n[server.tls]\nlisten = [\"127.0.0.1:0\"]\n\
         [[server.tls.certificates]]\ncert_file = \"{}\"\nkey_file = \"{}\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n[cache]\nmemory = \"2 MiB\"\n\
         [access.user_agent]\nblock = [\"bad\"]\n\
         [access.geo]\nmode = \"block\"\ncountries = [\"DE\"]\ndatabase = \"{}\"\n\
         [access.referrer]\nmode = \"block\"\nurls = [\"https://evil.example\"]\nshadow = true\n\
         [[route]]\nname = \"dead\"\npaths = [\"/dead/**\"]\n[route.origin]\nurl = \"http://{}\"\n\
         methods = [\"GET\", \"POST\"]\n",
        fixture("tls/site.pem"),
        fixture("tls/site.key.pem"),
        fixture("country/country.mmdb"),
        dead.unwrap(),
    );
    let origin = Origin::scripted(|conversation| {
        while let Some(asked) = conversation.request() {
            if asked.line().contains("/slow") {
                // Until the next one has come to share what is being sent.
                conversation.say("HTTP/1.1 200 OK\r\nCache-Control: max-age=0, stale-while-revalidate=600\r\nContent-Length: 2\r\n\r\nok");
            } else {
                conversation.say(
                    "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 2\r\n\r\nok",
                );
            }
        }
    });
    let program = Program::start(&origin, &policy);
    let mut client = program.client();
    for (path, fields, status) in [
        ("/a", "", 200),
        ("/a", "User-Agent: bad\r\n", 403),
        ("/b", "Referer: https://evil.example/\r\n", 200),
        ("/dead/a", "", 502),
        ("/%zz", "", 400),
        ("/c", "Cache-Control: no-store\r\n", 200),
        ("/slow", "", 200),
    ] {
        assert_eq!(client.get(path, fields).status, status, "{path}");
    }
    let mut uploading = program.client();
    uploading.send("POST /dead/a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5000\r\n\r\n");
    assert_eq!(uploading.reply().status, 413);
    // It is stored a moment after it was sent.
    let results = |name: &str| {
        let metrics = Metrics::of(&program);
        metrics.with("portcullis_cache_requests_total", "result", name)
    };
    let mut asking = program.client();
    eventually("/a is a hit", || {
        asking.get("/a", "");
        results("hit") > 0.0
    });
    eventually("/slow is stale", || {
        asking.get("/slow", "");
        results("stale") > 0.0
    });
    eventually("all are counted", || {
        Metrics::of(&program).with("portcullis_requests_total", "verdict", "deny") == 1.0
    });
    program
}

/// An expression of the rules, and what it is recorded as, if it is.
struct Rule {
    recorded: Option<String>,
    alert: Option<String>,
    expression: String,
}

/// Reads the rules as they are written in `alerts.yml`: `expr:` on one line, or
/// `expr: |` and lines that are further in.
fn rules() -> Vec<Rule> {
    let text = text("config/prometheus/alerts.yml");
    let mut rules: Vec<Rule> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let name = |kind: &str| {
            line.strip_prefix(&format!("      - {kind}: "))
                .map(str::to_owned)
        };
        let (recorded, alert) = (name("record"), name("alert"));
        if recorded.is_some() || alert.is_some() {
            rules.push(Rule {
                recorded,
                alert,
                expression: String::new(),
            });
        } else if let Some(expression) = line.strip_prefix("        expr: ") {
            let rule = rules.last_mut().unwrap();
            rule.expression = match expression {
                "|" => {
                    let further =
                        std::iter::from_fn(|| lines.next_if(|line| line.starts_with("          ")));
                    further.collect::<Vec<_>>().join("\n")
                }
                expression => expression.to_owned(),
            };
        }
    }
    rules
}

/// What stands at every key of that name.
fn at_every(key: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(table) => {
            for (name, value) in table {
                match value.as_str() {
                    Some(text) if name == key => found.push(text.to_owned()),
                    _ => at_every(key, value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| at_every(key, item, found)),
        _ => {}
    }
}

/// What is wrong with an expression, if anything.
fn judge(expression: &str, metrics: &Metrics, recorded: &BTreeSet<String>) -> Vec<String> {
    let parsed = Expression::parse(expression);
    let mut wrong = Vec::new();
    let mut labels: BTreeSet<String> = OF_THE_SCRAPE.map(str::to_owned).into();
    assert!(!parsed.selectors.is_empty(), "{expression}");
    for selector in &parsed.selectors {
        if selector.metric == "up" {
            continue;
        }
        if recorded.contains(&selector.metric) {
            labels.insert("rule".to_owned());
            continue;
        }
        let series: Vec<_> = metrics.family(&selector.metric).collect();
        if series.is_empty() {
            wrong.push(format!("there is no {}", selector.metric));
        }
        labels.extend(series.iter().flat_map(|(labels, _)| labels.keys().cloned()));
        for (label, operator, value) in &selector.matchers {
            if OF_THE_SCRAPE.contains(&label.as_str()) {
                continue;
            }
            assert!(
                ["=", "=~", "!="].contains(&operator.as_str()),
                "{expression}"
            );
            for value in value.split('|').filter(|value| !value.starts_with('$')) {
                let has = |known: &&String| known.as_str() == value;
                // `joined` takes two requests at the same moment.
                let known = value == "joined"
                    || series
                        .iter()
                        .any(|(labels, _)| labels.get(label).is_some_and(|v| has(&v)));
                if !known {
                    wrong.push(format!("{} has no {label}=\"{value}\"", selector.metric));
                }
            }
            if !series.iter().any(|(labels, _)| labels.contains_key(label)) {
                wrong.push(format!("{} has no label {label}", selector.metric));
            }
        }
        wrong.extend(misused(selector, metrics));
    }
    let unknown = parsed.labels.difference(&labels);
    wrong.extend(unknown.map(|label| format!("nothing has the label {label}")));
    if parsed.functions.contains("histogram_quantile") != parsed.labels.contains("le") {
        wrong.push("quantiles are by le".to_owned());
    }
    wrong
}

/// A counter only grows until it starts anew: what counts is by how much.
fn misused(selector: &Selector, metrics: &Metrics) -> Option<String> {
    let grows = ["rate", "increase"].contains(&selector.function.as_str());
    let name = &selector.metric;
    let counts = match metrics.kind_of(name)? {
        "counter" => true,
        "histogram" => {
            let part = ["_bucket", "_sum", "_count"];
            assert!(part.iter().any(|part| name.ends_with(part)), "{name}");
            true
        }
        _ => false,
    };
    let ranged = selector.range == grows || selector.function == "changes";
    let fits = counts == grows && ranged;
    (!fits).then(|| format!("{name} stands in {:?}", selector.function))
}

#[test]
fn every_expression_has_its_metrics() {
    let program = after_traffic();
    let metrics = Metrics::of(&program);
    let rules = rules();
    let recorded: BTreeSet<String> = rules
        .iter()
        .filter_map(|rule| rule.recorded.clone())
        .collect();
    assert!(recorded.len() >= 3 && rules.len() - recorded.len() >= 10);
    let mut expressions: Vec<String> = rules.iter().map(|rule| rule.expression.clone()).collect();
    let written = expressions.len();
    at_every("expr", &dashboard(), &mut expressions);
    assert!(expressions.len() > written + 30, "{}", expressions.len());
    let wrong: Vec<String> = expressions
        .iter()
        .flat_map(|expression| {
            let wrong = judge(expression, &metrics, &recorded).into_iter();
            wrong.map(move |wrong| format!("{wrong}: {expression}"))
        })
        .collect();
    assert_eq!(wrong, [""; 0]);
    // The judge knows what is wrong.
    for (expression, expected) in [
        ("portcullis_request_total", "there is no"),
        (
            "rate(portcullis_requests_total{verdict=\"denied\"}[5m])",
            "has no verdict",
        ),
        (
            "rate(portcullis_requests_total{by=\"$x\"}[5m])",
            "has no label by",
        ),
        ("portcullis_requests_total > 1", "stands in"),
        ("rate(portcullis_connections[5m])", "stands in"),
        ("increase(portcullis_requests_total)", "stands in"),
        (
            "sum by (name) (portcullis_connections)",
            "nothing has the label name",
        ),
        (
            "sum by (le) (rate(portcullis_origin_response_seconds_bucket[5m]))",
            "quantiles",
        ),
    ] {
        let wrong = judge(expression, &metrics, &recorded);
        assert!(
            wrong.iter().any(|wrong| wrong.contains(expected)),
            "{expression}: {wrong:?}"
        );
    }
    for query in variables() {
        let Some((selector, label)) = query.rsplit_once(", ") else {
            panic!("{query}");
        };
        let selector = selector.strip_prefix("label_values(").unwrap();
        let metric = selector.split('{').next().unwrap();
        let label = label.strip_suffix(')').unwrap();
        let known = metrics
            .family(metric)
            .any(|(labels, _)| labels.contains_key(label));
        assert!(known || OF_THE_SCRAPE.contains(&label), "{query}");
    }
}

/// What the variables of the dashboard ask for.
fn variables() -> Vec<String> {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let asked = variables
        .iter()
        .filter(|variable| variable["type"] == "query");
    let asked: Vec<String> = asked
        .map(|variable| variable["query"]["query"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(asked.len(), 3);
    asked
}

/// As an export for others: no ids, the data source is asked for, and nothing
/// overlaps.
#[test]
fn the_dashboard_has_its_shape() {
    let dashboard = dashboard();
    assert!(
        dashboard["schemaVersion"].as_u64() >= Some(38),
        "Grafana 10"
    );
    assert_eq!(dashboard.get("id"), None);
    let names = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let variables: Vec<String> = variables.iter().map(names).collect();
    assert_eq!(variables, ["datasource", "job", "instance", "route"]);
    let panels = dashboard["panels"].as_array().unwrap();
    let (mut titles, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(titles.insert(title.to_owned()), "twice: {title}");
        assert_eq!(panel.get("id"), None, "{title}");
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title}");
        for (x, y) in (0..place("w")).flat_map(|x| (0..place("h")).map(move |y| (x, y))) {
            assert!(
                taken.insert((place("x") + x, place("y") + y)),
                "{title} overlaps"
            );
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(panel["description"].as_str().unwrap().len() > 5, "{title}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        for asked in targets.iter().chain([panel]) {
            assert_eq!(asked["datasource"]["uid"], "${datasource}", "{title}");
        }
        for target in targets {
            let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap();
            let expression = target["expr"].as_str().unwrap();
            assert_eq!(
                unit_class(unit),
                class_of(expression),
                "{title}: {expression}"
            );
            for name in ["$job", "$instance"] {
                assert!(expression.contains(name), "{title}: {expression}");
            }
            let by = expression
                .split("by (")
                .nth(1)
                .and_then(|rest| rest.split(')').next());
            let legend = target["legendFormat"].as_str().unwrap();
            for label in by
                .into_iter()
                .flat_map(|by| by.split(", "))
                .filter(|by| *by != "le")
            {
                assert!(
                    legend.contains(&format!("{{{{{label}}}}}")),
                    "{title}: {legend}"
                );
            }
        }
    }
    assert!(titles.len() > 25, "{titles:?}");
}

/// What kind of number a unit of Grafana is for.
fn unit_class(unit: &str) -> &'static str {
    match unit {
        "bytes" => "bytes",
        "Bps" => "bytes a second",
        "s" => "seconds",
        "percentunit" => "share",
        "reqps" | "cps" => "a second",
        "none" => "number",
        other => panic!("{other}"),
    }
}

/// What kind of number comes out of an expression.
fn class_of(expression: &str) -> &'static str {
    let has = |part: &str| expression.contains(part);
    match () {
        () if has(") / sum") => "share",
        () if has("_bytes_total") => "bytes a second",
        () if has("_bytes") => "bytes",
        // Seconds of CPU a second are cores.
        () if has("process_cpu_seconds_total") => "number",
        () if has("_seconds") => "seconds",
        () if has("rate(") => "a second",
        () => "number",
    }
}

/// Each of the dangers has its alert, and each alert its test.
#[test]
fn every_alert_is_tried() {
    let tests = text("config/prometheus/alerts.test.yml");
    let rules = text("config/prometheus/alerts.yml");
    let alerts: Vec<String> = self::rules()
        .into_iter()
        .filter_map(|rule| rule.alert)
        .collect();
    for alert in &alerts {
        let tried = format!("alertname: {alert}\n        exp_alerts:");
        assert!(tests.contains(&tried), "{alert} never fires in a test");
    }
    for part in ["severity: ", "summary: ", "description: "] {
        assert_eq!(
            rules.matches(&format!("          {part}")).count(),
            alerts.len(),
            "{part}"
        );
    }
}

/// Runs `promtool`, and gives what it said; it has to end well.
fn promtool(arguments: &[&str], file: Option<&Path>) {
    let mut command = Command::new("promtool");
    command
        .args(arguments)
        .current_dir(root().join("config/prometheus"));
    if let Some(file) = file {
        command.stdin(fs::File::open(file).unwrap());
    }
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

#[test]
fn promtool_has_nothing_against_it() {
    if !is_installed("promtool") {
        return;
    }
    promtool(&["check", "rules", "--lint-fatal", "alerts.yml"], None);
    promtool(&["test", "rules", "alerts.test.yml"], None);
    let program = after_traffic();
    let page = get(&program, "/metrics");
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("metrics");
    fs::write(&file, in_the_older_format(page.text())).unwrap();
    promtool(&["check", "metrics"], Some(&file));
}

/// It reads the text format from before OpenMetrics, in which the name of a
/// counter is that of its series.
fn in_the_older_format(text: &str) -> String {
    let counters: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let line = |line: &str| {
        let mut words = line.splitn(4, ' ');
        let (hash, kind, name, rest) = (words.next(), words.next(), words.next(), words.next());
        match (hash, name) {
            (Some("#"), Some(name)) if counters.contains(name) => {
                format!("# {} {name}_total {}\n", kind.unwrap(), rest.unwrap())
            }
            _ => format!("{line}\n"),
        }
    };
    text.lines()
        .filter(|line| *line != "# EOF")
        .map(line)
        .collect()
}
