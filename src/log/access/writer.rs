//! The one thread that writes the access log.

use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::text::Text;
use crate::log::AccessTarget;

/// Chunks in the queue: of many workers with little to say, for seconds.
const QUEUE: usize = 1024;

/// Bytes in the queue.
const MOST_BYTES: usize = 8 << 20;

/// Written chunks whose memory is kept for the next ones: memory that one
/// thread takes and another gives back is the dearest there is.
const SPARE: usize = 4;

/// How often lost lines are told, and a new target is noticed without lines.
const TICK: Duration = Duration::from_secs(1);

/// How long the end of the process waits for what is queued to be written:
/// whoever reads standard output may have stopped reading.
const PATIENCE: Duration = Duration::from_secs(5);

/// The access log of the process. Dropping it writes what is queued, if that
/// goes within five seconds.
#[derive(Debug)]
pub struct AccessLog {
    spool: Spool,
    /// Closed by the writer when it ends.
    ended: Receiver<Infallible>,
}

/// A way to the writer, for a worker.
#[derive(Clone, Debug)]
pub struct Spool {
    queue: SyncSender<Chunk>,
    shared: Arc<Shared>,
    /// The writer. It waits for this, not for the queue: a thread that waits
    /// for a queue wakes while the lock of its waiting list is still held, and
    /// on a worker's own core that is two switches more.
    writer: Thread,
}

/// An access log that can be written to.
#[derive(Debug)]
pub struct Opened(Output);

/// Why there is no access log.
#[derive(Debug, thiserror::Error)]
pub enum AccessLogError {
    /// Its file cannot be opened.
    #[error("log.access: {} cannot be written: {why}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: io::Error,
    },
    /// It has no thread.
    #[error("the thread of the access log cannot be started: {0}")]
    Thread(io::Error),
}

#[derive(Debug)]
enum Chunk {
    Lines(Text, u64),
    LookAgain,
}

#[derive(Debug, Default)]
struct Shared {
    lost: AtomicU64,
    /// Lines lost since the start.
    lost_ever: AtomicU64,
    next: Mutex<Option<Output>>,
    /// Bytes of lines that wait to be written.
    waiting: AtomicUsize,
    /// Memory of chunks that are written.
    spare: Mutex<Vec<Text>>,
    closing: AtomicBool,
}

impl AccessLog {
    /// Opens `target` and starts the writer.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened or the thread not be started.
    pub fn start(target: &AccessTarget) -> Result<Self, AccessLogError> {
        let shared = Arc::new(Shared::default());
        let (queue, chunks) = sync_channel(QUEUE);
        let writer = Writer {
            output: Opened::new(target)?.0,
            shared: Arc::clone(&shared),
            told: None,
        };
        let (ends, ended) = sync_channel(0);
        let run = move || {
            writer.run(&chunks);
            drop(ends);
        };
        let thread = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(run)
            .map_err(AccessLogError::Thread)?;
        let writer = thread.thread().clone();
        Ok(Self {
            spool: Spool {
                queue,
                shared,
                writer,
            },
            ended,
        })
    }

    /// A way to the writer.
    pub fn spool(&self) -> Spool {
        self.spool.clone()
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.spool.shared.closing.store(true, Ordering::Release);
        self.spool.look_again();
        if self.ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the access log takes nothing any more: its last lines are lost");
        }
    }
}

impl Spool {
    /// Has what comes from now on written to another file, or to the same
    /// one opened again: after SIGHUP or a reload.
    pub fn go_over_to(&self, opened: Opened) {
        let mut next = self
            .shared
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *next = Some(opened.0);
        drop(next);
        self.look_again();
    }

    /// Lines lost under pressure since the start.
    pub fn lost(&self) -> u64 {
        self.shared.lost_ever.load(Ordering::Relaxed)
    }

    fn look_again(&self) {
        // If the queue is full the writer looks soon enough.
        let _ = self.queue.try_send(Chunk::LookAgain);
        self.writer.unpark();
    }

    /// An empty buffer, with memory if some is spare.
    pub(super) fn buffer(&self) -> Text {
        // Whoever has it only just got the processor: not worth waiting for.
        let spare = self.shared.spare.try_lock();
        spare
            .ok()
            .and_then(|mut spare| spare.pop())
            .unwrap_or_default()
    }

    /// Queues lines, or counts them as lost: a slow disk stops no request.
    pub(super) fn send(&self, text: Text, count: u64) {
        let (length, waiting) = (text.len(), &self.shared.waiting);
        let is_queued = waiting.fetch_add(length, Ordering::Relaxed) + length <= MOST_BYTES
            && self.queue.try_send(Chunk::Lines(text, count)).is_ok();
        if is_queued {
            self.writer.unpark();
        } else {
            waiting.fetch_sub(length, Ordering::Relaxed);
            self.shared.lose(count);
        }
    }
}

