//! Hit ratios on a trace whose objects are asked for by Zipf's law.

use portcullis::cache::entry::Head;
use portcullis::cache::store::Store;

use crate::lru::Lru;
use crate::random::Random;
use crate::{entry, find_other, is_hit, is_smoke_test, other, put, put_other, url};

impl Random {
    /// At least 0, less than 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

struct Trace {
    urls: Vec<String>,
    /// The bytes of each object.
    bytes: Vec<u64>,
    requests: Vec<usize>,
}

/// Hits by request and by byte, in percent.
struct Ratio {
    requests: f64,
    bytes: f64,
}

impl Trace {
    fn new(objects: usize, requests: usize, skew: f64) -> Self {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut sum = 0.0;
        let sums: Vec<f64> = (1..=objects)
            .map(|rank| {
                sum += (rank as f64).powf(-skew);
                sum
            })
            .collect();
        // From 200 bytes to 1 MB, as many of each order of magnitude.
        let bytes = (0..objects).map(|_| (200.0 * 5000_f64.powf(random.fraction())) as u64);
        let bytes = bytes.collect();
        let requests = (0..requests).map(|_| {
            let at = random.fraction() * sum;
            sums.partition_point(|other| *other < at).min(objects - 1)
        });
        Self {
            requests: requests.collect(),
            bytes,
            urls: (0..objects).map(url).collect(),
        }
    }

    /// Asks for everything; the first half of the trace only warms up.
    fn run(&self, mut ask: impl FnMut(usize) -> bool) -> Ratio {
        let warm = self.requests.len() / 2;
        let (mut hits, mut hit_bytes, mut bytes) = (0_u64, 0, 0);
        for (n, object) in self.requests.iter().enumerate() {
            let is_hit = ask(*object);
            if n >= warm {
                bytes += self.bytes[*object];
                hits += u64::from(is_hit);
                hit_bytes += u64::from(is_hit) * self.bytes[*object];
            }
        }
        let percent = |part: u64, whole: u64| 100.0 * part as f64 / whole as f64;
        Ratio {
            requests: percent(hits, (self.requests.len() - warm) as u64),
            bytes: percent(hit_bytes, bytes),
        }
    }
}

/// Prints the ratios of all three, for caches of 1, 10 and 25 % of all bytes.
pub(crate) fn print(head: &Head) {
    let (objects, requests) = match is_smoke_test() {
        true => (1000, 10_000),
        false => (100_000, 3_000_000),
    };
    println!("hit ratio in percent by request (by byte): {objects} objects, {requests} requests");
    for skew in [0.8, 1.0] {
        let trace = Trace::new(objects, requests, skew);
        let measure = Store::new(u64::MAX >> 1);
        let weights: Vec<u64> = (0..objects)
            .map(|object| {
                let entry = entry(&measure, &trace.urls[object], trace.bytes[object], head);
                entry.map_or(0, |entry| entry.room())
            })
            .collect();
        for part in [1, 10, 25] {
            let memory = weights.iter().sum::<u64>() / 100 * part;
            let store = Store::new(memory);
            let ours = trace.run(|object| {
                let url = &trace.urls[object];
                is_hit(&store, url) || {
                    put(&store, url, trace.bytes[object], head);
                    false
                }
            });
            assert!(store.stats().taken <= memory);
            let quick = other(objects * part as usize / 100, memory);
            let theirs = trace.run(|object| {
                let url = &trace.urls[object];
                find_other(&quick, url).is_some() || {
                    let entry = entry(&measure, url, trace.bytes[object], head);
                    put_other(&quick, entry.expect("there is room for all"));
                    false
                }
            });
            let mut lru = Lru::new(memory);
            let exact = trace.run(|object| lru.ask(object, weights[object]));
            print!("Zipf {skew}, {part:>2} % of all bytes:");
            for (name, ratio) in [("store", ours), ("quick_cache", theirs), ("LRU", exact)] {
                print!("  {name} {:.2} ({:.2})", ratio.requests, ratio.bytes);
            }
            println!();
        }
    }
}
