//! Other spellings of what a rule denies: of an address, a host, a path, a
//! page or a program. What the origin received is what counts: nothing that
//! an origin, or a browser, would take for the denied thing.

mod agents;
mod allowed;
mod answers;
mod clients;
mod fetches;
mod hosts;
mod named;
mod pages;
mod paths;
mod readers;
mod served;
mod uploads;
mod ways;

const KIND: &str = "spellings that could slip past a rule";

/// So many times `usual`, for a longer search than each run can have.
fn cases(usual: usize) -> usize {
    let times = std::env::var("PORTCULLIS_SPELLINGS").map(|times| times.parse().unwrap());
    usual * times.unwrap_or(1)
}

/// xorshift64*: the same spellings in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        usize::try_from(high).unwrap() % bound
    }

    fn one<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}
