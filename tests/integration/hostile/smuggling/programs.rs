//! What real servers read in what reaches an origin.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::KIND;
use super::requests::streams;
use super::strict::{self, Message, Side};
use crate::support::{Nginx, eventually, is_installed, tried, untried};

/// The attacks whose streams they get.
const ATTACKS: std::ops::Range<usize> = 300_000..300_300;

/// node's parser, as it is and as lenient as it gets: how many requests of how
/// many bytes came on each stream.
const NODE: &str = r#"
const http = require('http'), net = require('net'), fs = require('fs');
const streams = fs.readFileSync(0, 'latin1').trim().split('\n').map(line => Buffer.from(line, 'hex'));
const insecureHTTPParser = process.argv[2] === 'lenient';
let seen = [];
const server = http.createServer({ insecureHTTPParser, requestTimeout: 0 }, (request, response) => {
  let length = 0;
  request.on('data', data => { length += data.length; });
  request.on('end', () => { seen.push(`${request.method} ${request.url} ${length}`); response.end('ok'); });
});
server.on('clientError', (error, socket) => { seen.push('error ' + error.code); socket.destroy(); });
server.maxRequestsPerSocket = 0;
server.listen(0, '127.0.0.1', async () => {
  for (const stream of streams) {
    seen = [];
    await new Promise(done => {
      const socket = net.connect(server.address().port, '127.0.0.1', () => socket.end(stream));
      socket.on('close', done); socket.on('error', () => {}); socket.resume();
    });
    console.log(JSON.stringify(seen));
  }
  process.exit(0);
});
"#;

/// The heads as Python's `http.server` reads them.
const PYTHON: &str = r#"
import http.server, io, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def __init__(self, data):
        self.rfile, self.wfile, self.seen = io.BytesIO(data), io.BytesIO(), []
        self.client_address, self.close_connection = ('127.0.0.1', 0), False
        while not self.close_connection:
            self.handle_one_request()
    def body(self):
        if 'chunked' in (self.headers.get('transfer-encoding') or ''):
            length = 0
            while True:
                size = int(self.rfile.readline().split(b';')[0], 16)
                self.rfile.read(size)
                length += size
                self.rfile.readline()
                if size == 0: return length
        return len(self.rfile.read(int(self.headers.get('content-length') or 0)))
    def __getattr__(self, name):
        if name.startswith('do_'):
            return lambda: self.seen.append(f'{self.command} {self.path} {self.body()}')
        raise AttributeError(name)
    def send_error(self, code, *rest):
        self.seen.append(f'error {code}'); self.close_connection = True
    def log_message(self, *rest): pass
for line in sys.stdin:
    print(json.dumps(Handler(bytes.fromhex(line.strip())).seen))
"#;

/// What a program that is given the streams by its input finds in each.
fn told(program: &str, arguments: &[&str], streams: &[Vec<u8>]) -> Vec<Vec<String>> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let hex = |stream: &Vec<u8>| stream.iter().map(|byte| format!("{byte:02x}")).collect();
    let lines: Vec<String> = streams.iter().map(hex).collect();
    let writer = std::thread::spawn(move || input.write_all((lines.join("\n") + "\n").as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{program} failed");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn expected(stream: &[u8]) -> Vec<String> {
    let (found, _, _) = strict::requests(stream, Side::Origin);
    let line = |m: &Message| format!("{} {} {}", m.method(), m.target(), m.body.len());
    found.iter().map(line).collect()
}

/// The requests of all streams, and what a program makes of them.
fn compare(program: &str, arguments: &[&str], streams: &[Vec<u8>]) {
    let all = told(program, arguments, streams);
    assert_eq!(all.len(), streams.len());
    for (stream, told) in streams.iter().zip(all) {
        let mut expected = expected(stream);
        // A last one that was cut short is none, or an error.
        let told: Vec<_> = told
            .into_iter()
            .filter(|one| !one.starts_with("error HPE_INVALID_EOF"))
            .collect();
        if program == "python3" {
            // It knows no decoding of targets, but of two slashes in front.
            expected
                .iter_mut()
                .for_each(|one| *one = one.replace(" //", " /"));
        }
        assert_eq!(told, expected, "{program}: {}", stream.escape_ascii());
    }
}

/// Streams that end with a whole request, so that no program waits.
fn whole() -> Vec<Vec<u8>> {
    let mut streams = streams(ATTACKS);
    for stream in &mut streams {
        let (_, end, _) = strict::requests(stream, Side::Origin);
        stream.truncate(end);
    }
    streams.retain(|stream| !stream.is_empty());
    streams
}

#[test]
fn node_and_python_read_the_same_requests() {
    let streams = whole();
    for (program, ways) in [("node", &["strict", "lenient"][..]), ("python3", &["-"])] {
        if !is_installed(program) {
            untried(KIND, program);
            continue;
        }
        for way in ways {
            let arguments: &[&str] = match program {
                "node" => &["-e", NODE, "-", way],
                _ => &["-c", PYTHON],
            };
            compare(program, arguments, &streams);
        }
    }
    tried(KIND, ATTACKS.len());
}

#[test]
fn nginx_reads_the_same_requests() {
    if !is_installed("nginx") {
        return untried(KIND, "nginx");
    }
    let streams = whole();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("seen.log");
    let nginx = Nginx::start(&format!(
        "access_log {} combined; keepalive_requests 100000; client_max_body_size 0; lingering_close off;\n\
         location / {{ return 200 ok; }}",
        log.display()
    ));
    for stream in &streams {
        let mut client = TcpStream::connect(nginx.address).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut writer = client.try_clone().unwrap();
        let stream = stream.clone();
        let writing = std::thread::spawn(move || {
            let _ = writer.write_all(&stream);
            let _ = writer.shutdown(Shutdown::Write);
        });
        let _ = client.read_to_end(&mut Vec::new());
        writing.join().unwrap();
    }
    let expected: Vec<String> = streams.iter().flat_map(|stream| lines(stream)).collect();
    eventually("nginx has logged all", || {
        logged(&log).len() >= expected.len()
    });
    assert_eq!(logged(&log), expected);
    tried(KIND, ATTACKS.len());
}

fn lines(stream: &[u8]) -> Vec<String> {
    let (found, _, _) = strict::requests(stream, Side::Origin);
    found.into_iter().map(|message| message.line).collect()
}

/// The request lines in its log.
fn logged(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let line = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
    text.lines().map(line).collect()
}
