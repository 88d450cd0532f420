//! A worker's lines on their way to the writer.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use tokio::task::spawn_local;

use super::draft::{Draft, Outcome};
use super::stamp::Stamp;
use super::writer::Spool;

/// A buffer this full is handed over at once. Handing over means waking the
/// writer: at 32 KiB that took a third of what writing costs.
const FULL: usize = 128 * 1024;

/// A line is in the buffer no longer than this.
const DELAY: Duration = Duration::from_millis(50);

/// Drafts kept for the next requests.
const SPARE: usize = 64;

/// A worker's part of the access log.
#[derive(Debug)]
pub struct Journal {
    spool: Spool,
    lines: RefCell<Lines>,
    stamp: RefCell<Stamp>,
    spare: RefCell<Vec<Vec<u8>>>,
}

#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    count: u64,
}

impl Journal {
    /// An empty one that hands its lines to `spool`.
    pub fn new(spool: Spool) -> Rc<Self> {
        let (lines, stamp, spare) = Default::default();
        Rc::new(Self {
            spool,
            lines,
            stamp,
            spare,
        })
    }

    /// A line that starts with the time.
    pub fn draft(&self) -> Draft {
        let text = self
            .spare
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(1024));
        let mut draft = Draft::new(text);
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        draft.text.extend_from_slice(b"{\"time\":\"");
        self.stamp.borrow_mut().push(&mut draft.text, now);
        draft.text.push(b'"');
        draft
    }

    /// Writes the line of a request that is over.
    pub fn write(self: &Rc<Self>, draft: Draft, outcome: &Outcome<'_>) {
        let mut lines = self.lines.borrow_mut();
        draft.finish(outcome, &mut lines.text);
        lines.count += 1;
        let (full, first) = (lines.text.len() >= FULL, lines.count == 1);
        drop(lines);
        self.keep(draft.text);
        if full {
            self.flush();
        } else if first {
            self.flush_soon();
        }
    }

    /// Hands over what is in the buffer.
    pub fn flush(&self) {
        let mut lines = self.lines.borrow_mut();
        if lines.count > 0 {
            let text = std::mem::replace(&mut lines.text, self.spool.buffer());
            self.spool.send(text, std::mem::take(&mut lines.count));
        }
    }

    fn flush_soon(self: &Rc<Self>) {
        // Outside a runtime, that is while a worker ends, the drop flushes.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let journal = Rc::downgrade(self);
        spawn_local(async move {
            tokio::time::sleep(DELAY).await;
            if let Some(journal) = journal.upgrade() {
                journal.flush();
            }
        });
    }

    fn keep(&self, text: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE && text.capacity() <= 16 * 1024 {
            spare.push(text);
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.flush();
    }
}
