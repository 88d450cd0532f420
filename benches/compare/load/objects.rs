//! What the mix asks for: 20,000 objects, of which the n-th is asked for 1/n
//! times as often as the first (Zipf with exponent 1). Their sizes are
//! lognormal, 10 KiB at the median and about 20 KiB on average, rounded to a
//! quarter of an octave, so that the origin needs a file only for each size.

use super::random::Random;

const OBJECTS: usize = 20_000;
const MEDIAN: f64 = 10.0 * 1024.0;
const DEVIATION: f64 = 1.2;

/// Draws prepared; a run starts somewhere in them and goes round.
const DRAWS: usize = 200_000;

/// Sizes are 2 to the quarter of one of these.
const CLASSES: std::ops::RangeInclusive<u32> = 36..=80;

/// The size in bytes of a class.
pub(crate) fn size(class: u32) -> usize {
    2_f64.powf(f64::from(class) / 4.0) as usize
}

pub(crate) fn classes() -> impl Iterator<Item = u32> {
    CLASSES
}

/// The objects and the order in which they are asked for.
#[derive(Debug)]
pub(crate) struct Objects {
    classes: Vec<u32>,
    /// Numbers of objects.
    pub(crate) draws: Vec<usize>,
}

impl Objects {
    pub(crate) fn new() -> Self {
        let mut random = Random::new(3);
        let class = |size: f64| (4.0 * size.log2()).round() as u32;
        let classes = (0..OBJECTS)
            .map(|_| class(MEDIAN * (DEVIATION * random.normal()).exp()))
            .map(|class| class.clamp(*CLASSES.start(), *CLASSES.end()))
            .collect();
        let sums: Vec<f64> = (1..=OBJECTS)
            .scan(0.0, |sum, rank| {
                *sum += 1.0 / rank as f64;
                Some(*sum)
            })
            .collect();
        let all = sums[OBJECTS - 1];
        let draw = |_| {
            let at = random.fraction() * all;
            sums.partition_point(|sum| *sum < at).min(OBJECTS - 1)
        };
        let draws = (0..DRAWS).map(draw).collect();
        Self { classes, draws }
    }

    pub(crate) fn path(&self, object: usize) -> String {
        format!("/mix/{}/{object}.jpg", self.classes[object])
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = String> + '_ {
        (0..OBJECTS).map(|object| self.path(object))
    }

    /// The size in bytes of one.
    pub(crate) fn size(&self, object: usize) -> usize {
        size(self.classes[object])
    }

    /// Bytes of all bodies, each in its two variants.
    pub(crate) fn bytes(&self) -> u64 {
        let one = |class: &u32| 2 * size(*class) as u64;
        self.classes.iter().map(one).sum()
    }
}
