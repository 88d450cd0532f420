//! Where one connection stands: noted by its stream and its service in plain
//! cells, judged by the worker's sweeper.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};

use memchr::memchr;

use super::limits::Limits;
use super::pace::{Pace, least};
use super::table::Table;
use crate::message::unread::Unread;
use crate::proxy::Tail;

/// A client that has ended its side within a request is taken for gone after
/// so many milliseconds without a response (it may only have half closed).
const GONE: u64 = 500;

/// And within a response, after so many milliseconds in which nothing is
/// sent: what is sent shows whether there is anyone.
const GONE_WITHIN: u64 = 5000;

/// Between two requests hyper's buffers are given back after so many
/// milliseconds: they are sixteen KiB.
const SLEEPY: u64 = 250;

/// A client that has let us wait for its first byte, or for the end of a head,
/// for so many milliseconds may have to make room: heads come in one piece, or
/// within a few journeys.
const LATE: u64 = 1000;

/// While the worker drains, the rest of a head is waited for no longer.
const DRAINING_HEAD: u64 = 5000;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No byte has come yet.
    Fresh,
    /// Between two requests.
    Idle,
    /// A part of a head has come.
    Head,
    /// Bytes came after the response to a request with a body: they may
    /// still be of that body, or the next head.
    Rest,
    /// A request is answered; until its response has gone out.
    Request,
}

/// Why a connection is ended here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No request has come in time.
    Idle,
    /// None has come for a while: hyper is not needed until one does.
    Sleepy,
    /// Nothing at all has come in time.
    Silent,
    /// A head did not end in time.
    SlowHead,
    /// The client takes little of its response, as far as can be seen.
    Slow,
    /// The client does not take its response.
    Stalled,
    /// The client has ended its side and no response is in sight.
    Gone,
    /// For a newer connection.
    Evicted,
    /// The client sends much that asks for nothing (HTTP/2).
    Flood,
}

/// One connection, as its worker sees it.
#[derive(Debug)]
pub(super) struct Link {
    table: Rc<Table>,
    slot: u32,
    pub(super) limits: Limits,
    state: Cell<State>,
    /// When the state began, by the table's clock; of `Rest` a part of it.
    since: Cell<u64>,
    /// Bytes read since then, in `Head` and `Rest`.
    read: Cell<u64>,
    /// A line of the head has ended.
    line: Cell<bool>,
    /// The request at hand has, or the last one had, a body.
    body: Cell<bool>,
    /// The response has begun.
    answering: Cell<bool>,
    /// All of the response has been handed to hyper.
    answered: Cell<bool>,
    /// Bytes of bodies that hyper got since it had sent everything.
    unsent: Cell<u64>,
    /// The body at hand waits until hyper has sent everything.
    waits: Cell<bool>,
    pace: Pace,
    stalled: Cell<bool>,
    /// When the client ended its side, or was last sent something since.
    ended: Cell<Option<u64>>,
    /// hyper is not there.
    asleep: Cell<bool>,
    /// When a block of fields began that has not ended (HTTP/2).
    block: Cell<Option<u64>>,
    called: Cell<Option<Verdict>>,
    tail: RefCell<Option<Tail>>,
    waker: OnceCell<Waker>,
    /// What is read of bodies by HTTP/1.
    unread: OnceCell<Rc<Unread>>,
}

impl Link {
    /// Enters a connection that was just accepted.
    pub(super) fn enter(table: &Rc<Table>, limits: Limits) -> Rc<Self> {
        table.enter(limits.shortest(), |table, slot| Self {
            slot,
            limits,
            state: Cell::new(State::Fresh),
            since: Cell::new(table.now()),
            read: Cell::default(),
            line: Cell::default(),
            body: Cell::default(),
            answering: Cell::default(),
            answered: Cell::default(),
            unsent: Cell::default(),
            waits: Cell::default(),
            pace: Pace::default(),
            stalled: Cell::default(),
            ended: Cell::default(),
            asleep: Cell::default(),
            block: Cell::default(),
            called: Cell::default(),
            tail: RefCell::default(),
            waker: OnceCell::new(),
            unread: OnceCell::new(),
            table,
        })
    }

    /// The connection is over.
    pub(super) fn leave(&self) {
        self.table.leave(self.slot);
        self.fail_tail();
    }

    pub(super) fn shortest(&self) -> u64 {
        self.limits.shortest()
    }

    /// Remembers the task to wake; it is always the same.
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.waker.get_or_init(|| cx.waker().clone());
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Has the connection's task look at `verdict`.
    pub(super) fn call(&self, verdict: Verdict) {
        if self.called.get() != Some(Verdict::Evicted) {
            self.called.set(Some(verdict));
        }
        self.wake();
    }

