//! One shard: entries by hash, and the queue that says which goes first.
//!
//! Nodes stand in chunks that come and go one by one, each with its share of
//! the hash heads (linear hashing), so that growing copies nothing, a step is
//! short, and memory that bodies need is not kept for nodes that are gone.
//! All variants and forms of a key are in one chain, the newest first.

mod chains;
mod queue;

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cache::budget::Reservation;
use crate::cache::entry::{Entry, Key};

/// Nodes in a chunk.
pub(super) const NODES: usize = 64;

/// Hash heads in a chunk: two a node keep chains at one or two nodes.
const HEADS: usize = 2 * NODES;

/// What a chunk takes, with its place in the list of chunks, which doubles.
pub(super) const CHUNK_ROOM: u64 = (size_of::<Chunk>() + 4 * size_of::<usize>()) as u64;

/// So many free nodes let a chunk go; the next entry must not bring it back.
const MANY_FREE: usize = 2 * NODES;

/// No node: so many entries would be terabytes.
const NONE: u32 = u32::MAX;

/// The entries of one shard.
#[derive(Debug)]
pub(super) struct Table {
    #[expect(
        clippy::vec_box,
        reason = "a chunk stays where it is when the list grows"
    )]
    chunks: Vec<Box<Chunk>>,
    /// How many hash heads are in use.
    heads: usize,
    /// The first free node; the others are in its chain.
    free: u32,
    free_nodes: usize,
    newest: u32,
    oldest: u32,
    /// Where the search for the next one to go stands; `NONE`: at the oldest.
    hand: u32,
}

/// Room for [`NODES`] more entries.
#[derive(Debug)]
pub(super) struct Chunk {
    nodes: [Node; NODES],
    heads: [u32; HEADS],
    /// What it takes, given back with it.
    _room: Reservation,
}

#[derive(Debug)]
struct Node {
    hash: u64,
    entry: Option<Arc<Entry>>,
    /// The next one of the same head.
    chain: u32,
    /// The next ones in the queue.
    older: u32,
    newer: u32,
    /// What purges of URLs look at first.
    place: u32,
    /// Whether it was asked for since the hand went by.
    visited: AtomicBool,
}

impl Chunk {
    /// A chunk whose `room` is reserved.
    pub(super) fn new(room: Reservation) -> Box<Self> {
        Box::new(Self {
            nodes: [const { Node::free(NONE) }; NODES],
            heads: [NONE; HEADS],
            _room: room,
        })
    }
}

impl Node {
    const fn free(chain: u32) -> Self {
        Self {
            hash: 0,
            entry: None,
            chain,
            older: NONE,
            newer: NONE,
            place: 0,
            visited: AtomicBool::new(false),
        }
    }

    /// Marks it as asked for. Most hits find it marked and write nothing.
    fn visit(&self) {
        if !self.visited.load(Ordering::Relaxed) {
            self.visited.store(true, Ordering::Relaxed);
        }
    }
}

impl Table {
    pub(super) const fn new() -> Self {
        Self {
            chunks: Vec::new(),
            heads: 0,
            free: NONE,
            free_nodes: 0,
            newest: NONE,
            oldest: NONE,
            hand: NONE,
        }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.chunks.len() * NODES - self.free_nodes
    }

    /// How many chunks there are.
    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Whether one more entry has a node.
    pub(super) fn has_free(&self) -> bool {
        self.free != NONE
    }

