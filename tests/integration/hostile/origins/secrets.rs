//! Secrets are in nothing that is said (section 14, SECURITY.md).

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::KIND;
use super::run::Run;
use crate::support::{Authority, Client, Http2, Issued, Origin, portcullis, tried};

/// Part of every secret here.
const MARK: &str = "s3cr3t";

const TOKEN: &str = "s3cr3t-token-0123456789";

/// What a client or an origin may send that is a secret.
const FIELDS: &str = "Authorization: Bearer s3cr3t-bearer\r\nCookie: id=s3cr3t-cookie\r\n\
    Proxy-Authorization: Basic s3cr3t-proxy\r\nX-Api-Key: s3cr3t-key\r\nX-Amz-Security-Token: s3cr3t-amz\r\n\
    Forwarded: for=s3cr3t-forwarded\r\n";

fn answer(target: &str) -> String {
    match target {
        "/garbage" => "s3cr3t-garbage\r\n\r\n".to_owned(),
        "/field" => "HTTP/1.1 200 OK\r\ns3cr3t name: x\r\nX: s3cr3t\0\r\n\r\n".to_owned(),
        "/chunk" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ns3cr3t-chunk".to_owned(),
        "/cut" => "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ns3cr3t-body".to_owned(),
        _ => "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nSet-Cookie: id=s3cr3t-set\r\n\
              Authentication-Info: s3cr3t-info\r\nContent-Length: 11\r\n\r\ns3cr3t-body"
            .to_owned(),
    }
}

struct Place {
    folder: tempfile::TempDir,
    issued: Issued,
    authority: Authority,
    policy: String,
}

impl Place {
    fn new(origin: &Origin) -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let issued = authority.issue(&["img.example.com"]);
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("cert.pem", &issued.pem);
        write("key.pem", &issued.key.serialize_pem());
        write("token", &format!("{TOKEN}\n"));
        let policy = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[server.tls]\nlisten = [\"127.0.0.1:0\"]\n\
             [[server.tls.certificates]]\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n\
             [admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"token\"\n\
             [origin]\nurl = \"http://{}\"\nretries = 0\n[access.user_agent]\nblock = [\"badbot\"]\n\
             [log]\nlevel = \"trace\"\naccess = \"access.ndjson\"\n",
            origin.address
        );
        write("portcullis.toml", &policy);
        Self {
            folder,
            issued,
            authority,
            policy,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&[&TLS13]).unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    /// What `check` and `run` say of a configuration that is wrong.
    fn refused(&self, file: &str, text: &str) -> String {
        let at = self.path().join(file);
        let (before, config) = (
            fs::read(&at).unwrap_or_default(),
            self.path().join("portcullis.toml"),
        );
        fs::write(&at, text).unwrap();
        let mut said = String::new();
        for arguments in [&["check"][..], &["run", "--config"]] {
            let mut command = portcullis(arguments);
            let output = command.arg(&config).output().unwrap();
            assert_eq!(output.status.code(), Some(78), "{text}");
            said += &String::from_utf8(output.stdout).unwrap();
            said += &String::from_utf8(output.stderr).unwrap();
        }
        fs::write(at, before).unwrap();
        said
    }

    /// Configurations in which a secret stands by mistake.
    fn mistakes(&self) -> Vec<(&'static str, String)> {
        let url = |url: &str| {
            (
                "portcullis.toml",
                self.policy.replace("\"http://", &format!("\"{url}")),
            )
        };
        let line = |line: &str| {
            (
                "portcullis.toml",
                self.policy
                    .replace("[admin]\n", &format!("[admin]\n{line}\n")),
            )
        };
        let key = self.issued.key.serialize_pem();
        vec![
            url("http://user:s3cr3t-pass@"),
            url("http://user:s3cr3t/pass@"),
            url("http://user:s3cr3t pass@"),
            url("http://s3cr3t-user@"),
            url(
                "https://user:s3cr3t%20s3cr3t-pass-that-is-very-long-so-that-it-is-cut-somewhere-in-the-middle-of-it@",
            ),
            url("ftp://user:s3cr3t-pass@"),
            line("token = \"s3cr3t-inline\""),
            line("password = \"s3cr3t-inline\""),
            line("api_token = 's3cr3t-inline"),
            ("token", "s3cr3t\n".to_owned()),
            (
                "token",
                "s3cr3t-two-lines-of\ns3cr3t-a-token-file\n".to_owned(),
            ),
            ("token", "s3cr3t with blanks in it\n".to_owned()),
            ("key.pem", key.replace("-----END", "s3cr3t!\n-----END")),
            ("key.pem", key[..key.len() / 2].to_owned()),
            ("cert.pem", key),
        ]
    }
}

