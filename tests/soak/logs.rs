//! The access log's files.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::options::Break;
use crate::world::World;

pub(crate) struct Logs {
    file: PathBuf,
    count: AtomicU64,
}

impl Logs {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            file: folder.join("access.log"),
            count: AtomicU64::new(0),
        }
    }

    /// Returns the new name.
    pub(crate) fn rename(&self) -> PathBuf {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let old = self.file.with_extension(count.to_string());
        std::fs::rename(&self.file, &old).unwrap();
        old
    }

    pub(crate) fn is_there(&self) -> bool {
        self.file.exists()
    }

    /// Reads what is still written to.
    pub(crate) fn read_last(&self, world: &World) {
        self.read(world, &self.file);
    }

    /// Enters each line into the ledger, and removes the file.
    pub(crate) fn read(&self, world: &World, file: &Path) {
        let lines = BufReader::new(std::fs::File::open(file).unwrap());
        let mut wrongs = Vec::new();
        for line in lines.lines() {
            let line = line.unwrap();
            let mut times = 1;
            world.spoil(Break::Lost, || times = 0);
            world.spoil(Break::Twice, || times = 2);
            for _ in 0..times {
                wrongs.extend(world.ledger.lock().unwrap().read(&line));
            }
        }
        for (what, details) in wrongs {
            world.wrong(what, &details);
        }
        std::fs::remove_file(file).unwrap();
    }
}