    /// The entries of `key`, the newest first, with their nodes.
    pub(super) fn of<'a>(
        &'a self,
        hash: u64,
        key: Key<'a>,
    ) -> impl Iterator<Item = (u32, &'a Arc<Entry>)> {
        self.chain(hash).filter_map(move |(at, node)| {
            let entry = node.entry.as_ref().filter(|_| node.hash == hash)?;
            (entry.key() == key).then_some((at, entry))
        })
    }

    /// Marks the entry of a node as asked for.
    pub(super) fn visit(&self, at: u32) {
        self.node(at).visit();
    }

    /// The entries of a chunk, if it is there, with their hashes, but those
    /// whose place is `elsewhere`.
    pub(super) fn entries(
        &self,
        chunk: usize,
        elsewhere: impl Fn(u32) -> bool,
    ) -> impl Iterator<Item = (u64, &Arc<Entry>)> {
        let nodes = self.chunks.get(chunk).map(|chunk| &chunk.nodes);
        let nodes = nodes.into_iter().flatten();
        let nodes = nodes.filter(move |node| !elsewhere(node.place));
        nodes.filter_map(|node| node.entry.as_ref().map(|entry| (node.hash, entry)))
    }

    /// The node of this very entry.
    pub(super) fn position(&self, hash: u64, entry: &Arc<Entry>) -> Option<u32> {
        let same = |node: &Node| node.entry.as_ref().is_some_and(|it| Arc::ptr_eq(it, entry));
        let found = self.chain(hash).find(|(_, node)| same(node));
        found.map(|(at, _)| at)
    }

    /// Adds an entry as the newest of all; there is a free node.
    pub(super) fn add(&mut self, hash: u64, place: u32, entry: Arc<Entry>) {
        let at = self.free;
        let node = self.node_mut(at);
        self.free = mem::replace(node, Node::free(NONE)).chain;
        self.free_nodes -= 1;
        let node = self.node_mut(at);
        node.hash = hash;
        node.place = place;
        node.entry = Some(entry);
        self.chain_first(at);
        self.queue_newest(at);
    }

    /// Puts `entry` in the place of another of the same key, and says which
    /// that was. It keeps its place in the queue: a sweep that went by has
    /// seen it, and what is validated often need not be asked for often.
    pub(super) fn swap(&mut self, at: u32, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        self.unchain(at);
        self.chain_first(at);
        self.node_mut(at).entry.replace(entry)
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, at: u32) -> Option<Arc<Entry>> {
        self.unchain(at);
        self.unqueue(at);
        let free = Node::free(self.free);
        let node = mem::replace(self.node_mut(at), free);
        self.free = at;
        self.free_nodes += 1;
        node.entry
    }

    /// Adds a chunk: its nodes are free, its heads take over what is theirs.
    pub(super) fn grow(&mut self, chunk: Box<Chunk>) {
        let base = self.chunks.len() * NODES;
        self.chunks.push(chunk);
        for at in (base..base + NODES).rev() {
            let at = at as u32;
            self.node_mut(at).chain = mem::replace(&mut self.free, at);
        }
        self.free_nodes += NODES;
        // The first chunk has nobody's to take over.
        let heads = mem::replace(&mut self.heads, self.chunks.len() * HEADS);
        if heads > 0 {
            (heads..self.heads).for_each(|head| self.split(head));
        }
    }

    /// Lets go of the last chunk if enough nodes are free, and says so: its
    /// entries move to free nodes, its heads give back what they took over.
    pub(super) fn shrink(&mut self) -> Option<Box<Chunk>> {
        if self.free_nodes < MANY_FREE {
            return None;
        }
        let last = self.chunks.len() - 1;
        let heads = mem::replace(&mut self.heads, last * HEADS);
        (self.heads..heads).rev().for_each(|head| self.join(head));
        self.free_below(last * NODES);
        for at in last * NODES..(last + 1) * NODES {
            if self.node(at as u32).entry.is_some() {
                self.relocate(at as u32);
            }
        }
        let chunk = self.chunks.pop();
        if self.chunks.capacity() > 4 * (self.chunks.len() + 4) {
            self.chunks.shrink_to(2 * self.chunks.len());
        }
        chunk
    }

    /// Keeps only the free nodes below `end`.
    fn free_below(&mut self, end: usize) {
        let mut at = mem::replace(&mut self.free, NONE);
        self.free_nodes = 0;
        while at != NONE {
            let next = self.node(at).chain;
            if (at as usize) < end {
                self.node_mut(at).chain = mem::replace(&mut self.free, at);
                self.free_nodes += 1;
            }
            at = next;
        }
    }

    /// Moves an entry to a free node, with its places in chain and queue.
    fn relocate(&mut self, from: u32) {
        let to = self.free;
        self.free = self.node(to).chain;
        self.free_nodes -= 1;
        let node = mem::replace(self.node_mut(from), Node::free(NONE));
        let (older, newer, hash) = (node.older, node.newer, node.hash);
        *self.node_mut(to) = node;
        *self.link_to(hash, from) = to;
        *self.newer_of(older) = to;
        *self.older_of(newer) = to;
        if self.hand == from {
            self.hand = to;
        }
    }

    fn node(&self, at: u32) -> &Node {
        &self.chunks[at as usize / NODES].nodes[at as usize % NODES]
    }

    fn node_mut(&mut self, at: u32) -> &mut Node {
        &mut self.chunks[at as usize / NODES].nodes[at as usize % NODES]
    }
}