impl Shared {
    fn lose(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
        self.lost_ever.fetch_add(count, Ordering::Relaxed);
    }

    fn keep(&self, mut text: Text) {
        text.clear();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            spare.push(text);
        }
    }
}

struct Writer {
    output: Output,
    shared: Arc<Shared>,
    told: Option<Instant>,
}

#[derive(Debug)]
enum Output {
    Off,
    Stdout,
    File(File),
}

impl Writer {
    fn run(mut self, chunks: &Receiver<Chunk>) {
        loop {
            // What was queued before the end is written.
            let closing = self.shared.closing.load(Ordering::Acquire);
            let chunk = chunks.try_recv();
            self.follow();
            match chunk {
                Ok(Chunk::Lines(text, count)) => {
                    self.write(&text, count);
                    self.shared.waiting.fetch_sub(text.len(), Ordering::Relaxed);
                    self.shared.keep(text);
                }
                Ok(Chunk::LookAgain) => {}
                Err(TryRecvError::Empty) if !closing => std::thread::park_timeout(TICK),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
            self.tell_losses();
        }
        self.told = None;
        self.tell_losses();
    }

    /// Goes over to a new output, if there is one.
    fn follow(&mut self) {
        let next = self
            .shared
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(output) = next {
            self.output = output;
        }
    }

    fn write(&mut self, text: &[u8], count: u64) {
        if let Err(error) = self.output.write(text) {
            self.shared.lose(count);
            if self.told.is_none_or(|told| told.elapsed() >= TICK) {
                tracing::error!("the access log cannot be written: {error}");
            }
        }
    }

    fn tell_losses(&mut self) {
        if self.told.is_some_and(|told| told.elapsed() < TICK) {
            return;
        }
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.told = Some(Instant::now());
            tracing::warn!(lost, "access log lines were lost");
        }
    }
}

impl Opened {
    /// Opens `target`; a file is made if there is none, and written to at its
    /// end.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub fn new(target: &AccessTarget) -> Result<Self, AccessLogError> {
        Ok(Self(match target {
            AccessTarget::Off => Output::Off,
            AccessTarget::Stdout => Output::Stdout,
            AccessTarget::File(path) => Output::File(open(path)?),
        }))
    }
}

impl Output {
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Off => Ok(()),
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text)?;
                stdout.flush()
            }
            Self::File(file) => file.write_all(text),
        }
    }
}

fn open(path: &Path) -> Result<File, AccessLogError> {
    open_now(path).map_err(|why| AccessLogError::Open {
        path: path.to_owned(),
        why,
    })
}

/// Without waiting for somebody who reads, where it is a pipe: nobody may ever
/// come. What is written later waits for who has come.
fn open_now(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut options = OpenOptions::new();
    let options = options.create(true).append(true).custom_flags(flags);
    let file = options.open(path)?;
    let flags = fcntl_getfl(&file)?;
    fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Text {
        let mut text = Text::default();
        text.push(bytes);
        text
    }

    #[test]
    fn nobody_waits_for_who_reads_from_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        assert!(open(&path).is_err(), "nobody reads");
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let mut options = OpenOptions::new();
        let _reader = options.read(true).custom_flags(flags).open(&path).unwrap();
        let written = open(&path).unwrap();
        assert!(!fcntl_getfl(&written).unwrap().contains(OFlags::NONBLOCK));
    }

    #[test]
    fn writes_and_reopens() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        let target = AccessTarget::File(path.clone());
        let log = AccessLog::start(&target).unwrap();
        let spool = log.spool();
        spool.send(text(b"one\n"), 1);
        while std::fs::read_to_string(&path).unwrap().is_empty() {
            std::thread::yield_now();
        }
        std::fs::rename(&path, &moved).unwrap();
        spool.go_over_to(Opened::new(&target).unwrap());
        spool.send(text(b"two\n"), 1);
        drop(spool);
        drop(log);
        assert_eq!(std::fs::read_to_string(moved).unwrap(), "one\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "two\n");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let (queue, _chunks) = sync_channel(1);
        let spool = Spool {
            queue,
            shared: Arc::default(),
            writer: std::thread::current(),
        };
        spool.send(text(b"a\n"), 1);
        spool.send(text(b"b\nc\n"), 2);
        assert_eq!(spool.lost(), 2);
    }

    #[test]
    fn so_is_what_takes_too_much_memory() {
        let (queue, chunks) = sync_channel(QUEUE);
        let spool = Spool {
            queue,
            shared: Arc::default(),
            writer: std::thread::current(),
        };
        spool.send(text(&vec![b'\n'; MOST_BYTES]), 1);
        assert_eq!(spool.lost(), 0);
        spool.send(text(b"a\n"), 1);
        assert_eq!(spool.lost(), 1);
        assert_eq!(spool.shared.waiting.load(Ordering::Relaxed), MOST_BYTES);
        assert_eq!(chunks.try_iter().count(), 1);
    }
}
