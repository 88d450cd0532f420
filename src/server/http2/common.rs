//! What the streams of a connection share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};

use super::frames::Wire;
use crate::proxy::Tail;
use crate::server::link::Link;
use crate::server::plain::Date;
use crate::server::worker::{Places, Worker};

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
    /// What is left of responses that were handed over.
    tails: RefCell<Vec<Tail>>,
    /// Who waits until everything has gone out.
    for_flush: RefCell<Vec<Waker>>,
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
            for_flush: RefCell::default(),
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

    /// So many bytes of a body were handed over.
    pub(super) fn handed(&self, bytes: usize) {
        self.link.handed(bytes);
    }

    /// How many of those may wait here.
    pub(super) fn unsent(&self) -> u64 {
        self.link.unsent()
    }

    /// Has the task woken when they have gone out.
    pub(super) fn wait_for_flush(&self, cx: &Context<'_>) {
        self.for_flush.borrow_mut().push(cx.waker().clone());
    }

    /// A response was handed over: its log line waits until it is out.
    pub(super) fn finished(&self, tail: Tail) {
        self.tails.borrow_mut().push(tail);
    }

    /// Everything that was handed over has gone out.
    pub(super) fn flushed(&self) {
        self.tails.borrow_mut().clear();
        self.for_flush.take().into_iter().for_each(Waker::wake);
        if self.is_idle() && self.link.in_request() {
            self.places.borrow_mut().keep(0);
            self.link.rest();
            return;
        }
        let mut places = self.places.borrow_mut();
        if places.taken() > 2 * self.open.get() + SPARE {
            places.keep(self.open.get());
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
        self.tails.take().into_iter().for_each(|tail| tail.cut(why));
    }
}
