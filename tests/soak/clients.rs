//! Who comes, and how often.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::connect::Ways;
use crate::random::Random;
use crate::world::World;
use crate::{hostile, http1, http2};

/// No more at once.
const MOST: usize = 200;

/// One in so many sessions means harm.
const HOSTILE: u64 = 12;

/// Sessions, one after the other and beside each other, until the end.
pub(crate) async fn come(world: Arc<World>, ways: Arc<Ways>) {
    let mut random = Random::new(world.options.seed);
    let mut tick = interval(Duration::from_millis(20));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut sessions = JoinSet::new();
    // In thousandths of a request: what the rate allows by now.
    let mut allowed: i64 = 0;
    let rate = i64::try_from(world.options.rate).unwrap();
    while !world.stops() {
        tick.tick().await;
        allowed = (allowed + rate * 20).min(rate * 1000);
        while sessions.try_join_next().is_some() {}
        while allowed > 0 && sessions.len() < MOST {
            let own = Random::new(random.next());
            let most = if random.one_in(3) { 1 } else { 12 };
            let count = 1 + random.below(most);
            allowed -= 1000 * count as i64;
            let (world, ways) = (Arc::clone(&world), Arc::clone(&ways));
            if random.one_in(HOSTILE) {
                sessions.spawn(hostile::session(world, ways, own));
            } else if random.one_in(3) {
                sessions.spawn(http2::session(world, ways, own, count));
            } else {
                sessions.spawn(http1::session(world, ways, own, count));
            }
        }
    }
    let rest = async { while sessions.join_next().await.is_some() {} };
    if timeout(Duration::from_secs(60), rest).await.is_err() {
        world.wrong("clients are still waiting a minute after the end", "");
    }
}
