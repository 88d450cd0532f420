//! Memory that lines are written into, piece after piece.

use std::ops::Deref;

/// The longest [`Piece`]: two vectors, copied whole whatever is used of them.
const PIECE: usize = 32;

/// Bytes that are looked at, and copied, at once.
const BLOCK: usize = 16;

/// The digits of a number below 100, for each.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};

/// Bytes written one after the other. Its memory is always initialised, so
/// that short pieces are written as blocks of a fixed size, which takes no
/// call; what such a block holds too much, the next piece writes over.
#[derive(Debug, Default)]
pub(super) struct Text {
    memory: Vec<u8>,
    length: usize,
}

/// A short text of ours, padded to be copied whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    bytes: [u8; PIECE],
    length: usize,
}

impl Piece {
    /// `text`, of at most 32 bytes.
    pub(super) const fn of(text: &[u8]) -> Self {
        assert!(text.len() <= PIECE, "a piece is short");
        let mut bytes = [0; PIECE];
        let mut index = 0;
        while index < text.len() {
            bytes[index] = text[index];
            index += 1;
        }
        Self {
            bytes,
            length: text.len(),
        }
    }

    /// Without its last byte.
    #[inline]
    pub(super) const fn shorter(self) -> Self {
        Self {
            bytes: self.bytes,
            length: self.length.saturating_sub(1),
        }
    }
}

impl Text {
    /// With room for so many bytes.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            memory: vec![0; capacity],
            length: 0,
        }
    }

    /// Bytes of memory it holds.
    pub(super) fn capacity(&self) -> usize {
        self.memory.len()
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) {
        copy(&mut self.room(bytes.len())[..bytes.len()], bytes);
        self.length += bytes.len();
    }

    #[inline]
    pub(super) fn push_piece(&mut self, piece: &Piece) {
        if let Some(room) = self.room(PIECE).first_chunk_mut() {
            *room = piece.bytes;
        }
        self.length += piece.length;
    }

    /// A whole number.
    #[inline]
    pub(super) fn push_number(&mut self, value: u64) {
        match value {
            0..10 => self.push(&[b'0' + value as u8]),
            10..100 => self.push(&PAIRS[value as usize]),
            100..1000 => self.push_thousandth(value as u32),
            _ => self.push_long_number(value),
        }
    }

    fn push_long_number(&mut self, mut value: u64) {
        const MOST: usize = 20;
        let mut digits = [0; MOST];
        let mut start = MOST;
        while value > 0 {
            start -= 2;
            digits[start..start + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
            value /= 100;
        }
        start += usize::from(digits[start] == b'0');
        self.push(&digits[start..]);
    }

    /// Three digits.
    #[inline]
    pub(super) fn push_thousandth(&mut self, value: u32) {
        let [tens, ones] = PAIRS[(value % 100) as usize];
        self.push(&[b'0' + (value / 100 % 10) as u8, tens, ones]);
    }

    /// Writes `value` if it is its own escape.
    #[inline]
    pub(super) fn push_if_plain(&mut self, value: &[u8]) -> bool {
        let plain = copy_plain(&mut self.room(value.len())[..value.len()], value);
        self.length += if plain { value.len() } else { 0 };
        plain
    }

    /// Takes back what is longer than `length`.
    pub(super) fn cut_to(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Memory for `most` bytes or more.
    #[inline]
    fn room(&mut self, most: usize) -> &mut [u8] {
        if self.memory.len() - self.length < most {
            self.grow(most);
        }
        &mut self.memory[self.length..]
    }

    #[cold]
    fn grow(&mut self, most: usize) {
        let least = self.length + most.max(PIECE);
        self.memory.resize(least.next_power_of_two().max(1024), 0);
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[..self.length]
    }
}

/// Copies `from`, without a call if it is short. Both are as long as each
/// other.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    match from.len() {
        4..8 => put_both::<4>(to, from),
        8..16 => put_both::<8>(to, from),
        _ => to.copy_from_slice(from),
    }
}

/// Copies `from`, and tells whether all of it is plain. Both are as long as
/// each other. The last block may have been looked at in part before.
#[inline]
fn copy_plain(to: &mut [u8], from: &[u8]) -> bool {
    let Some(last) = from.last_chunk() else {
        return copy_short(to, from);
    };
    to.copy_from_slice(from);
    let (blocks, _) = from.as_chunks();
    blocks.iter().all(is_plain_block) && is_plain_block(last)
}