    /// What the task is called to look at.
    pub(super) fn called(&self) -> Option<Verdict> {
        self.called.get()
    }

    /// The verdict it was called for, if it still holds.
    pub(super) fn confirm(&self, draining: bool) -> Option<Verdict> {
        let verdict = self.called.take().and_then(|_| self.judge(draining));
        let tries = match verdict {
            Some(Verdict::Slow) => {
                self.pace.try_first();
                true
            }
            Some(Verdict::Stalled) => self.pace.try_last(),
            _ => false,
        };
        if tries {
            self.wake();
            return None;
        }
        self.stalled.set(verdict == Some(Verdict::Stalled));
        verdict
    }

    /// Whether hyper is there.
    pub(super) fn set_asleep(&self, asleep: bool) {
        self.asleep.set(asleep);
    }

    /// The client's own first byte is waited for from here on.
    pub(super) fn introduced(&self) {
        self.begin(State::Fresh);
    }

    /// These bytes came from the client.
    pub(super) fn read(&self, bytes: &[u8]) {
        match self.state.get() {
            _ if bytes.is_empty() => return,
            State::Request => return,
            State::Fresh => self.begin(State::Head),
            // The end of a line behind a request begins none (RFC 9112
            // section 2.2).
            State::Idle if is_blank(bytes) => return,
            State::Idle => {
                self.table.not_idle(self.slot);
                let rest = self.body.get() && !starts_like_head(bytes.trim_ascii_start());
                self.begin(if rest { State::Rest } else { State::Head });
            }
            State::Head | State::Rest => {}
        }
        self.read.set(self.read.get() + bytes.len() as u64);
        let first = self.read.get() == bytes.len() as u64;
        let bytes = if first {
            bytes.trim_ascii_start()
        } else {
            bytes
        };
        if !self.line.get() && memchr(b'\n', bytes).is_some() {
            self.line.set(true);
        }
    }

    /// A request begins.
    pub(super) fn request(&self, has_body: bool) {
        if self.state.get() == State::Idle {
            self.table.not_idle(self.slot);
        }
        self.state.set(State::Request);
        self.body.set(has_body);
        if let Some(unread) = self.unread.get() {
            unread.clear();
        }
        self.answering.set(false);
        self.answered.set(false);
    }

    /// What is read of the body of the request at hand.
    pub(super) fn unread(&self) -> Option<&Rc<Unread>> {
        let is_body = matches!(self.state.get(), State::Request | State::Rest);
        (is_body && self.body.get()).then(|| self.unread.get_or_init(Rc::default))
    }

    /// Its response begins.
    pub(super) fn answering(&self) {
        self.answering.set(true);
    }

    /// The client has ended its side; whether hyper is not to know yet: it
    /// would give up the request, which the client may still wait for.
    pub(super) fn ended(&self) -> bool {
        if self.ended.get().is_none() {
            self.ended.set(Some(self.table.now()));
        }
        self.hides_end()
    }

    /// Of a body that is not complete hyper has to know in the end.
    pub(super) fn hides_end(&self) -> bool {
        let due = self.body.get() && self.has_left();
        self.ended.get().is_some() && self.in_request() && !due
    }

    pub(super) fn in_request(&self) -> bool {
        self.state.get() == State::Request
    }

    /// Whether all of the request at hand has come.
    pub(super) fn awaits_response(&self) -> bool {
        self.in_request() && !self.body.get()
    }

    pub(super) fn in_head(&self) -> bool {
        self.state.get() == State::Head
    }

    /// The whole head so far is one line that is too long.
    pub(super) fn is_endless_line(&self) -> bool {
        !self.line.get() && self.read.get() >= self.limits.head as u64
    }

    /// All of the response was handed over; `tail` waits until it is out.
    pub(super) fn answered(&self, tail: Tail) {
        self.answered.set(true);
        *self.tail.borrow_mut() = Some(tail);
    }

    /// `written` of `length` bytes went out.
    pub(super) fn wrote(&self, written: usize, length: usize) {
        self.pace.wrote(written, length, self.table.now());
        if self.ended.get().is_some() {
            self.ended.set(Some(self.table.now()));
        }
    }

    /// What was written has not all gone out; `sent` bytes of it since that
    /// was last told.
    pub(super) fn flushes(&self, sent: usize) {
        match sent {
            0 => self.pace.block(),
            _ => self.wrote(sent, sent + 1),
        }
    }

    /// How fast the client takes what is written.
    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// hyper got so many bytes of a body to send.
    pub(super) fn handed(&self, bytes: usize) {
        self.unsent.set(self.unsent.get() + bytes as u64);
    }

    /// How many of them may wait in its buffers.
    pub(super) fn unsent(&self) -> u64 {
        self.unsent.get()
    }

    /// Has the task woken when all of them have gone out.
    pub(super) fn wait_for_flush(&self) {
        self.waits.set(true);
    }

