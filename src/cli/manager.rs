//! What systemd is told of this process (sd_notify(3)). Nothing is sent where
//! it has not said whereto.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sd_notify::NotifyState;

use crate::network::ListenAddress;

/// Of a status line, in characters: what `systemctl status` shows on one.
const MOST_CHARACTERS: usize = 160;

/// The service manager. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Manager(Option<Arc<State>>);

#[derive(Debug)]
struct State {
    /// Where the server listens.
    serving: String,
    /// Whether another process is the main one now.
    retired: AtomicBool,
}

impl Manager {
    /// The one that NOTIFY_SOCKET names, if it does, for a server that listens
    /// on `addresses`.
    pub(super) fn find(addresses: &[ListenAddress]) -> Self {
        let written: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        Self(std::env::var_os("NOTIFY_SOCKET").map(|_| {
            Arc::new(State {
                serving: format!("serving on {}", written.join(" ")),
                retired: AtomicBool::new(false),
            })
        }))
    }

    /// This process is the main one, and serves.
    pub(super) fn started(&self) {
        let id = NotifyState::MainPid(std::process::id());
        self.send(&[NotifyState::Ready, id], "");
    }

    /// A reload that was asked for has begun.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now], "a reload is under way"),
            Err(error) => tracing::warn!("systemd cannot be told of the reload: {error}"),
        }
    }

    /// A reload has ended: the generation in force, or why it failed.
    pub(super) fn reloaded(&self, outcome: Result<u64, &str>) {
        let status = match outcome {
            Ok(generation) => format!("configuration {generation} is in force"),
            Err(why) => format!("the last reload FAILED, the old configuration stays: {why}"),
        };
        self.send(&[NotifyState::Ready], &status);
    }

    /// No new connections from now on.
    pub(super) fn stopping(&self) {
        self.send(
            &[NotifyState::Stopping],
            "stopping: requests in flight are finished first",
        );
    }

    /// How a hand-over goes.
    pub(super) fn handing_over(&self, status: &str) {
        self.send(&[], status);
    }

    /// Process `id` is the main one from now on; nothing that this one has to
    /// say matters any more.
    pub(super) fn main_is(&self, id: u32) {
        self.send(&[NotifyState::MainPid(id)], "");
        if let Some(state) = &self.0 {
            state.retired.store(true, Ordering::Relaxed);
        }
    }

    fn send(&self, states: &[NotifyState<'_>], status: &str) {
        let Some(state) = &self.0 else { return };
        if state.retired.load(Ordering::Relaxed) {
            return;
        }
        let status = line(&state.serving, status);
        let mut states = states.to_vec();
        states.push(NotifyState::Status(&status));
        if let Err(error) = sd_notify::notify(&states) {
            tracing::warn!("systemd cannot be told how it goes: {error}");
        }
    }
}

/// One line of it: with the next one something else would be said.
fn line(serving: &str, status: &str) -> String {
    let status = status.lines().next().unwrap_or_default().trim();
    let separator = if status.is_empty() { "" } else { "; " };
    let whole = format!("{serving}{separator}{status}");
    whole.chars().take(MOST_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_and_short() {
        assert_eq!(line("serving", ""), "serving");
        assert_eq!(line("serving", "a\nREADY=1"), "serving; a");
        assert_eq!(line("serving", "\nREADY=1"), "serving");
        let long = line("serving", &"\u{e9}".repeat(1000));
        assert_eq!(long.chars().count(), MOST_CHARACTERS);
    }
}
