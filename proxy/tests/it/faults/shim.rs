//! A clock that jumps and a disk that fails, below the daemon and at any moment: a small library of our own between it and
//! the C library. No namespace moves the wall clock, and no file system fails on demand.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;

use rustix::io::Errno;
use tempfile::TempDir;

use super::able;
use crate::daemon::BEFORE;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/faults/shim.c");

/// What the library is told. Dropped after the daemon.
pub(super) struct Shim {
    home: TempDir,
    orders: File,
}

/// Something that a disk does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    Write = 1,
    Sync,
    Rename,
}

impl Shim {
    /// None where there is no C compiler, or no C library that can be shared.
    pub(super) fn new() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let library = home.path().join("shim.so");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(SOURCE)
            .status();
        let compiled = compiled.is_ok_and(|status| status.success());
        if !able("compile a library in C", compiled) {
            return None;
        }
        let orders = home.path().join("orders");
        std::fs::write(&orders, [0; 32]).unwrap();
        let orders = File::options().write(true).open(orders).unwrap();
        Some(Self { home, orders })
    }

    /// The flag with which a daemon is started above it.
    pub(super) fn flag(&self) -> String {
        let home = self.home.path().display();
        format!("{BEFORE}export HOLDFAST_ORDERS={home}/orders LD_PRELOAD={home}/shim.so")
    }

    /// The wall clock is off by so many seconds from now on.
    pub(super) fn jump(&self, seconds: i64) {
        self.order(0, seconds);
    }

    /// This call fails like this from now on, or no more.
    pub(super) fn fail(&self, call: Call, error: Option<Errno>) {
        let error = error.map_or(0, |error| error.raw_os_error().into());
        self.order(call as u64, error);
    }

    fn order(&self, which: u64, number: i64) {
        let octets = number.to_ne_bytes();
        self.orders.write_all_at(&octets, which * 8).unwrap();
    }
}
