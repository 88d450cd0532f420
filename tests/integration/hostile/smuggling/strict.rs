//! A reader of HTTP/1.1 that takes no liberties (RFC 9112): what is odd in any
//! way is no message.

/// A message as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// The first line without its end.
    pub(super) line: String,
    /// The fields, their names in lower case.
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// Why there is no further message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// There are no more bytes.
    End,
    /// A message has begun that has not ended.
    Within,
    /// What comes is none.
    Odd(Oddity),
}

/// What is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// A line that ends with a bare LF, which a reader may take (section 2.2).
    BareLf,
    /// An empty line before a request, which a reader should take.
    EmptyLine,
    /// Both lengths, of which one does not count (section 6.3).
    BothLengths,
    /// Equal lengths, or zeros in front (RFC 9110 section 8.6).
    SpeltLength,
    /// A trailer section that is none.
    Trailers,
    Other,
}

/// How much a reader of requests lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// What RFC 9112 lets a client send.
    Client,
    /// The one form in which we send it on.
    Origin,
}

type Read<T> = Result<T, Stop>;

const ODD: Stop = Stop::Odd(Oddity::Other);

impl Message {
    pub(super) fn method(&self) -> &str {
        self.line.split(' ').next().unwrap()
    }

    pub(super) fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }

    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.fields.iter().filter(move |(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn value<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).next()
    }

    /// What another reader must find too.
    pub(super) fn gist(&self) -> (String, Vec<u8>) {
        (self.line.clone(), self.body.clone())
    }
}

/// All requests in `bytes`, where each ended, and why there are no more.
pub(super) fn requests(bytes: &[u8], side: Side) -> (Vec<Message>, usize, Stop) {
    let (mut found, mut at) = (Vec::new(), 0);
    loop {
        match request(&bytes[at..], side) {
            Ok((message, length)) => {
                at += length;
                found.push(message);
            }
            Err(stop) => return (found, at, stop),
        }
    }
}

/// The first request, and how many bytes it took.
pub(super) fn request(bytes: &[u8], side: Side) -> Read<(Message, usize)> {
    if bytes.is_empty() {
        return Err(Stop::End);
    }
    if bytes.starts_with(b"\r\n") || bytes.starts_with(b"\n") {
        return Err(Stop::Odd(Oddity::EmptyLine));
    }
    let (mut message, start) = head(bytes)?;
    request_line(&message.line, side)?;
    let hosts = message.values("host").count();
    if hosts != 1 && (side == Side::Origin || message.line.ends_with("1.1")) || hosts > 1 {
        return Err(ODD);
    }
    let (body, length) = match framing(&message)? {
        Framing::Length(length) => plain(&bytes[start..], length)?,
        Framing::Chunked => chunked(&bytes[start..], side)?,
        Framing::None => (Vec::new(), 0),
    };
    message.body = body;
    Ok((message, start + length))
}

/// The first response, to a request by `method`, and how many bytes it took.
pub(super) fn response(bytes: &[u8], method: &str) -> Read<(Message, usize)> {
    if bytes.is_empty() {
        return Err(Stop::End);
    }
    let (mut message, start) = head(bytes)?;
    let versions = ["HTTP/1.1 ", "HTTP/1.0 "];
    let mut known = versions.iter().filter_map(|v| message.line.strip_prefix(v));
    let status = known.next().ok_or(ODD)?;
    let (status, _reason) = status.split_once(' ').ok_or(ODD)?;
    let digits = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    let status: u16 = digits.then(|| status.parse().ok()).flatten().ok_or(ODD)?;
    let framing = framing(&message)?;
    let (body, length) = match (status, framing) {
        (100..=199 | 204, Framing::None) => (Vec::new(), 0),
        (304, Framing::None | Framing::Length(_)) => (Vec::new(), 0),
        (0..=199 | 204 | 304, _) => return Err(ODD),
        _ if method == "HEAD" => (Vec::new(), 0),
        (_, Framing::Length(length)) => plain(&bytes[start..], length)?,
        (_, Framing::Chunked) => chunked(&bytes[start..], Side::Origin)?,
        // Such a one ends with the connection, which is never needed.
        (_, Framing::None) => return Err(ODD),
    };
    message.body = body;
    Ok((message, start + length))
}

enum Framing {
    None,
    Length(usize),
    Chunked,
}

fn framing(message: &Message) -> Read<Framing> {
    let lengths: Vec<_> = message.values("content-length").collect();
    let codings: Vec<_> = message.values("transfer-encoding").collect();
    let number = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse().ok())
    };
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(Framing::None),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        (_, [coding]) if coding.eq_ignore_ascii_case("chunked") => {
            Err(Stop::Odd(Oddity::BothLengths))
        }
        ([first, rest @ ..], []) => {
            let length = number(first).flatten().ok_or(ODD)?;
            let equal = rest
                .iter()
                .all(|other| number(other).flatten() == Some(length));
            match (
                rest.is_empty() && (!first.starts_with('0') || *first == "0"),
                equal,
            ) {
                (true, _) => Ok(Framing::Length(length)),
                (false, true) => Err(Stop::Odd(Oddity::SpeltLength)),
                (false, false) => Err(ODD),
            }
        }
        _ => Err(ODD),
    }
}

