//! Requests, each made so that its answer is known.

use crate::cause::{Cause, Named, address, by_address, by_request};
use crate::random::Random;
use crate::spec::{Fault, Place, Spec, body, etag};
use crate::world::World;

pub(crate) struct Ask {
    pub(crate) number: u64,
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) host: &'static str,
    pub(crate) spec: Spec,
    pub(crate) cause: Cause,
    pub(crate) flavour: &'static str,
    pub(crate) webp: bool,
    /// A condition that holds, or one that does not.
    pub(crate) condition: Option<bool>,
    pub(crate) range: Option<(usize, usize)>,
    pub(crate) body: Option<Vec<u8>>,
    /// Whether HTTP/1.1 sends it in chunks.
    pub(crate) chunked: bool,
    pub(crate) fields: Vec<(&'static str, String)>,
}

/// What is asked for again and again, and so is stored.
fn stored(random: &mut Random) -> Spec {
    let name = random.below(80);
    let mut random = Random::new(name);
    let mut spec = Spec::plain(size(&mut random), name);
    spec.fresh = Some(1 + random.below(5));
    spec.chunked = random.one_in(3);
    spec.tagged = random.one_in(2);
    spec.varies = random.one_in(4);
    spec.cookie = random.one_in(5);
    spec.slow = random.one_in(8);
    spec.image = random.one_in(3);
    spec.place = if random.one_in(4) {
        Place::Unix
    } else {
        Place::Cached
    };
    spec
}

/// What is asked for once.
fn fresh(random: &mut Random, world: &World) -> Spec {
    let mut spec = Spec::plain(size(random), world.number());
    spec.chunked = random.one_in(3);
    spec.tagged = random.one_in(3);
    spec.slow = random.one_in(15);
    spec.image = random.one_in(3);
    spec.place = random.pick(&[Place::Cached, Place::Live, Place::Live, Place::Unix]);
    spec
}

fn size(random: &mut Random) -> usize {
    let most = random.pick(&[1, 300, 2_000, 2_000, 16_000, 16_000, 70_000, 300_000]);
    match random.one_in(60) {
        true => 1 << 20,
        false => random.below(most) as usize,
    }
}

const FAULTS: [Fault; 8] = [
    Fault::Reset,
    Fault::Close,
    Fault::Garbage,
    Fault::Short,
    Fault::Hang,
    Fault::Interim,
    Fault::Endless,
    Fault::Unavailable,
];

impl Ask {
    /// One for a connection whose client is denied for `cause` by its address.
    pub(crate) fn any(random: &mut Random, world: &World, named: Named, cause: Cause) -> Self {
        let cause = match (named, cause) {
            (Named::Each, _) => by_address(random),
            (_, cause) => cause,
        };
        let cause = if cause == Cause::Nothing {
            by_request(random)
        } else {
            cause
        };
        let spec = match random.below(10) {
            0..=5 => stored(random),
            _ => fresh(random, world),
        };
        let mut ask = Self::of(spec, cause, world);
        if named == Named::Each {
            ask.fields.push(("x-forwarded-for", address(cause, random)));
        }
        ask.webp = random.one_in(2);
        ask.flavour = random.pick(&["", "sweet", "sour"]);
        let uploads = cause == Cause::Page || random.one_in(10);
        if uploads && !matches!(cause, Cause::Method) {
            ask.uploads(random);
        } else if cause != Cause::Method {
            ask.varied(random);
        }
        ask.finish(random);
        ask
    }

    /// A GET of this.
    pub(crate) fn of(spec: Spec, cause: Cause, world: &World) -> Self {
        let number = world.number();
        Self {
            number,
            method: "GET",
            target: String::new(),
            host: "img.example.com",
            spec,
            cause,
            flavour: "",
            webp: false,
            condition: None,
            range: None,
            body: None,
            chunked: false,
            fields: Vec::new(),
        }
    }

    fn uploads(&mut self, random: &mut Random) {
        self.method = random.pick(&["POST", "PUT", "PATCH"]);
        let size = random.pick(&[0, 10, 3_000, 60_000, 400_000]);
        self.body = Some(body(self.number, size));
        self.chunked = random.one_in(2);
        if random.one_in(12) {
            self.spec.fault = Some(Fault::Early);
        }
        if self.cause != Cause::Page && random.one_in(2) {
            self.fields
                .push(("origin", "https://ok.example".to_owned()));
        }
    }

    fn varied(&mut self, random: &mut Random) {
        if random.one_in(8) {
            self.fields
                .push(("origin", "https://ok.example".to_owned()));
        }
        match random.below(12) {
            0 | 1 => self.method = "HEAD",
            2 | 3 if self.spec.tagged => self.condition = Some(random.one_in(2)),
            4 if !self.spec.chunked => {
                let from = random.below(self.spec.size as u64 + 2) as usize;
                self.range = Some((from, from + random.below(5000) as usize));
            }
            5 if self.spec.fresh.is_none() => {
                self.spec.fault = Some(random.pick(&FAULTS));
                // There is something to cut.
                self.spec.size = self.spec.size.max(2);
            }
            _ => {}
        }
    }

    /// Writes its fields down.
    pub(crate) fn finish(&mut self, random: &mut Random) {
        let query = if random.one_in(5) { "?q=1&empty=" } else { "" };
        self.target = format!("{}{query}", self.spec);
        let seed = self.seed();
        let mut agent = format!("soak/{}", self.number);
        let mut add = |name, value: &str| self.fields.push((name, value.to_owned()));
        match self.cause {
            Cause::Agent => agent += " BadBot/1.0",
            Cause::Referrer => add("referer", "https://leech.example/page"),
            Cause::Page => add("origin", "https://evil.example"),
            Cause::Method => self.method = "BREW",
            Cause::Host => self.host = "other.example",
            Cause::Path => self.target = "/cached/%zz/a.jpg".to_owned(),
            _ => {}
        }
        add("user-agent", &agent);
        if self.webp {
            add("accept", "image/webp,image/*;q=0.8");
        }
        if !self.flavour.is_empty() {
            add("x-flavour", self.flavour);
        }
        if let Some((from, to)) = self.range {
            add("range", &format!("bytes={from}-{to}"));
        }
        if let Some(holds) = self.condition {
            add("if-none-match", &etag(if holds { seed } else { !seed }));
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.spec.seed(self.flavour, self.webp)
    }

    /// Whether it may be sent before the one before it is answered.
    pub(crate) fn may_follow(&self) -> bool {
        self.body.is_none() && self.spec.fault.is_none()
    }

    /// As HTTP/1.1 sends it, without its body.
    pub(crate) fn head(&self) -> String {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\n",
            self.method, self.target, self.host
        );
        for (name, value) in &self.fields {
            text += &format!("{name}: {value}\r\n");
        }
        match &self.body {
            Some(_) if self.chunked => text += "Transfer-Encoding: chunked\r\n",
            Some(body) => text += &format!("Content-Length: {}\r\n", body.len()),
            None => {}
        }
        // It is for the next hop only.
        text + "Connection: x-soak-hop\r\nx-soak-hop: 1\r\n\r\n"
    }
}
