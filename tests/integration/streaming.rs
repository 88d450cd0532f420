//! Bodies stream: a slow reader slows the sender down, and costs no memory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::{Origin, Program, eventually};

const MIB: usize = 1 << 20;

/// What the process may need, whatever passes through it.
const MEMORY: usize = 64 * MIB;

/// What may lie on the way between a sender that is stopped and a reader that
/// takes nothing: our buffers, and the kernel's for two connections.
const ON_THE_WAY: usize = 24 * MIB;

/// A transfer of so many bytes of which the first are read slowly.
#[derive(Clone, Copy)]
struct Transfer {
    length: usize,
    /// How long 1 MiB a second are read.
    slow_for: Duration,
}

const SHORT: Transfer = Transfer {
    length: 96 * MIB,
    slow_for: Duration::from_secs(2),
};

/// As the promise has it: 1 GiB at 1 MiB a second for half a minute, and then
/// as fast as it goes.
const FULL: Transfer = Transfer {
    length: 1024 * MIB,
    slow_for: Duration::from_secs(30),
};

impl Transfer {
    /// Reads all of it from `stream`, of which `read` bytes are read already.
    fn read(self, stream: &mut TcpStream, read: &AtomicUsize) {
        let mut part = vec![0; 64 * 1024];
        let start = Instant::now();
        while read.load(Ordering::Relaxed) < self.length {
            let done = read.load(Ordering::Relaxed);
            if start.elapsed() < self.slow_for {
                let due = Duration::from_secs_f64(done as f64 / MIB as f64);
                sleep(due.saturating_sub(start.elapsed()));
            }
            let length = stream.read(&mut part).unwrap();
            assert!(length > 0, "cut after {done} bytes");
            assert!(part[..length].iter().all(|byte| *byte == b'x'));
            read.fetch_add(length, Ordering::Relaxed);
        }
    }

    /// Writes all of it.
    fn write(self, stream: &mut TcpStream, written: &AtomicUsize) {
        let part = vec![b'x'; 64 * 1024];
        while written.load(Ordering::Relaxed) < self.length {
            stream.write_all(&part).unwrap();
            written.fetch_add(part.len(), Ordering::Relaxed);
        }
    }

    /// The sender is seen to stall while the reader is slow.
    fn watch(self, what: &str, written: &AtomicUsize, read: &AtomicUsize) {
        eventually("it has begun", || read.load(Ordering::Relaxed) > 0);
        let start = Instant::now();
        let mut most = 0;
        while start.elapsed() + Duration::from_millis(500) < self.slow_for {
            let ahead = written
                .load(Ordering::Relaxed)
                .saturating_sub(read.load(Ordering::Relaxed));
            most = most.max(ahead);
            sleep(Duration::from_millis(10));
        }
        assert!(
            most < ON_THE_WAY,
            "{what}: the sender was {most} bytes ahead"
        );
        assert!(
            most < self.length / 2,
            "the transfer is too short to show it"
        );
        eprintln!("{what}: the sender was at most {} KiB ahead", most / 1024);
    }

    fn download(self) {
        let written = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&written);
        let origin = Origin::scripted(move |conversation| {
            conversation.request();
            let length = self.length;
            conversation.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
            ));
            self.write(&mut conversation.stream, &count);
        });
        let program = Program::start(&origin, "[log]\naccess = \"off\"");
        let mut client = program.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let read = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&read);
        let reader = std::thread::spawn(move || {
            assert_eq!(client.head().0, 200);
            count.fetch_add(client.buffered(), Ordering::Relaxed);
            self.read(&mut client.stream, &count);
        });
        self.watch("download", &written, &read);
        reader.join().unwrap();
        assert_eq!(written.load(Ordering::Relaxed), self.length);
        within_memory("download", &program);
    }

    fn upload(self) {
        let read = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&read);
        let origin = Origin::scripted(move |conversation| {
            conversation.head();
            count.fetch_add(conversation.buffered(), Ordering::Relaxed);
            self.read(&mut conversation.stream, &count);
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        });
        let program = Program::start(&origin, "[log]\naccess = \"off\"");
        let mut client = program.client();
        let length = self.length;
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
        ));
        let written = Arc::new(AtomicUsize::new(0));
        let (count, mut stream) = (Arc::clone(&written), client.stream.try_clone().unwrap());
        let writer = std::thread::spawn(move || self.write(&mut stream, &count));
        self.watch("upload", &written, &read);
        writer.join().unwrap();
        assert_eq!(client.reply().text(), "ok");
        assert_eq!(read.load(Ordering::Relaxed), self.length);
        within_memory("upload", &program);
    }
}

fn within_memory(what: &str, program: &Program) {
    let most = program.memory("VmHWM");
    assert!(most < MEMORY, "{what}: {most} bytes");
    eprintln!("{what}: {} KiB of memory at most", most / 1024);
}

#[test]
fn a_download_costs_no_memory() {
    SHORT.download();
}

#[test]
fn an_upload_costs_no_memory() {
    SHORT.upload();
}

/// `cargo test --release --test integration streaming:: -- --ignored --nocapture`
#[test]
#[ignore = "1 GiB each way: about a minute and a half"]
fn a_gibibyte_each_way() {
    FULL.download();
    FULL.upload();
}

/// What slow downloads cost: each its own buffers, and no more.
#[test]
fn slow_downloads_cost_their_buffers() {
    const CLIENTS: usize = 200;
    const EACH: usize = 700 * 1024;
    let origin = Origin::scripted(|conversation| {
        conversation.request();
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n");
        while conversation.stream.write_all(&[b'x'; 65536]).is_ok() {}
    });
    let program = Program::start(&origin, "[log]\naccess = \"off\"");
    let before = program.memory("VmRSS");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = program.client();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    eventually("all are asked for", || origin.asked().len() == CLIENTS);
    let mut last = 0;
    eventually("nothing moves any more", || {
        sleep(Duration::from_millis(300));
        let now = program.memory("VmRSS");
        let still = now.abs_diff(last) < 64 * 1024;
        last = now;
        still
    });
    let each = program.memory("VmHWM").saturating_sub(before) / CLIENTS;
    eprintln!("a slow download costs {} KiB", each / 1024);
    assert!(each < EACH, "{each} bytes each");
    drop(clients);
}
