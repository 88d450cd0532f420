//! Mixed traffic with faults, reloads and restarts of the origin, each answer
//! held against what it must be: short among the tests, long by `run`.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod answering;
mod ask;
mod cause;
mod changes;
mod clients;
mod connect;
mod fetched;
mod hostile;
mod http1;
mod http2;
mod judge;
mod ledger;
mod logs;
mod manner;
mod options;
mod origin;
mod program;
mod random;
mod report;
mod spec;
mod sums;
mod watch;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::watch::Sender;
use tokio::time::{sleep, timeout};

use crate::changes::Operator;
use crate::connect::Ways;
use crate::logs::Logs;
use crate::options::Options;
use crate::origin::Places;
use crate::program::{Program, Site};
use crate::random::Random;
use crate::sums::Metrics;
use crate::watch::Watched;
use crate::world::World;

fn main() -> ExitCode {
    let Some(options) = Options::read() else {
        return ExitCode::SUCCESS;
    };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(soak(options))
}

async fn soak(options: Options) -> ExitCode {
    let folder = tempfile::tempdir().unwrap();
    let site = Arc::new(Site::new(folder.path().to_owned()));
    let world = Arc::new(World::new(options));
    let (up, is_up) = tokio::sync::watch::channel(true);
    let [plain, six, tls, _, port] = site.ports;
    let places = Places {
        port,
        socket: site.folder.join("origin.sock"),
    };
    origin::start(&world, places, is_up);
    let program = Arc::new(Program::start(&world, &site));
    let watched = Arc::new(Watched::new(program.id()));
    let at_rest = watched.at_rest().await;
    let ways = Arc::new(Ways::new(
        [plain, six, tls],
        site.folder.join("http.sock"),
        &site.root(),
    ));
    let logs = Arc::new(Logs::new(&site.folder));
    let started = Instant::now();
    let brief = world.options.seconds < 60;
    let operator = Operator {
        world: Arc::clone(&world),
        site: Arc::clone(&site),
        ways: Arc::clone(&ways),
        program: Arc::clone(&program),
        logs: Arc::clone(&logs),
    };
    tokio::join!(
        clients::come(Arc::clone(&world), Arc::clone(&ways)),
        operator.work(Duration::from_millis(if brief { 500 } else { 4000 })),
        restart(&world, &up, brief),
        Arc::clone(&watched).watch(Arc::clone(&world)),
        end(&world),
    );
    let metrics = rest(&world, &site, &watched, &at_rest).await;
    drop(ways);
    stop(&world, program).await;
    logs.read_last(&world);
    sums::compare(&world, &metrics);
    let wrongs = world.ledger.lock().unwrap().close();
    for (what, details) in wrongs {
        world.wrong(what, &details);
    }
    tell(&world, &watched, started.elapsed().as_secs())
}

/// Ends it all in time, or when it is interrupted.
async fn end(world: &World) {
    let time = Duration::from_secs(world.options.seconds);
    tokio::select! {
        () = sleep(time) => {}
        _ = tokio::signal::ctrl_c() => println!("interrupted: this is what there is so far"),
    }
    world.stop.store(true, Ordering::Relaxed);
}

/// The origin goes away for a while, again and again.
async fn restart(world: &World, up: &Sender<bool>, brief: bool) {
    let mut random = Random::new(world.options.seed ^ 0x0419);
    let every = if brief { 5 } else { 30 };
    let mut next = world.now() + every * 1000;
    while !world.stops() {
        sleep(Duration::from_millis(100)).await;
        if world.now() < next {
            continue;
        }
        world.count("restarts of the origin", 1);
        world.goes_away();
        up.send(false).unwrap();
        sleep(Duration::from_millis(
            1000 + random.below(if brief { 500 } else { 3000 }),
        ))
        .await;
        up.send(true).unwrap();
        next = world.now() + every * 1000 + random.below(every * 1000);
    }
}

/// Waits until all is quiet, as it must be soon after all clients have left.
async fn rest(
    world: &World,
    site: &Site,
    watched: &Watched,
    at_rest: &BTreeMap<String, u64>,
) -> Metrics {
    let until = Instant::now() + Duration::from_secs(30);
    let before: u64 = at_rest.values().sum();
    loop {
        let metrics = Metrics::parse(&site.admin("GET", "/metrics", "").await.1);
        let open = metrics.sum("portcullis_connections", &[]);
        let origin = |state| metrics.sum("portcullis_origin_connections", &[("state", state)]);
        let (busy, idle) = (origin("busy"), origin("idle"));
        let now = watched.kinds();
        if open == 0 && busy == 0 && now.values().sum::<u64>() <= before + idle {
            return metrics;
        }
        if Instant::now() > until {
            let details = format!(
                "{open} connections of clients, {busy} busy and {idle} idle ones to the origin; \
                 descriptors {now:?}, at the start {at_rest:?}"
            );
            world.wrong("it does not come to rest", &details);
            return metrics;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn stop(world: &World, program: Arc<Program>) {
    let Ok(mut program) = Arc::try_unwrap(program).map_err(|_| ()) else {
        return world.wrong("somebody still has the program", "");
    };
    if program.has_ended() {
        return world.wrong("the program has ended by itself", "");
    }
    let stopped = tokio::task::spawn_blocking(move || program.stop());
    match timeout(Duration::from_secs(40), stopped).await {
        Ok(Ok(Some(status))) if status.success() => {}
        ended => world.wrong("it did not stop in order", &format!("{ended:?}")),
    }
}

fn tell(world: &World, watched: &Watched, seconds: u64) -> ExitCode {
    let samples = watched.samples();
    report::memory(world, &samples);
    let figures = report::figures(world, &samples, seconds);
    report::table(&figures);
    if let Some(file) = &world.options.result {
        let text = serde_json::to_string_pretty(&figures).unwrap();
        std::fs::write(file, text + "\n").unwrap();
    }
    match world.wrongs().0 {
        0 => ExitCode::SUCCESS,
        count => {
            println!("{count} things were wrong; the first are above, on stderr");
            ExitCode::FAILURE
        }
    }
}
