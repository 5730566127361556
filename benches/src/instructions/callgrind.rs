//! callgrind, which counts the instructions of a process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::trouble::{Trouble, While as _};

/// A process that takes longer than this hangs.
const RUN_MAX: Duration = Duration::from_secs(120);
/// Between two looks at whether it has ended.
const POLL: Duration = Duration::from_millis(10);

/// Where it is told what was counted.
pub(super) struct Callgrind {
    directory: PathBuf,
    version: String,
}

/// A process whose instructions are counted. Dropping it ends it.
pub(super) struct Counted {
    child: Child,
    output: PathBuf,
    log: PathBuf,
}

impl Callgrind {
    /// An error with a hint where there is none.
    pub(super) fn find(directory: &Path) -> Result<Self, Trouble> {
        let output = Command::new("valgrind").arg("--version").output();
        let output = output.map_err(|why| {
            let hint = "hint: apt-get install valgrind";
            Trouble::Words(format!("valgrind cannot be run: {why}\n{hint}"))
        })?;
        fs::create_dir_all(directory).while_doing("a directory")?;
        Ok(Self {
            directory: directory.to_owned(),
            version: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        })
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Starts `command` under it. `name` is for the file that it writes.
    pub(super) fn start(&self, name: &str, command: &Command) -> Result<Counted, Trouble> {
        let output = self.directory.join(format!("callgrind.out.{name}"));
        let log = self.directory.join(format!("{name}.log"));
        let _ = fs::remove_file(&output);
        let file = fs::File::create(&log).while_doing("a log")?;
        let copy = file.try_clone().while_doing("a log")?;
        let mut whole = Command::new("valgrind");
        whole.args(["--tool=callgrind", "--quiet"]);
        whole.arg(format!("--callgrind-out-file={}", output.display()));
        whole.arg(command.get_program()).args(command.get_args());
        whole.stdin(Stdio::null()).stdout(copy).stderr(file);
        let child = whole.spawn().while_doing("valgrind")?;
        Ok(Counted { child, output, log })
    }

    /// Runs `command` to its end: the number of its instructions.
    pub(super) fn run(&self, name: &str, command: Command) -> Result<u64, Trouble> {
        self.start(name, &command)?.end()
    }
}

impl Counted {
    /// Its process.
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs still.
    pub(super) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it has said.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for its end: the number of its instructions.
    pub(super) fn end(mut self) -> Result<u64, Trouble> {
        let status = self.wait().while_doing("waiting for valgrind")?;
        let total = fs::read_to_string(&self.output);
        let total = total.ok().and_then(|text| total_of(&text));
        match total {
            Some(total) if status.success() => Ok(total),
            _ => Err(Trouble::Words(format!("{status}:\n{}", self.said()))),
        }
    }

    fn wait(&mut self) -> io::Result<ExitStatus> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if began.elapsed() > RUN_MAX {
                return Err(io::ErrorKind::TimedOut.into());
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a file of callgrind gives as the sum of its only event, `Ir`.
fn total_of(text: &str) -> Option<u64> {
    let mut lines = text.lines();
    let total = lines.find_map(|line| line.strip_prefix("totals:"));
    total?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_total_is_found_in_what_callgrind_writes() {
        let text = "version: 1\nevents: Ir\nsummary: 12\n\nfn=(1) main\n3 4\n\ntotals: 1234\n";
        assert_eq!(super::total_of(text), Some(1234));
        assert_eq!(super::total_of("version: 1\n"), None);
    }
}