fn request_line(line: &str, side: Side) -> Read<()> {
    let parts: Vec<_> = line.split(' ').collect();
    let [method, target, version] = parts[..] else {
        return Err(ODD);
    };
    let versions: &[&str] = match side {
        Side::Client => &["HTTP/1.1", "HTTP/1.0"],
        Side::Origin => &["HTTP/1.1"],
    };
    // What stands in a target has nothing to do with where a message ends.
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
            || side == Side::Client
    };
    let is_form = target.starts_with('/')
        || side == Side::Client && (target == "*" || target.starts_with("http://"));
    let good = !method.is_empty()
        && method.bytes().all(is_token)
        && is_form
        && target.bytes().all(plain)
        && versions.contains(&version);
    good.then_some(()).ok_or(ODD)
}

/// The lines up to the empty one, which ends at the second.
fn head(bytes: &[u8]) -> Read<(Message, usize)> {
    let (line, mut at) = line(bytes)?;
    let mut message = Message {
        line: line.to_owned(),
        ..Message::default()
    };
    loop {
        let (line, length) = self::line(&bytes[at..])?;
        at += length;
        if line.is_empty() {
            return Ok((message, at));
        }
        message.fields.push(field(line)?);
    }
}

fn field(line: &str) -> Read<(String, String)> {
    let (name, value) = line.split_once(':').ok_or(ODD)?;
    let good = !name.is_empty() && name.bytes().all(is_token);
    let value = value.trim_matches([' ', '\t']);
    good.then(|| (name.to_ascii_lowercase(), value.to_owned()))
        .ok_or(ODD)
}

/// Up to the first CRLF, without any other control than a tab; bytes that are
/// not ASCII as letters.
fn line(bytes: &[u8]) -> Read<(&str, usize)> {
    let is_control = |byte: &u8| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f;
    let Some(end) = bytes.iter().position(is_control) else {
        return Err(Stop::Within);
    };
    let text = std::str::from_utf8(&bytes[..end]).unwrap_or("x-not-text: 1");
    match &bytes[end..] {
        [b'\r', b'\n', ..] => Ok((text, end + 2)),
        [b'\r'] => Err(Stop::Within),
        [b'\n', ..] => Err(Stop::Odd(Oddity::BareLf)),
        _ => Err(ODD),
    }
}

fn plain(bytes: &[u8], length: usize) -> Read<(Vec<u8>, usize)> {
    let body = bytes.get(..length).ok_or(Stop::Within)?;
    Ok((body.to_vec(), length))
}

fn chunked(bytes: &[u8], side: Side) -> Read<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let (digits, length) = match side {
            Side::Client => size(&bytes[at..])?,
            Side::Origin => line(&bytes[at..]).map_err(no_leniency)?,
        };
        at += length;
        let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit()) && !digits.is_empty();
        let canonical = digits == "0" || !digits.starts_with('0');
        if !plain || side == Side::Origin && !canonical {
            return Err(ODD);
        }
        let size = usize::from_str_radix(digits, 16).map_err(|_| ODD)?;
        if size == 0 {
            let end = trailers(&bytes[at..], side)?;
            return Ok((body, at + end));
        }
        let (chunk, _) = self::plain(&bytes[at..], size)?;
        body.extend(chunk);
        at += size;
        match &bytes[at..] {
            [b'\r', b'\n', ..] => at += 2,
            [] | [b'\r'] => return Err(Stop::Within),
            _ => return Err(ODD),
        }
    }
}

/// The digits of a chunk's size, behind which blanks and anything but an end of
/// the line may stand.
fn size(bytes: &[u8]) -> Read<(&str, usize)> {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let end = bytes.iter().position(is_end).ok_or(Stop::Within)?;
    let digits = bytes[..end]
        .iter()
        .position(|byte| !byte.is_ascii_hexdigit());
    let (digits, rest) = bytes[..end].split_at(digits.unwrap_or(end));
    let rest = rest.trim_ascii_start();
    match (bytes.get(end..end + 2), rest.first()) {
        (Some(b"\r\n"), None | Some(b';')) => {}
        (None, _) => return Err(Stop::Within),
        _ => return Err(ODD),
    }
    Ok((std::str::from_utf8(digits).map_err(|_| ODD)?, end + 2))
}

fn trailers(bytes: &[u8], side: Side) -> Read<usize> {
    let mut at = 0;
    let odd = |stop| match stop {
        Stop::Within | Stop::End => stop,
        Stop::Odd(_) => Stop::Odd(Oddity::Trailers),
    };
    loop {
        let (line, length) = line(&bytes[at..]).map_err(odd)?;
        at += length;
        match line {
            "" => return Ok(at),
            _ if side == Side::Origin => return Err(ODD),
            _ => drop(field(line).map_err(odd)?),
        }
    }
}

/// A bare LF is a line's end for some in a head, but not in a body.
fn no_leniency(stop: Stop) -> Stop {
    match stop {
        Stop::Odd(_) => ODD,
        stop => stop,
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
