//! What the streams of a connection share.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};

use super::frames::Wire;
use crate::proxy::Tail;
use crate::server::link::Link;
use crate::server::plain::Date;
use crate::server::worker::{Places, Worker};

/// So much of bodies that are not stored waits to be sent, in bytes.
const WAITING: u64 = 64 * 1024;

/// What the log says of a response that its client cancelled.
pub(super) const CANCELLED: &str = "the client cancelled the response";

/// A busy connection keeps so many places that no stream has any more, and as
/// many again as have one: each that is given back and taken again costs.
const SPARE: usize = 8;

/// What the streams of a connection share.
#[derive(Debug)]
pub(super) struct Common<'a> {
    worker: &'a Worker,
    link: Rc<Link>,
    wire: Rc<Wire>,
    /// Streams that are open.
    open: Cell<usize>,
    /// What they take of `server.max_connections` beyond the connection.
    places: RefCell<Places<'a>>,
    /// Streams whose client has to make room.
    waiting: Cell<u64>,
    /// What is left of responses that were handed over, by their streams.
    tails: RefCell<VecDeque<(u32, Tail)>>,
    /// Who waits until more has gone out.
    for_room: RefCell<Vec<Waker>>,
}

impl<'a> Common<'a> {
    pub(super) fn new(worker: &'a Worker, link: &Rc<Link>, wire: &Rc<Wire>) -> Rc<Self> {
        Rc::new(Self {
            worker,
            link: Rc::clone(link),
            wire: Rc::clone(wire),
            open: Cell::default(),
            places: RefCell::new(Places::new(worker)),
            waiting: Cell::default(),
            tails: RefCell::default(),
            for_room: RefCell::default(),
        })
    }

    /// Whether there is a place for one more stream.
    pub(super) fn has_place(&self) -> bool {
        let mut places = self.places.borrow_mut();
        self.open.get() <= places.taken() || places.take(self.link.limits.connections)
    }

    /// A stream is opened.
    pub(super) fn opened(&self) {
        if self.open.replace(self.open.get() + 1) == 0 {
            self.link.request(false);
        }
    }

    /// A stream is over.
    pub(super) fn closed(&self) {
        self.open.set(self.open.get() - 1);
    }

    /// No stream is open.
    pub(super) fn is_idle(&self) -> bool {
        self.open.get() == 0
    }

    /// A request was answered to the end.
    pub(super) fn answered(&self) {
        self.wire.answered();
    }

    pub(super) fn date(&self) -> &Date {
        &self.worker.bench.date
    }

    /// For how long a client may take too little, in milliseconds.
    pub(super) fn stall(&self) -> u64 {
        self.link.limits.stall
    }

    /// Milliseconds since the worker started, about.
    pub(super) fn now(&self) -> u64 {
        self.link.now()
    }

    /// A response was cut because its client did not take it.
    pub(super) fn stalled(&self) {
        self.worker.counters.connections.stalled.add(1);
    }

    /// A stream begins to wait for its client, or goes on.
    pub(super) fn waits(&self, begins: bool) {
        let waiting = self.waiting.get();
        self.waiting.set(match begins {
            true => waiting + 1,
            false => waiting.saturating_sub(1),
        });
    }

    /// How many wait so, the asking one among them.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.get().max(1)
    }

    /// So many bytes of a body that is not stored were handed over.
    pub(super) fn handed(&self, stream: u32, bytes: usize) {
        self.wire.handed(stream, bytes);
    }

    /// Whether as many of those wait here as may.
    pub(super) fn is_full(&self) -> bool {
        self.wire.unsent() >= WAITING
    }

    /// Has the task woken when there are less.
    pub(super) fn wait_for_room(&self, cx: &Context<'_>) {
        self.for_room.borrow_mut().push(cx.waker().clone());
    }

    /// A response was handed over: its log line waits until it is out.
    pub(super) fn finished(&self, stream: u32, tail: Tail) {
        let mut tails = self.tails.borrow_mut();
        tails.push_back((stream, tail));
        // No more can be on their way: the client has cancelled the oldest.
        let most = self.link.limits.streams as usize + self.wire.ends();
        if tails.len() > most
            && let Some((_, tail)) = tails.pop_front()
        {
            tail.cut(CANCELLED);
        }
    }

    /// A response was cut: there is nothing to wait for.
    pub(super) fn cut(&self, stream: u32, tail: Tail, why: &'static str) {
        tail.cut(why);
        self.wire.dropped(stream);
        self.make_room();
    }

    fn make_room(&self) {
        if !self.is_full() {
            self.for_room.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Some of what was handed over has gone out.
    pub(super) fn went_out(&self) {
        while let Some(stream) = self.wire.next_end() {
            let mut tails = self.tails.borrow_mut();
            let place = tails.iter().position(|tail| tail.0 == stream);
            drop(place.and_then(|place| tails.remove(place)));
        }
        self.make_room();
        let mut places = self.places.borrow_mut();
        if places.taken() > 2 * self.open.get() + SPARE {
            places.keep(self.open.get());
        }
    }

    /// Everything that was handed over has gone out.
    pub(super) fn flushed(&self) {
        self.tails.borrow_mut().clear();
        self.wire.all_out();
        self.went_out();
        if self.is_idle() && self.link.in_request() {
            self.places.borrow_mut().keep(0);
            self.link.rest();
        }
    }

    /// What the log says of a response that did not get through.
    pub(super) fn why_cut(&self) -> &'static str {
        self.link.why_cut()
    }
}

impl Drop for Common<'_> {
    fn drop(&mut self) {
        let why = self.why_cut();
        let tails = self.tails.take().into_iter();
        tails.for_each(|(_, tail)| tail.cut(why));
    }
}