    /// Everything that was handed over has gone out.
    pub(super) fn flushed(&self) {
        self.pace.flushed();
        self.unsent.set(0);
        if self.waits.replace(false) {
            self.wake();
        }
        if self.answered.replace(false) {
            drop(self.tail.take());
            self.begin(State::Idle);
            self.table.idle(self.slot);
            if self.ended.get().is_some() {
                self.wake();
            }
        }
    }

    /// No stream is open any more.
    pub(super) fn rest(&self) {
        self.begin(State::Idle);
        self.table.idle(self.slot);
    }

    /// A block of fields has begun, or has ended: nothing else can come before
    /// its end (RFC 9113 section 6.10).
    pub(super) fn in_block(&self, begun: bool) {
        if begun != self.block.get().is_some() {
            self.block.set(begun.then(|| self.table.now()));
        }
    }

    /// Milliseconds since the worker started, about.
    pub(super) fn now(&self) -> u64 {
        self.table.now()
    }

    /// Whether the time of the connection is up.
    pub(super) fn judge(&self, draining: bool) -> Option<Verdict> {
        let Limits { header, idle, .. } = self.limits;
        let header = if draining {
            header.min(DRAINING_HEAD)
        } else {
            header
        };
        let is_over = |limit: u64| self.has_passed(self.since.get(), limit);
        if self
            .block
            .get()
            .is_some_and(|since| self.has_passed(since, header))
        {
            return Some(Verdict::SlowHead);
        }
        match self.state.get() {
            State::Fresh => is_over(header).then_some(Verdict::Silent),
            State::Head => is_over(header).then_some(Verdict::SlowHead),
            State::Idle if is_over(idle) => Some(Verdict::Idle),
            State::Idle => self.is_sleepy().then_some(Verdict::Sleepy),
            State::Rest if !is_over(idle) => None,
            State::Rest if self.read.get() < least(idle) => Some(Verdict::Idle),
            State::Rest => {
                self.begin(State::Rest);
                None
            }
            State::Request if self.has_left() && self.body.get() => {
                // To see the end that was hidden.
                self.wake();
                None
            }
            State::Request if self.has_left() => Some(Verdict::Gone),
            State::Request => self.judge_pace(),
        }
    }

    /// Since when a request is waited for of which some should have come by
    /// now, or all.
    pub(super) fn late_since(&self) -> Option<u64> {
        let due = matches!(self.state.get(), State::Fresh | State::Head);
        let since = self.since.get();
        (due && self.table.now().saturating_sub(since) >= LATE).then_some(since)
    }

    /// Not after a request with a body, which may still be on its way.
    fn is_sleepy(&self) -> bool {
        let awake = !self.asleep.get() && !self.body.get();
        awake && self.has_passed(self.since.get(), SLEEPY)
    }

    /// Whether a client that has ended its side is not waited for any more.
    fn has_left(&self) -> bool {
        let patience = match self.answering.get() {
            true => GONE_WITHIN,
            false => GONE,
        };
        let since = self.ended.get();
        since.is_some_and(|since| self.table.now() - since >= patience)
    }

    fn judge_pace(&self) -> Option<Verdict> {
        let (now, slack) = (self.table.now(), self.table.slack());
        if self.pace.is_slow(now, slack, &self.limits) {
            return Some(Verdict::Slow);
        }
        let stalled = self.pace.has_stalled(now, slack, &self.limits);
        stalled.then_some(Verdict::Stalled)
    }

    /// Writing was tried, and there is no room.
    pub(super) fn tried(&self) {
        self.pace.tried(self.table.now());
    }

    /// The response was cut: its log line says so.
    pub(super) fn fail_tail(&self) {
        if let Some(tail) = self.tail.take() {
            tail.cut(self.why_cut());
        }
    }

    /// What the log says of a response that did not get through.
    pub(super) fn why_cut(&self) -> &'static str {
        match self.stalled.get() {
            true => "the client stalled within the response",
            false => "the client went away within the response",
        }
    }

    fn begin(&self, state: State) {
        self.state.set(state);
        self.since.set(self.table.now());
        self.read.set(0);
        if state != State::Rest {
            self.line.set(false);
        }
    }

    /// The clock may be late by a sweep, which must not cut anyone short.
    fn has_passed(&self, since: u64, limit: u64) -> bool {
        self.table.now().saturating_sub(since) >= limit.saturating_add(self.table.slack())
    }
}

/// Whether these are ends of lines only.
pub(super) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

/// Whether these may be the first bytes of a request: a method, all of it or
/// its start. Only for what follows a request with a body.
fn starts_like_head(bytes: &[u8]) -> bool {
    let method = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
    (1..=7).contains(&method.len()) && method.iter().all(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests;
