//! Instructions, counted: the gate of what a request costs.
//!
//! Time differs from run to run on a machine that is shared, the number of instructions hardly does. A program is run
//! twice under callgrind, doing its work a few times and many times; the difference is what the work takes, start and end
//! left out. What is counted stands in [`Count`]; what it was when somebody accepted it, in `benches/instructions.toml`.
//! More than [`TOLERANCE`] above that, and the program fails.
//!
//! It counts what runs in the process, on all its threads; the kernel's part is not in it.

mod baseline;
mod callgrind;
mod cli;
mod conditions;
mod count;
mod daemon;
mod http2;
mod origin;
mod verdict;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

pub use baseline::{BadBaseline, Baseline, Counts};
use callgrind::Callgrind;
use cli::Cli;
pub use conditions::Conditions;
pub use count::Count;
pub use verdict::{TOLERANCE, TOLERANCE_ELSEWHERE, Verdict, judge};

use crate::trouble::{Trouble, While as _};

/// With this in front, the arguments are those of `holdfast`.
const HOLDFAST: &str = "instructions-holdfast";
/// With this in front, they are the name of a [`Count`] and a number: its work is done so often.
const ALONE: &str = "instructions-alone";

/// One file has one set of conditions.
const ALL_OR_NONE: &str =
    "the other counts were taken under other conditions: accept all, without --only";

/// The program.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let text = |at: usize| arguments.get(at).and_then(|it| it.to_str());
    match (text(0), text(1), text(2)) {
        (Some(HOLDFAST), ..) => return holdfast::main_from(arguments),
        (Some(ALONE), Some(name), Some(times)) => {
            if let (Some(count), Ok(times)) = (Count::named(name), times.parse()) {
                count.work(times);
            }
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    match play(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            say(&format!("trouble: {trouble}"));
            ExitCode::from(2)
        }
    }
}

/// Counts, and compares or accepts. False: a count is not what it should be.
fn play(cli: &Cli) -> Result<bool, Trouble> {
    // Whatever is missing is told before the counting begins.
    let before = match cli.accept && cli.only.is_empty() {
        true => None,
        false => Some(Baseline::read(&cli.baseline)?),
    };
    let directory = tempfile::tempdir().while_doing("a directory")?;
    let callgrind = Callgrind::find(cli.keep.as_deref().unwrap_or(directory.path()))?;
    let here = Conditions::here(callgrind.version());
    let mut counts = Counts::new();
    for count in cli.counts() {
        let counted = count.count(&callgrind, cli)?;
        say(&format!("{count}: {counted:.0} {}", count.about()));
        counts.insert(count.to_string(), counted);
    }
    let before = match before {
        Some(before) if !cli.accept => before,
        before => return accept(before, here, counts, cli),
    };
    let verdict = judge(&before, &here, &counts, cli.only.is_empty());
    let mut output = std::io::stdout();
    write!(output, "{verdict}").while_doing("standard output")?;
    Ok(verdict.passes)
}

/// Writes down what was counted; what was not stays as it was.
fn accept(
    before: Option<Baseline>,
    here: Conditions,
    counts: Counts,
    cli: &Cli,
) -> Result<bool, Trouble> {
    let mut accepted = before.unwrap_or_else(|| Baseline::new(here.clone()));
    if accepted.conditions != here {
        return Err(Trouble::Words(ALL_OR_NONE.to_owned()));
    }
    accepted.counts.extend(counts);
    accepted.write(&cli.baseline)?;
    say(&format!("accepted: {}", cli.baseline.display()));
    Ok(true)
}

/// A line for who looks on. If nobody does, that is fine.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
