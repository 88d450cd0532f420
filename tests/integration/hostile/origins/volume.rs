//! More than anybody wants.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::KIND;
use crate::support::{Origin, Program, eventually, tried};

const MIB: usize = 1 << 20;

/// How much the process may hold beside what the policy says.
const ROOM: usize = 96 * MIB;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .args(["-9", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, bytes) = (child.stdin.take().unwrap(), bytes.to_vec());
    let writes = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writes.join().unwrap();
    output.stdout
}

/// Defence: bodies are not looked into: a bomb goes on byte for byte.
#[test]
fn a_gzip_bomb_is_passed_on_as_it_is() {
    let zeros = gzip(&vec![0; 64 * MIB]);
    let bombs = [
        zeros.clone(),
        gzip(&zeros),
        gzip(&gzip(&zeros)),
        zeros.repeat(16),
    ];
    let served = bombs.clone();
    let origin = Origin::scripted(move |conversation| {
        while let Some(asked) = conversation.request() {
            let bomb = &served[asked.target()[1..2].parse::<usize>().unwrap()];
            conversation.say(format!(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Encoding: gzip, gzip\r\nContent-Length: {}\r\n\r\n",
                bomb.len()
            ));
            conversation.say(bomb);
        }
    });
    let program = Program::start(
        &origin,
        "[log]\naccess = \"off\"\n[cache]\nmemory = \"16 MiB\"\n",
    );
    let before = program.memory("VmHWM");
    for accept in [
        "",
        "Accept-Encoding: gzip\r\n",
        "Accept-Encoding: identity\r\n",
    ] {
        for (number, bomb) in bombs.iter().enumerate() {
            for _ in 0..2 {
                let reply = program.client().get(&format!("/{number}"), accept);
                assert!(reply.body == *bomb, "{number} {accept}: not the same bytes");
            }
        }
    }
    let grown = program.memory("VmHWM").saturating_sub(before);
    assert!(grown < 48 * MIB, "{grown}");
    tried(KIND, 3 * bombs.len());
}

/// Defence: bodies have their pace from who reads them, what is stored has
/// its bound, and both are given up when their clients leave.
#[test]
fn two_hundred_clients_of_an_endless_origin() {
    const CLIENTS: usize = 200;
    for (cache, head) in [
        ("0", "Content-Length: 99999999999999"),
        ("16 MiB", "Transfer-Encoding: chunked"),
        ("16 MiB", "Connection: close"),
    ] {
        let origin = Origin::scripted(move |conversation| {
            let chunked = head.contains("chunked");
            if conversation
                .request()
                .is_none_or(|asked| asked.target() == "/ok")
            {
                conversation
                    .say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
                return;
            }
            conversation.say(format!(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n{head}\r\n\r\n"
            ));
            let piece = match chunked {
                true => [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat(),
                false => vec![b'x'; 0x4000],
            };
            while conversation.stream.write_all(&piece).is_ok() {}
        });
        let policy = format!(
            "[log]\naccess = \"off\"\n[cache]\nmemory = \"{cache}\"\nmax_object = \"4 MiB\"\n"
        );
        let program = Program::start(&origin, &policy);
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| program.client()).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            // Half of them want the same.
            client.ask("GET", &format!("/{}", number.min(CLIENTS / 2)), "");
        }
        let mut read = 0;
        for client in &mut clients {
            assert_eq!(client.head().0, 200, "{head}");
            let mut part = vec![0; 64 * 1024];
            read += client.stream.read(&mut part).unwrap();
        }
        std::thread::sleep(Duration::from_millis(300));
        let held = program.memory("VmHWM");
        assert!(read > 0 && held < ROOM + 16 * MIB, "{head}: {held}");
        clients.into_iter().for_each(crate::support::Client::leave);
        let files = || {
            std::fs::read_dir(format!("/proc/{}/fd", program.id()))
                .unwrap()
                .count()
        };
        eventually("all descriptors are closed", || files() < 60);
        assert_eq!(program.client().get("/ok", "").text(), "ok");
    }
    tried(KIND, 3 * CLIENTS);
}