/// Everything that the admin listener says.
fn administered(address: std::net::SocketAddr) -> String {
    let ask = |method: &str, path: &str, token: &str, body: &str| {
        let mut client = Client::connect(address);
        client.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        let reply = client.reply();
        format!("{}{}", reply.head, String::from_utf8_lossy(&reply.body))
    };
    let mut said = String::new();
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/-/policy",
        "/-/denials",
        "/-/explain?url=http://a/",
    ] {
        said += &ask("GET", path, TOKEN, "");
        said += &ask("GET", path, "s3cr3t-wrong-0123456789", "");
    }
    for (path, body) in [
        ("/-/reload", ""),
        ("/-/purge", "{\"tags\": [\"a\"]}"),
        ("/-/purge", "{\"tags\": [\"s3cr3t-tag\"]}"),
        ("/-/purge", "s3cr3t-purge"),
    ] {
        said += &ask("POST", path, TOKEN, body);
        said += &ask("POST", path, "s3cr3t-wrong-0123456789", body);
    }
    said
}

/// What clients of either protocol are told by the program itself.
fn asked(run: &Run, place: &Place) -> String {
    let addresses = run.addresses();
    let mut said = String::new();
    for target in ["/ok", "/garbage", "/field", "/chunk", "/cut"] {
        for more in ["", "User-Agent: BadBot\r\n"] {
            let mut client = Client::connect(addresses[0]);
            client.ask(
                "GET",
                target,
                &format!("{FIELDS}{more}Connection: close\r\n"),
            );
            let reply = String::from_utf8_lossy(&client.until_cut()).into_owned();
            // What the origin said to the client is the client's.
            said += if reply.contains(" 200 ") { "" } else { &reply };
        }
    }
    for bad in [
        "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: s3cr3t\0\r\n\r\n",
        "s3cr3t / / /\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nCookie s3cr3t\r\n\r\n",
    ] {
        said += &String::from_utf8_lossy(&Client::connect(addresses[0]).send(bad).until_cut());
    }
    let mut upload = Client::connect(addresses[0]);
    upload
        .ask("POST", "/ok", &format!("{FIELDS}Content-Length: 13\r\n"))
        .send("s3cr3t-upload");
    assert_eq!(upload.reply().status, 200);
    let mut http2 = Http2::connect(addresses[1], place.config());
    for target in ["/h2", "/garbage"] {
        let fields = FIELDS.to_lowercase();
        assert!(
            http2
                .try_ask(Http2::request("GET", target, &fields))
                .is_ok()
        );
        let request = Http2::request("POST", target, &fields);
        assert!(http2.upload(request, b"s3cr3t-upload").is_ok());
    }
    said
}

/// Defence: `config/masked.rs`; the level of libraries' own logs
/// (`log/program.rs`); fields that are secrets are in no line of a log.
#[test]
fn secrets_are_nowhere() {
    let origin = Origin::scripted(|conversation| {
        while let Some(asked) = conversation.request() {
            conversation.say(answer(asked.target()));
            if ["/garbage", "/field", "/chunk", "/cut"].contains(&asked.target()) {
                return;
            }
        }
    });
    let place = Place::new(&origin);
    let mut said = Vec::new();
    let mistakes = place.mistakes();
    for (file, text) in &mistakes {
        said.push((
            format!("check with another {file}: {text}"),
            place.refused(file, text),
        ));
    }
    let mut command: Command = portcullis(&["run", "--config"]);
    command.arg(place.path().join("portcullis.toml"));
    let run = Run::start(command, place.path());
    let admin = *run.addresses().last().unwrap();
    said.push(("answers".to_owned(), asked(&run, &place)));
    said.push(("admin".to_owned(), administered(admin)));
    for (number, (file, text)) in mistakes.iter().enumerate() {
        let at = place.path().join(file);
        let before = fs::read(&at).unwrap();
        fs::write(&at, text).unwrap();
        let reloaded = administered(admin);
        assert!(reloaded.contains("\"error\""), "{number}");
        said.push((format!("a reload with another {file}"), reloaded));
        fs::write(&at, before).unwrap();
    }
    said.push(("its log".to_owned(), run.stop()));
    let log = fs::read_to_string(place.path().join("access.ndjson")).unwrap();
    assert!(log.lines().count() > 15, "{log}");
    said.push(("its access log".to_owned(), log));
    let key = place.issued.key.serialize_pem();
    let secrets = key
        .lines()
        .filter(|line| !line.starts_with("--"))
        .chain([MARK]);
    let secrets: Vec<&str> = secrets.collect();
    let mut leaks = Vec::new();
    for (what, text) in &said {
        let is_told = |line: &&str| secrets.iter().any(|secret| line.contains(secret));
        leaks.extend(
            text.lines()
                .filter(is_told)
                .map(|line| format!("{what}: {line}")),
        );
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    tried(KIND, 2 * mistakes.len());
}
