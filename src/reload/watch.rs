//! When to load again.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::files::Files;
use super::folders::Folders;
use super::reloader::{Attempt, Refusal, Reloader, Trigger};

/// How often files are looked at while nothing is heard of them: watches do
/// not work on every file system, nor for a folder that comes again.
const POLL: Duration = Duration::from_millis(700);

/// How often files are looked at while they are changing.
const STEP: Duration = Duration::from_millis(100);

enum Message {
    /// Something happened in a folder of a file.
    Look,
    /// Reload, whether or not anything changed, and tell who asked.
    Reload(Option<Waiting>),
    Stop,
}

type Waiting = SyncSender<Result<u64, String>>;

/// The thread that watches. Dropping it ends it.
#[derive(Debug)]
pub struct Handle {
    messages: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Reloads now, whatever the files look like, which also confirms what a
    /// change on disk may not do by itself (SIGHUP).
    pub fn reload(&self) {
        // A thread that has ended has said why.
        let _ = self.messages.send(Message::Reload(None));
    }

    /// The same, and waits for the outcome, `patience` at most: the new
    /// generation.
    ///
    /// # Errors
    ///
    /// Why the old snapshot is still in force, for people.
    pub fn reload_and_wait(&self, patience: Duration) -> Result<u64, String> {
        let (outcome, received) = sync_channel(1);
        let _ = self.messages.send(Message::Reload(Some(outcome)));
        received.recv_timeout(patience).unwrap_or_else(|error| {
            Err(match error {
                RecvTimeoutError::Timeout => "it is still being loaded; see the log".to_owned(),
                RecvTimeoutError::Disconnected => "the process is about to stop".to_owned(),
            })
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.messages.send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Watches the files of the snapshot in force, on a thread of its own.
///
/// # Errors
///
/// If the thread cannot be started.
pub fn start<E: Refusal>(reloader: Reloader<E>) -> io::Result<Handle> {
    let (messages, received) = channel();
    let events = messages.clone();
    let folders = Folders::new(move || {
        let _ = events.send(Message::Look);
    });
    let mut watch = Watch {
        files: Files::new(reloader.current().sources.clone(), folders),
        reloader,
        messages: received,
        asked: Vec::new(),
    };
    let thread = std::thread::Builder::new()
        .name("reload".to_owned())
        .spawn(move || while watch.once().is_ok() {})?;
    Ok(Handle {
        messages,
        thread: Some(thread),
    })
}

struct Watch<E> {
    reloader: Reloader<E>,
    files: Files,
    messages: Receiver<Message>,
    /// Who asked for a reload since the last one.
    asked: Vec<Option<Waiting>>,
}

/// The process ends.
struct Stopped;

impl<E: Refusal> Watch<E> {
    /// Waits until it is time, and reloads.
    fn once(&mut self) -> Result<(), Stopped> {
        self.hear(POLL)?;
        // A log that is written in the same folder is heard of all the time.
        self.pause(STEP)?;
        while self.asked.is_empty() {
            if !self.files.look_different() {
                return Ok(());
            }
            self.settle()?;
            if self.asked.is_empty() && !self.files.are_different() {
                return Ok(());
            }
            // Nothing came of it if they were written again in that moment.
            if self.asked.is_empty() && self.reload(Trigger::Change) {
                return Ok(());
            }
        }
        // One load is enough for all who have asked by now.
        while self.hear(Duration::ZERO)? {}
        self.reload(Trigger::Asked);
        Ok(())
    }

    /// Waits until all files have been still for long enough, or someone asks.
    fn settle(&mut self) -> Result<(), Stopped> {
        let mut settling = self.files.settling();
        while self.asked.is_empty() && !settling.is_over() {
            self.pause(STEP)?;
        }
        Ok(())
    }

    /// Waits so long, but not on when someone asks.
    fn pause(&mut self, time: Duration) -> Result<(), Stopped> {
        let end = Instant::now() + time;
        while self.asked.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if !self.hear(left)? {
                break;
            }
        }
        Ok(())
    }

    /// Hears the next message, if one comes within `time`.
    fn hear(&mut self, time: Duration) -> Result<bool, Stopped> {
        match self.messages.recv_timeout(time) {
            Ok(Message::Reload(waiting)) => self.asked.push(waiting),
            Ok(Message::Look) => {}
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
            Err(RecvTimeoutError::Timeout) => return Ok(false),
        }
        Ok(true)
    }

    /// Reloads for all who have asked so far; whether it came to an end.
    fn reload(&mut self, trigger: Trigger) -> bool {
        let asked = std::mem::take(&mut self.asked);
        match self.reloader.attempt(trigger) {
            Attempt::Restless => false,
            Attempt::Ended { outcome, sources } => {
                self.files.follow(sources);
                for waiting in asked.into_iter().flatten() {
                    // Who asked may have given up.
                    let _ = waiting.try_send(outcome.clone());
                }
                true
            }
        }
    }
}
