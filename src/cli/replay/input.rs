//! Where a log is read from: a file or standard input, plain or gzip.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use flate2::bufread::GzDecoder;

use crate::cli::CliError;

/// How a gzip file begins (RFC 1952 section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Bytes that are unpacked at a time.
const BLOCK: usize = 256 << 10;

/// Blocks that may wait.
const BLOCKS: usize = 4;

/// A log, unpacked.
pub(super) enum Input {
    Plain(Box<dyn Read>),
    Unpacked(Unpacked),
}

/// What another thread unpacks: that costs as much as the replay itself.
pub(super) struct Unpacked {
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: Vec<u8>,
    taken: usize,
}

/// The members of a gzip file, one after the other (RFC 1952 section 2.2).
/// Zeros behind one are passed as gzip does: copies of whole blocks leave them.
struct Members<R> {
    /// `None`: that was all.
    member: Option<GzDecoder<R>>,
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    read: Arc<AtomicU64>,
}

/// The size of a log, in bytes as they are stored; `None`: nobody knows.
///
/// # Errors
///
/// If there is no such log.
pub(super) fn size(path: &Path) -> Result<Option<u64>, CliError> {
    if path == Path::new("-") {
        return Ok(None);
    }
    // Also tells of one that may not be read.
    let file = File::open(path).and_then(|file| file.metadata());
    let data = file.map_err(|error| CliError::Log(path.to_owned(), error))?;
    Ok(data.is_file().then_some(data.len()))
}

impl Input {
    /// Opens the log at `path`; `read` counts its bytes as they are stored.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, or not be read at all.
    pub(super) fn open(path: &Path, read: Arc<AtomicU64>) -> Result<Self, CliError> {
        let failed = |error| CliError::Log(path.to_owned(), error);
        let input: Box<dyn Read + Send> = match path == Path::new("-") {
            true => Box::new(io::stdin()),
            false => Box::new(File::open(path).map_err(failed)?),
        };
        let mut input = Counted { input, read };
        let mut start = Vec::with_capacity(GZIP.len());
        let mut first = input.by_ref().take(GZIP.len() as u64);
        first.read_to_end(&mut start).map_err(failed)?;
        let is_gzip = start == GZIP;
        let input = io::Cursor::new(start).chain(input);
        match is_gzip {
            true => Unpacked::start(input).map(Self::Unpacked).map_err(failed),
            false => Ok(Self::Plain(Box::new(input))),
        }
    }
}

impl Unpacked {
    fn start(input: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, blocks) = sync_channel(BLOCKS);
        let decoder = Members::new(io::BufReader::with_capacity(BLOCK, input));
        std::thread::Builder::new()
            .name("unpack".to_owned())
            .spawn(move || unpack(decoder, &sender))?;
        Ok(Self {
            blocks,
            block: Vec::new(),
            taken: 0,
        })
    }
}

impl<R: BufRead> Members<R> {
    fn new(input: R) -> Self {
        Self {
            member: Some(GzDecoder::new(input)),
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let length = member.read(to)?;
            if length > 0 || to.is_empty() {
                return Ok(length);
            }
            let rest = self.member.take().map(GzDecoder::into_inner);
            if let Some(mut rest) = rest
                && !skip_padding(&mut rest)?
            {
                self.member = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}

/// Passes zeros; whether that was all.
fn skip_padding(rest: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let part = match rest.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            part => part?,
        };
        let zeros = part.iter().take_while(|byte| **byte == 0).count();
        if zeros == 0 {
            return Ok(part.is_empty());
        }
        rest.consume(zeros);
    }
}

/// Sends what `input` has until that ends or nobody listens.
fn unpack(mut input: impl Read, blocks: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut block = Vec::with_capacity(BLOCK);
        let read = input.by_ref().take(BLOCK as u64).read_to_end(&mut block);
        // What came before an error is good.
        let is_over = block.is_empty();
        if !is_over && blocks.send(Ok(block)).is_err() {
            return;
        }
        if let Err(error) = read {
            // Whoever does not listen any more needs no error.
            let _ = blocks.send(Err(error));
            return;
        }
        if is_over {
            return;
        }
    }
}

impl Read for Input {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(to),
            Self::Unpacked(input) => input.read(to),
        }
    }
}

impl Read for Unpacked {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.block.len() {
            let Ok(block) = self.blocks.recv() else {
                return Ok(0);
            };
            self.block = block?;
            self.taken = 0;
        }
        let length = to.len().min(self.block.len() - self.taken);
        to[..length].copy_from_slice(&self.block[self.taken..self.taken + length]);
        self.taken += length;
        Ok(length)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(to)?;
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}
