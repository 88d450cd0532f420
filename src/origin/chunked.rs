//! The chunked coding, undone (RFC 9112 section 7.1).

use bytes::{Buf as _, Bytes};
use hyper::header::HeaderName;

use super::error::Flaw;

/// Of all chunks of a body together, in bytes: nobody reads them.
const MOST_EXTENSIONS: u32 = 16 * 1024;

/// Of one chunk, in bytes: zeros in front of its size, and blanks behind it.
/// Some servers write all sizes as wide as the widest.
const MOST_PADDING: u32 = 64;

/// The trailer section, in bytes.
const MOST_TRAILERS: usize = 16 * 1024;

/// The most fields in it.
const MOST_FIELDS: usize = 100;

/// Where in a chunked body the next byte belongs.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    place: Place,
    /// Of this chunk.
    left: u64,
    /// Of this chunk.
    padding: u32,
    extensions: u32,
    /// Kept to be looked at as a whole, and then dropped.
    trailers: Vec<u8>,
    fields: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Start,
    Size,
    Blank,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    LineOrEnd,
    Trailer,
    TrailerLf,
    EndLf,
    Over,
}

impl Chunked {
    /// Whether all of it has come.
    pub(super) fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    /// Data out of what is `held`, whose other bytes are taken too. `None`:
    /// there is no more in it, or the body is over; then what is left does
    /// not belong to it.
    ///
    /// # Errors
    ///
    /// [`Flaw`]: it is not chunked.
    pub(super) fn next(&mut self, held: &mut Bytes) -> Result<Option<Bytes>, Flaw> {
        while !held.is_empty() && !self.is_over() {
            if self.place == Place::Data {
                return Ok(Some(self.data(held)));
            }
            let mut taken = 0;
            while taken < held.len() && !matches!(self.place, Place::Data | Place::Over) {
                self.place = self.step(held[taken])?;
                taken += 1;
            }
            held.advance(taken);
        }
        Ok(None)
    }

    fn data(&mut self, held: &mut Bytes) -> Bytes {
        let length = usize::try_from(self.left).map_or(held.len(), |left| left.min(held.len()));
        let data = held.split_to(length);
        self.left -= length as u64;
        if self.left == 0 {
            self.place = Place::DataCr;
            self.end(held);
        }
        data
    }

    /// What nearly always ends a body is here: then whoever gets its last
    /// bytes learns at once that they are.
    fn end(&mut self, held: &mut Bytes) {
        const END: &[u8] = b"\r\n0\r\n\r\n";
        if held.starts_with(END) {
            held.advance(END.len());
            self.place = Place::Over;
        }
    }

    fn step(&mut self, byte: u8) -> Result<Place, Flaw> {
        match (self.place, byte) {
            (Place::Start, _) => {
                self.padding = 0;
                self.digit(byte)
            }
            (Place::Size | Place::Blank, b' ' | b'\t') => self.pad(Place::Blank),
            (Place::Size | Place::Blank, b';') => Ok(Place::Extension),
            (Place::Size | Place::Blank | Place::Extension, b'\r') => Ok(Place::SizeLf),
            (Place::Size, _) => self.digit(byte),
            (Place::Extension, byte) if byte != b'\n' => self.extension(),
            (Place::SizeLf, b'\n') if self.left == 0 => Ok(Place::LineOrEnd),
            (Place::SizeLf, b'\n') => Ok(Place::Data),
            (Place::DataCr, b'\r') => Ok(Place::DataLf),
            (Place::DataLf, b'\n') => Ok(Place::Start),
            (Place::LineOrEnd, b'\r') => Ok(Place::EndLf),
            (Place::Trailer, b'\r') => self.trailer(byte, Place::TrailerLf),
            (Place::LineOrEnd | Place::Trailer, _) => self.trailer(byte, Place::Trailer),
            (Place::TrailerLf, b'\n') => {
                self.fields += 1;
                self.trailer(byte, Place::LineOrEnd)
            }
            (Place::EndLf, b'\n') => self.judge_trailers(),
            _ => Err(Flaw::Chunk),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<Place, Flaw> {
        let digit = char::from(byte).to_digit(16).ok_or(Flaw::Chunk)?;
        let left = self.left.checked_mul(16).ok_or(Flaw::Chunk)?;
        self.left = left + u64::from(digit);
        match self.left {
            0 => self.pad(Place::Size),
            _ => Ok(Place::Size),
        }
    }

    fn pad(&mut self, place: Place) -> Result<Place, Flaw> {
        self.padding += 1;
        match self.padding < MOST_PADDING {
            true => Ok(place),
            false => Err(Flaw::Chunk),
        }
    }

    fn extension(&mut self) -> Result<Place, Flaw> {
        self.extensions += 1;
        match self.extensions < MOST_EXTENSIONS {
            true => Ok(Place::Extension),
            false => Err(Flaw::Chunk),
        }
    }

    fn trailer(&mut self, byte: u8, place: Place) -> Result<Place, Flaw> {
        self.trailers.push(byte);
        match self.trailers.len() < MOST_TRAILERS && self.fields <= MOST_FIELDS {
            true => Ok(place),
            false => Err(Flaw::Trailers),
        }
    }

    /// Trailers go no further, but what is no trailer section says that the
    /// body was something else than it seemed.
    fn judge_trailers(&mut self) -> Result<Place, Flaw> {
        if self.trailers.is_empty() {
            return Ok(Place::Over);
        }
        let mut trailers = std::mem::take(&mut self.trailers);
        trailers.extend_from_slice(b"\r\n");
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        // As many as there are lines: none may hide behind a bare LF.
        let fields = &mut fields[..self.fields.min(MOST_FIELDS)];
        match httparse::parse_headers(&trailers, fields) {
            Ok(httparse::Status::Complete((_, fields))) if fields.iter().all(is_field) => {
                Ok(Place::Over)
            }
            _ => Err(Flaw::Trailers),
        }
    }
}

fn is_field(field: &httparse::Header<'_>) -> bool {
    HeaderName::from_bytes(field.name.as_bytes()).is_ok()
}
