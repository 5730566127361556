//! Points at which a test lets the process die, as a power cut would: at once, with nothing flushed.
//!
//! Only builds with the feature `failpoints` have them, and only tests ask for that. There, `HOLDFAST_DIES_AT=POINT` or
//! `POINT:PASS` names the point, and which pass over it; `HOLDFAST_PASSED=FILE` has every pass written down.

/// Every point there is, in about the order in which a daemon comes by.
pub const POINTS: &[&str] = &[
    // A new process gets what the one before it lends.
    "inherit.began",
    "inherit.told",
    "inherit.has_files",
    // The state directory is taken, the journal read or begun.
    "directory.locked",
    "journal.read",
    "journal.opened",
    // What was torn is cut.
    "cut.began",
    "cut.shortened",
    "cut.synced",
    // The whole file is written anew, aside.
    "anew.began",
    "anew.half_written",
    "anew.written",
    "anew.synced",
    "anew.renamed",
    "anew.durable",
    // Records are appended.
    "append.began",
    "append.half_written",
    "append.written",
    "append.synced",
    "append.told",
    // The control socket gets its place.
    "socket.bound",
    "socket.placed",
    "socket.listens",
    // The apps come back.
    "apps.restored",
    "apps.durable",
    "apps.published",
    // A command, or what was observed, becomes a step of the machine.
    "command.taken",
    "command.durable",
    "command.carried_out",
    "event.taken",
    "event.durable",
    "event.carried_out",
    // An effect was carried out.
    "effect.held",
    "effect.published",
    "effect.closed",
    "effect.cut",
    "effect.released",
    "effect.gave_up",
    "effect.probing",
    "effect.probed",
    "effect.command_may_run",
    "effect.progress",
    "effect.finished",
    // The data plane on its own side of that.
    "plane.shut",
    "plane.shown",
    "plane.epoch",
    "plane.gate_closed",
    "plane.cut",
    "plane.empty",
    "plane.retired",
    "plane.gave_up",
    "plane.releases",
    // The new process serves.
    "inherit.is_ready",
    "inherit.told_ready",
    "inherit.may_accept",
    "inherit.accepts",
    "inherit.serves",
    "inherit.may_stay",
    "inherit.alone",
    // The old process lends what it has, and leaves.
    "lend.refuses_commands",
    "lend.has_lock",
    "lend.began",
    "lend.said",
    "lend.spawned",
    "lend.is_ready",
    "lend.paused",
    "lend.may_accept",
    "lend.serves",
    "lend.may_stay",
    "lend.given_away",
    "lend.answered",
    "lend.stopped",
    // Or it goes on.
    "lend.accepts_again",
    "lend.dismissed",
    "lend.taken_back",
];

#[cfg(not(feature = "failpoints"))]
mod unarmed {
    /// The process dies here, if a test says so.
    #[inline(always)]
    pub fn here(_: &'static str) {}

    /// The same when something was done in part. It is done by `half`, and only if the process is to die of it.
    #[inline(always)]
    pub fn half_way(_: &'static str, _: impl FnOnce()) {}
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::collections::BTreeMap;
    use std::fs::{File, OpenOptions};
    use std::io::Write;
    use std::sync::{LazyLock, Mutex, PoisonError};

    use rustix::process::{Signal, getpid, kill_process};

    use super::POINTS;

    /// The process dies here, if a test says so.
    pub fn here(point: &'static str) {
        half_way(point, || {});
    }

    /// The same when something was done in part. It is done by `half`, and only if the process is to die of it.
    pub fn half_way(point: &'static str, half: impl FnOnce()) {
        assert!(POINTS.contains(&point), "no such point: {point}");
        if PLAN.is_passed(point) {
            half();
            die();
        }
    }

    static PLAN: LazyLock<Plan> = LazyLock::new(Plan::of_environment);

    /// What the environment says.
    struct Plan {
        dies_at: Option<(String, u64)>,
        told_to: Option<File>,
        passes: Mutex<BTreeMap<&'static str, u64>>,
    }

    impl Plan {
        fn of_environment() -> Self {
            let dies_at = std::env::var("HOLDFAST_DIES_AT").ok();
            let told_to = std::env::var_os("HOLDFAST_PASSED");
            let told_to =
                told_to.map(|path| OpenOptions::new().create(true).append(true).open(path));
            Self {
                dies_at: dies_at.map(|text| point_and_pass(&text)),
                told_to: told_to.map(|file| file.unwrap_or_else(|error| panic!("{error}"))),
                passes: Mutex::default(),
            }
        }

        /// Whether this is the end.
        fn is_passed(&self, point: &'static str) -> bool {
            if self.dies_at.is_none() && self.told_to.is_none() {
                return false;
            }
            let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
            let pass = passes.entry(point).or_default();
            *pass += 1;
            if let Some(mut file) = self.told_to.as_ref() {
                let line = format!("{} {point}\n", std::process::id());
                // A test that misses a line says so.
                let _ = file.write_all(line.as_bytes());
            }
            let dies_at = self.dies_at.as_ref();
            dies_at.is_some_and(|(name, at)| name == point && at == pass)
        }
    }

    fn point_and_pass(text: &str) -> (String, u64) {
        let (point, pass) = text.split_once(':').unwrap_or((text, "1"));
        assert!(POINTS.contains(&point), "no such point: {point}");
        let pass = pass.parse();
        (
            point.to_owned(),
            pass.unwrap_or_else(|error| panic!("{error}")),
        )
    }

    fn die() -> ! {
        // Nobody outlives it, not even for a moment: other threads end too.
        let _ = kill_process(getpid(), Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

#[cfg(feature = "failpoints")]
pub use armed::{half_way, here};
#[cfg(not(feature = "failpoints"))]
pub use unarmed::{half_way, here};
