//! Attacks out of pieces, always the same ones.

use super::pieces::{BODIES, CODINGS, HOSTS, LENGTHS, LINES, OTHERS, USUAL};

/// What is sent on one connection: one or two requests that are odd in some
/// way, or not, and one that is not.
#[derive(Clone, Debug)]
pub(super) struct Attack {
    pub(super) bytes: Vec<u8>,
    /// Where a reader might stop, between two bytes.
    pub(super) joints: Vec<usize>,
    /// What only its targets contain.
    pub(super) tag: String,
}

/// Numbers that look like random ones (splitmix64).
#[derive(Debug)]
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Whether it is the one of so many.
    pub(super) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// The attack of this number.
pub(super) fn attack(number: usize) -> Attack {
    let mut numbers = Numbers((number as u64) << 20 | super::seed());
    let tag = format!("t{number}.");
    let mut attack = Attack {
        bytes: Vec::new(),
        joints: Vec::new(),
        tag,
    };
    for index in 0..=numbers.below(2) {
        attack.odd(&mut numbers, index);
    }
    let last = if numbers.one_in(2) {
        "Connection: close\r\n"
    } else {
        ""
    };
    let victim = format!(
        "GET /{}v HTTP/1.1\r\nHost: a.test\r\n{last}\r\n",
        attack.tag
    );
    attack.add(victim.as_bytes());
    attack
}

impl Attack {
    fn add(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        self.joints.push(self.bytes.len());
        if piece.len() > 1 {
            self.joints.push(self.bytes.len() - 1);
        }
    }

    fn odd(&mut self, numbers: &mut Numbers, index: usize) {
        let mut pieces: Vec<&[u8]> = Vec::new();
        let usual = !numbers.one_in(4);
        pieces.push(match usual {
            true => numbers.pick(USUAL),
            false => numbers.pick(LINES),
        });
        pieces.push(match numbers.one_in(8) {
            true => numbers.pick(HOSTS),
            false => b"Host: a.test\r\n",
        });
        let (before, after) = numbers.pick(BODIES);
        // Those that are not odd are often the ones that the other meets.
        match numbers.below(8) {
            0 => pieces.push(numbers.pick(LENGTHS)),
            1 | 2 => pieces.push(numbers.pick(CODINGS)),
            3 => pieces.push(CODINGS[0]),
            4 => pieces.extend([numbers.pick(LENGTHS), CODINGS[0]]),
            5 => pieces.extend([numbers.pick(CODINGS), LENGTHS[numbers.below(3)]]),
            6 => pieces.extend([LENGTHS[numbers.below(3)], numbers.pick(CODINGS)]),
            _ => {}
        }
        if numbers.one_in(4) {
            pieces.push(numbers.pick(OTHERS));
        }
        if numbers.one_in(12) {
            pieces.push(numbers.pick(CODINGS));
        }
        pieces.push(if numbers.one_in(16) { b"\n" } else { b"\r\n" });
        let target = format!("/{}{index}", self.tag);
        let smuggled = match numbers.one_in(4) {
            true => String::new(),
            false => format!("GET /{}s{index} HTTP/1.1\r\nHost: a.test\r\n\r\n", self.tag),
        };
        let length = before.len() + smuggled.len() + after.len();
        for piece in pieces {
            let piece = put(piece, b"{T}", target.as_bytes());
            let piece = put(&piece, b"{L}", length.to_string().as_bytes());
            self.add(&put(&piece, b"{K}", before.len().to_string().as_bytes()));
        }
        if index == 0 {
            // Where a head that comes alone may be taken for a plain one.
            let end = self.bytes.len();
            self.joints.extend([end; 12]);
        }
        for piece in [before, smuggled.as_bytes(), after] {
            self.add(piece);
        }
    }
}

/// `piece` with `new` in place of `old`.
pub(super) fn put(piece: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(piece.len() + new.len());
    let mut rest = piece;
    while let Some(at) = rest.windows(old.len()).position(|window| window == old) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(new);
        rest = &rest[at + old.len()..];
    }
    out.extend_from_slice(rest);
    out
}
