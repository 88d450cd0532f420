//! What operators do meanwhile: new policies, lists and certificates, broken
//! ones too, purges, and logs that are rotated.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use crate::ask::Ask;
use crate::cause::Cause;
use crate::connect::Ways;
use crate::http1::once;
use crate::logs::Logs;
use crate::program::{Program, Site};
use crate::random::Random;
use crate::spec::Spec;
use crate::world::World;

/// By when a change is in force.
const LIMIT: Duration = Duration::from_secs(15);

pub(crate) struct Operator {
    pub(crate) world: Arc<World>,
    pub(crate) site: Arc<Site>,
    pub(crate) ways: Arc<Ways>,
    pub(crate) program: Arc<Program>,
    pub(crate) logs: Arc<Logs>,
}

impl Operator {
    /// One change after the other until the end, with such a rest between.
    pub(crate) async fn work(self, rest: Duration) {
        let mut random = Random::new(self.world.options.seed ^ 0x0b0e);
        for turn in 0_u64.. {
            for _ in 0..10 {
                if self.world.stops() {
                    return;
                }
                sleep(rest / 10).await;
            }
            match turn % 8 {
                0 | 3 => self.policy(&mut random).await,
                1 => self.list(&mut random).await,
                2 => self.broken(&mut random).await,
                4 => self.certificate(&mut random).await,
                5 | 6 => self.purge(&mut random).await,
                _ => self.rotate().await,
            }
        }
    }

    /// By a request, by a signal, or by itself.
    async fn reload(&self, random: &mut Random) {
        self.world.count("reloads", 1);
        match random.below(3) {
            0 => {
                let (status, text) = self.site.admin("POST", "/-/reload", "").await;
                if status != 200 {
                    self.world
                        .wrong("a reload failed", &format!("{status} {text}"));
                }
            }
            1 => self.program.signal(Signal::HUP),
            _ => {}
        }
    }

    /// Waits until `is` holds.
    async fn until(&self, what: &str, is: impl AsyncFn() -> bool) {
        let waiting = async {
            while !is().await {
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(LIMIT, waiting).await.is_err() {
            self.world.wrong("a change did not come into force", what);
        }
    }

    async fn policy(&self, random: &mut Random) {
        let second = !self.world.policy.newest();
        self.world.policy.begin(second, self.world.now());
        self.site.write_policy(second);
        self.reload(random).await;
        let marker = if second { "\"second\"" } else { "\"first\"" };
        self.until("another policy", async || {
            self.site
                .admin("GET", "/-/policy", "")
                .await
                .1
                .contains(marker)
        })
        .await;
        self.world.policy.settle(self.world.now());
    }

    async fn list(&self, random: &mut Random) {
        let second = !self.world.list.newest();
        self.world.list.begin(second, self.world.now());
        self.site.write_list(second);
        self.reload(random).await;
        let client = if second {
            "198.51.100.50"
        } else {
            "198.51.100.34"
        };
        let path = format!("/-/explain?url=http://img.example.com/a.jpg&client={client}");
        self.until("another list", async || {
            self.site
                .admin("GET", &path, "")
                .await
                .1
                .contains("\"ip.block\",\"outcome\":\"deny\"")
                || self
                    .site
                    .admin("GET", &path, "")
                    .await
                    .1
                    .contains("\"verdict\":\"deny\"")
        })
        .await;
        self.world.list.settle(self.world.now());
    }

    /// A file that must not come into force, and then the good one again.
    async fn broken(&self, random: &mut Random) {
        let second = self.world.policy.newest();
        let good = self.site.policy(second);
        let broken = match random.below(5) {
            0 => good[..good.len() / 2].to_owned() + "\n[[[",
            1 => good.replace("[access.ip]", "[access.up]"),
            2 => good.replace("deny:ip.block", "forward"),
            3 => good.replace("blocked.txt", "missing.txt"),
            _ => good.replace("site.pem", "token"),
        };
        self.site.write("portcullis.toml", &broken);
        self.world.count("broken files", 1);
        if random.one_in(2) {
            let (status, text) = self.site.admin("POST", "/-/reload", "").await;
            if status != 422 {
                self.world
                    .wrong("a broken file was taken", &format!("{status} {text}"));
            }
        } else {
            self.program.signal(Signal::HUP);
            self.until("the failure of a reload", async || {
                let metrics = self.site.admin("GET", "/metrics", "").await.1;
                metrics.contains("portcullis_last_reload_failed{} 1")
            })
            .await;
        }
        self.site.write_policy(second);
        let (status, text) = self.site.admin("POST", "/-/reload", "").await;
        if status != 200 {
            self.world.wrong(
                "a reload failed after a broken file",
                &format!("{status} {text}"),
            );
        }
    }

    async fn certificate(&self, random: &mut Random) {
        let new = self.site.new_certificate();
        self.world.count("certificates", 1);
        self.reload(random).await;
        self.until("another certificate", async || {
            self.ways.certificate().await.as_ref() == Some(&new)
        })
        .await;
    }

    /// What is stored is answered until it is purged, and not after.
    async fn purge(&self, random: &mut Random) {
        let mut spec = Spec::plain(3000, self.world.number());
        spec.fresh = Some(600);
        let start = self.world.now();
        let first = self.made(spec, random).await;
        sleep(Duration::from_millis(50)).await;
        let second = self.made(spec, random).await;
        let purge = match random.below(4) {
            0 => format!("{{\"urls\": [\"https://img.example.com{spec}\"]}}"),
            1 => "{\"prefixes\": [\"img.example.com/cached/\"]}".to_owned(),
            2 => format!("{{\"tags\": [\"n{}\"]}}", spec.name % 7),
            _ => "{\"all\": true}".to_owned(),
        };
        let before = self.world.now();
        let (status, text) = self.site.admin("POST", "/-/purge", &purge).await;
        let third = self.made(spec, random).await;
        self.world.count("purges", 1);
        if self.world.disturbed(start, self.world.now()) {
            return;
        }
        let stored = first.is_some() && first == second;
        let purged = status == 200 && third.is_some_and(|third| third >= before);
        if !purged || !stored {
            let details = format!(
                "{spec}: made at {first:?}, {second:?}, {purge} at {before}: {status} {text}, then {third:?}"
            );
            self.world
                .wrong("a purge, or what came before it", &details);
        }
    }

    /// When the origin made what is answered.
    async fn made(&self, spec: Spec, random: &mut Random) -> Option<u64> {
        let mut ask = Ask::of(spec, Cause::Nothing, &self.world);
        ask.finish(random);
        ask.target = spec.to_string();
        let answer = once(&self.world, &self.ways, &ask).await;
        crate::judge::judge(&self.world, &ask, &answer, "HTTP/1.1");
        answer.head.field("x-made")?.parse().ok()
    }

    /// As logrotate does it.
    async fn rotate(&self) {
        self.world.count("logs rotated", 1);
        let old = self.logs.rename();
        self.program.signal(Signal::HUP);
        self.until("the access log's new file", async || self.logs.is_there())
            .await;
        // What is on its way to the old file gets there.
        sleep(Duration::from_millis(500)).await;
        self.logs.read(&self.world, &old);
    }
}
