//! System calls, by `strace -c -f`.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// strace, attached to a running process.
pub(crate) struct Strace {
    child: Child,
    table: PathBuf,
}

impl Strace {
    /// Counts from now on what all threads of process `id` call.
    pub(crate) fn attach(id: u32, folder: &Path) -> io::Result<Self> {
        let table = folder.join("strace");
        let mut child = Command::new("strace")
            .args(["-c", "-f", "-p", &id.to_string(), "-o"])
            .arg(&table)
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut line = String::new();
        said.read_line(&mut line)?;
        if !line.contains("attached") {
            child.wait()?;
            return Err(io::Error::other(format!("strace could not attach: {line}")));
        }
        // It may say more, such as of a thread that ended.
        std::thread::spawn(move || io::copy(&mut said, &mut io::sink()));
        Ok(Self { child, table })
    }

    /// Detaches; calls by name.
    pub(crate) fn finish(mut self) -> io::Result<BTreeMap<String, u64>> {
        if let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(id, Signal::INT)?;
        }
        self.child.wait()?;
        Ok(read(&std::fs::read_to_string(&self.table)?))
    }
}

/// Lines such as ` 60.12    0.004431          11       400       2 epoll_wait`,
/// between two rules; the column of errors may be empty.
fn read(table: &str) -> BTreeMap<String, u64> {
    let rows = table.split('\n').filter_map(|row| {
        let columns: Vec<&str> = row.split_whitespace().collect();
        let share: Option<f64> = columns.first()?.parse().ok();
        let (Some(_), Some(name)) = (share, columns.last()) else {
            return None;
        };
        Some(((*name).to_owned(), columns.get(3)?.parse().ok()?))
    });
    rows.filter(|(name, _)| name != "total").collect()
}
