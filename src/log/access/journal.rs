//! A worker's lines on their way to the writer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::spawn_local;

use super::draft::{Draft, Outcome};
use super::kept::Keeper;
use super::stamp::Stamp;
use super::text::Text;
use super::writer::Spool;

/// A buffer this full is handed over at once. Handing over means waking the
/// writer: at 32 KiB that took a third of what writing costs.
const FULL: usize = 128 * 1024;

/// How often it is looked whether the buffer is still the one of last time: no
/// line is in it for more than twice as long.
const DELAY: Duration = Duration::from_millis(50);

/// How old a reading of the wall clock may get before it is read again. Until
/// then what passes is taken from the steady clock, which is read anyway.
const CLOCK: Duration = Duration::from_millis(500);

/// Drafts kept for the next requests.
const SPARE: usize = 64;

/// A worker's part of the access log.
#[derive(Debug)]
pub struct Journal {
    spool: Spool,
    lines: RefCell<Lines>,
    clock: RefCell<Clock>,
    spare: RefCell<Vec<Text>>,
    /// Whether a task flushes what gets old.
    flushing: Cell<bool>,
}

#[derive(Debug, Default)]
struct Lines {
    text: Text,
    count: u64,
    /// Buffers handed over before.
    buffers: u64,
}

/// The wall clock.
#[derive(Debug, Default)]
struct Clock {
    /// When it was read, and what it showed since the epoch.
    read: Option<(Instant, Duration)>,
    stamp: Stamp,
}

impl Journal {
    /// An empty one that hands its lines to `spool`.
    pub fn new(spool: Spool) -> Rc<Self> {
        let (lines, clock, spare, flushing) = Default::default();
        Rc::new(Self {
            spool,
            lines,
            clock,
            spare,
            flushing,
        })
    }

    /// A line that starts with the time, which is `now`.
    pub fn draft(&self, now: Instant) -> Draft {
        let text = self
            .spare
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Text::with_capacity(2048));
        let mut draft = Draft::new(text);
        self.clock.borrow_mut().push(&mut draft.text, now);
        draft
    }

    /// Writes the line of a request that is over, for the `keeper` too.
    pub fn write(self: &Rc<Self>, draft: Draft, outcome: &Outcome<'_>, keeper: Option<&Keeper>) {
        let mut lines = self.lines.borrow_mut();
        let start = lines.text.len();
        draft.finish(outcome, &mut lines.text);
        if let Some(keeper) = keeper {
            // Without the end of the line.
            keeper.line(&lines.text[start..lines.text.len() - 1]);
        }
        lines.count += 1;
        let full = lines.text.len() >= FULL;
        drop(lines);
        self.keep(draft.text);
        if full {
            self.flush();
        } else if !self.flushing.get() {
            self.flush_what_gets_old();
        }
    }

    /// Hands over what is in the buffer.
    pub fn flush(&self) {
        let mut lines = self.lines.borrow_mut();
        if lines.count > 0 {
            let text = std::mem::replace(&mut lines.text, self.spool.buffer());
            lines.buffers += 1;
            self.spool.send(text, std::mem::take(&mut lines.count));
        }
    }

    /// Hands over a buffer that was begun before `buffers` were handed over.
    /// Whether there may be lines left, and how many buffers are now.
    fn flush_since(&self, buffers: u64) -> Option<u64> {
        let lines = self.lines.borrow();
        let (now, empty) = (lines.buffers, lines.count == 0);
        drop(lines);
        if now == buffers {
            self.flush();
        }
        (!empty).then_some(self.lines.borrow().buffers)
    }

    fn flush_what_gets_old(self: &Rc<Self>) {
        // Outside a runtime, that is while a worker ends, the drop flushes.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        self.flushing.set(true);
        let mut buffers = self.lines.borrow().buffers;
        let journal = Rc::downgrade(self);
        spawn_local(async move {
            loop {
                tokio::time::sleep(DELAY).await;
                let Some(journal) = journal.upgrade() else {
                    return;
                };
                match journal.flush_since(buffers) {
                    Some(now) => buffers = now,
                    None => return journal.flushing.set(false),
                }
            }
        });
    }

    fn keep(&self, text: Text) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE && text.capacity() <= 16 * 1024 {
            spare.push(text);
        }
    }
}

impl Clock {
    fn push(&mut self, out: &mut Text, now: Instant) {
        if let Some((at, shown)) = self.read {
            let passed = now.saturating_duration_since(at);
            if passed < CLOCK {
                return self.stamp.push(out, shown + passed);
            }
        }
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let shown = since_epoch.unwrap_or_default();
        self.read = Some((now, shown));
        self.stamp.push(out, shown);
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.flush();
    }
}