/// Looks at every byte without a branch, so that the compiler looks at all at
/// once; a call for each block would take longer than that. Sums that stop at
/// zero stand for comparisons, as there is an instruction for them.
#[expect(clippy::inline_always, reason = "the compiler decides too early")]
#[inline(always)]
fn is_plain_block(block: &[u8; BLOCK]) -> bool {
    let mut others = [0; BLOCK];
    for (other, byte) in others.iter_mut().zip(block) {
        *other = byte.wrapping_sub(b' ').saturating_sub(b'~' - b' ')
            | 1_u8.saturating_sub(byte ^ b'"')
            | 1_u8.saturating_sub(byte ^ b'\\');
    }
    u128::from_ne_bytes(others) == 0
}

/// The same for less than a block, as two words that may overlap.
#[inline]
fn copy_short(to: &mut [u8], from: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (from.first_chunk(), from.last_chunk()) {
        put_both::<8>(to, from);
        return is_plain_word(u64::from_ne_bytes(*first))
            && is_plain_word(u64::from_ne_bytes(*last));
    }
    if let (Some(first), Some(last)) = (from.first_chunk(), from.last_chunk()) {
        put_both::<4>(to, from);
        let [first, last] = [first, last].map(|word| u64::from(u32::from_ne_bytes(*word)));
        return is_plain_word(first << 32 | last);
    }
    let mut word = u64::from_ne_bytes([b' '; 8]);
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
        word = word << 8 | u64::from(*from);
    }
    is_plain_word(word)
}

/// Copies `from`, of `N` to 2 `N` bytes, from both its ends.
#[inline]
fn put_both<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk()) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk()) {
        *to = *from;
    }
}

/// Whether none of eight bytes needs an escape. A byte is below another if
/// subtracting that borrows its high bit; borrows from a neighbour only come
/// where one was found already.
#[inline]
fn is_plain_word(word: u64) -> bool {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    let is_zero = |word: u64| word.wrapping_sub(EACH) & !word;
    let control = word.wrapping_sub(EACH * u64::from(b' ')) & !word;
    let quote = is_zero(word ^ (EACH * u64::from(b'"')));
    let backslash = is_zero(word ^ (EACH * u64::from(b'\\')));
    let delete = word.wrapping_add(EACH);
    (word | control | quote | backslash | delete) & (EACH << 7) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_byte_at_every_place() {
        for length in 0..50 {
            for (place, byte) in
                (0..length).flat_map(|place| (0..=255).map(move |byte| (place, byte)))
            {
                let mut value = vec![b'a'; length];
                value[place] = byte;
                let mut text = Text::default();
                text.push(b"before");
                let expected = (0x20..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\';
                let plain = text.push_if_plain(&value);
                assert_eq!(plain, expected, "{byte} at {place} of {length}");
                let written = if plain { &value[..] } else { b"" };
                assert_eq!(*text, [b"before", written].concat());
            }
        }
    }

    #[test]
    fn numbers_with_three_places() {
        let mut text = Text::default();
        for value in [0, 7, 10, 99, 100, 999, 1000, 4321] {
            text.push_thousandth(value);
        }
        assert_eq!(*text, *b"000007010099100999000321");
    }

    proptest! {
        #[test]
        fn as_a_vec_has_it(
            steps in proptest::collection::vec(
                (any::<u64>(), 0_u32..64, proptest::collection::vec(b' '..b'\x80', 0..200)),
                0..40,
            ),
            capacity in 0_usize..3000,
        ) {
            let (mut text, mut expected) = (Text::with_capacity(capacity), Vec::new());
            for (number, shift, value) in steps {
                text.push_piece(&Piece::of(b"piece"));
                text.push_piece(&Piece::of(&[b'x'; PIECE]).shorter());
                text.push_number(number >> shift);
                text.push(&value);
                expected.extend_from_slice(b"piece");
                expected.extend_from_slice(&[b'x'; PIECE - 1]);
                expected.extend_from_slice((number >> shift).to_string().as_bytes());
                expected.extend_from_slice(&value);
                if text.push_if_plain(&value) {
                    expected.extend_from_slice(&value);
                }
            }
            prop_assert_eq!(&*text, &*expected);
            text.cut_to(7);
            prop_assert_eq!(&*text, &expected[..expected.len().min(7)]);
        }
    }
}
