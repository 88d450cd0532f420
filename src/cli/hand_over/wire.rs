//! What the two processes of a hand-over say to each other: packets, each with
//! a word on its first line.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use socket2::SockRef;

use crate::server::{Bound, SocketFile};

/// The longest packet; an error with the lines it is about is shorter.
const MOST_BYTES: usize = 64 << 10;

/// One end.
#[derive(Debug)]
pub(super) struct Wire(OwnedFd);

/// What is said.
#[derive(Debug)]
pub(super) enum Word {
    /// The elder has this socket.
    Socket(Bound),
    /// And no more.
    All,
    /// The heir serves, on these of the addresses.
    Serving(Vec<String>),
    /// The heir cannot start, for this reason.
    Failed(String),
    /// The elder leaves it to the heir.
    Go,
}

impl Wire {
    /// This end, and the other.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (this, other) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self(this), other))
    }

    /// An end that is standard input.
    pub(super) fn of_stdin() -> io::Result<Self> {
        Ok(Self(io::stdin().as_fd().try_clone_to_owned()?))
    }

    /// How long each word may take, one way or the other.
    pub(super) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        let socket = SockRef::from(&self.0);
        socket.set_read_timeout(Some(patience))?;
        socket.set_write_timeout(Some(patience))
    }

    /// Says `word`.
    pub(super) fn say(&self, word: &Word) -> io::Result<()> {
        let mut text = word.written();
        text.truncate(text.floor_char_boundary(MOST_BYTES));
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let socket;
        if let Word::Socket(bound) = word {
            socket = [bound.socket.as_fd()];
            control.push(SendAncillaryMessage::ScmRights(&socket));
        }
        let text = [IoSlice::new(text.as_bytes())];
        retry_on_intr(|| sendmsg(&self.0, &text, &mut control, SendFlags::NOSIGNAL))?;
        Ok(())
    }

    /// Hears the next word; `None`: the other end is closed.
    pub(super) fn hear(&self) -> io::Result<Option<Word>> {
        let mut text = vec![0; MOST_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut text)];
        let length = loop {
            match recvmsg(&self.0, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
                // Of the other end, which has not read all; what it said
                // comes behind that.
                Err(Errno::CONNRESET | Errno::INTR) => {}
                received => break received?.bytes,
            }
        };
        if length == 0 {
            return Ok(None);
        }
        let socket = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
            _ => None,
        });
        let text = String::from_utf8_lossy(&text[..length]);
        let word = Word::read(&text, socket);
        word.map(Some)
            .ok_or_else(|| io::Error::other(format!("{:?} means nothing", text.lines().next())))
    }
}

impl Word {
    fn written(&self) -> String {
        match self {
            Self::Socket(bound) => {
                let unit = bound.unit.as_deref().unwrap_or_default();
                let file = bound.file.as_ref();
                // A program that knows no such line is given no such socket's
                // address by its configuration either.
                let file = file.map(|file| format!("\n{}", file.written()));
                format!(
                    "socket\n{}\n{unit}{}",
                    bound.address,
                    file.unwrap_or_default()
                )
            }
            Self::All => "all".to_owned(),
            Self::Serving(addresses) => format!("serving\n{}", addresses.join("\n")),
            Self::Failed(why) => format!("failed\n{why}"),
            Self::Go => "go".to_owned(),
        }
    }

    fn read(text: &str, socket: Option<OwnedFd>) -> Option<Self> {
        let (word, rest) = text.split_once('\n').unwrap_or((text, ""));
        Some(match (word, socket) {
            ("socket", Some(socket)) => {
                let (address, rest) = rest.split_once('\n')?;
                let (unit, file) = rest.split_once('\n').unwrap_or((rest, ""));
                Self::Socket(Bound {
                    address: address.to_owned(),
                    socket,
                    unit: (!unit.is_empty()).then(|| unit.to_owned()),
                    file: SocketFile::read(file),
                })
            }
            ("all", None) => Self::All,
            ("serving", None) => Self::Serving(rest.lines().map(str::to_owned).collect()),
            ("failed", None) => Self::Failed(rest.to_owned()),
            ("go", None) => Self::Go,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn ends() -> (Wire, Wire) {
        let (one, other) = Wire::pair().unwrap();
        (one, Wire(other))
    }

    #[test]
    fn a_word_is_heard_as_it_was_said() {
        let (elder, heir) = ends();
        for word in [
            Word::All,
            Word::Serving(vec!["127.0.0.1:80".to_owned(), "[::]:80".to_owned()]),
            Word::Serving(Vec::new()),
            Word::Failed("a\nb".to_owned()),
            Word::Go,
        ] {
            elder.say(&word).unwrap();
            let heard = heir.hear().unwrap().unwrap();
            assert_eq!(format!("{heard:?}"), format!("{word:?}"));
        }
        drop(elder);
        assert!(heir.hear().unwrap().is_none());
    }

    #[test]
    fn a_socket_is_the_same_one_on_the_other_side() {
        let (elder, heir) = ends();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap();
        let file = SocketFile::read("7 8 /run/a b.sock");
        assert!(file.is_some());
        for (unit, file) in [
            (None, None),
            (None, file),
            (Some("a.socket".to_owned()), None),
        ] {
            let bound = Bound {
                address: "127.0.0.1:0".to_owned(),
                socket: listener.try_clone().unwrap().into(),
                unit: unit.clone(),
                file: file.clone(),
            };
            elder.say(&Word::Socket(bound)).unwrap();
            let Some(Word::Socket(heard)) = heir.hear().unwrap() else {
                panic!("no socket");
            };
            assert_eq!((&*heard.address, heard.unit), ("127.0.0.1:0", unit));
            assert_eq!(heard.file, file);
            let same = TcpListener::from(heard.socket);
            assert_eq!(same.local_addr().unwrap(), place);
        }
    }

    #[test]
    fn what_means_nothing_is_an_error_and_what_is_long_is_cut() {
        let (elder, heir) = ends();
        for text in ["socket\na\n", "", "\n", "serving on"] {
            assert!(Word::read(text, None).is_none(), "{text:?}");
        }
        elder
            .say(&Word::Failed("\u{e9}".repeat(MOST_BYTES)))
            .unwrap();
        let heard = heir.hear().unwrap();
        let Some(Word::Failed(why)) = heard else {
            panic!("{heard:?}");
        };
        assert!(why.len() > MOST_BYTES - 10 && why.chars().all(|c| c == '\u{e9}'));
    }
}
