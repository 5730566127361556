//! What may be typed.

use std::path::PathBuf;

use clap::Parser;

use super::Count;

/// Counts the instructions of a small GET and of the gate under callgrind, and compares them with those that were accepted.
///
/// Ends with 1 if a count has risen by more than 2 %, with 2 if nothing could be counted.
#[derive(Debug, Parser)]
#[command(name = "instructions", max_term_width = 100)]
pub(super) struct Cli {
    /// Count only this; several times for several [default: all]
    #[arg(long, value_name = "COUNT", value_enum)]
    pub(super) only: Vec<Count>,
    /// Write down what is counted as what it should be from now on
    #[arg(long)]
    pub(super) accept: bool,
    /// What it should be
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.toml"))]
    pub(super) baseline: PathBuf,
    /// Another `holdfast` than the one that is built in
    #[arg(long, value_name = "PATH")]
    pub(super) holdfast: Option<PathBuf>,
    /// Leave what callgrind writes in this directory, for callgrind_annotate
    #[arg(long, value_name = "DIR")]
    pub(super) keep: Option<PathBuf>,
    /// Do everything a twentieth as often: counts to look at, not to accept
    #[arg(long, conflicts_with = "accept")]
    pub(super) quick: bool,
}

impl Cli {
    pub(super) fn counts(&self) -> Vec<Count> {
        use clap::ValueEnum as _;
        match self.only.is_empty() {
            true => Count::value_variants().to_vec(),
            false => self.only.clone(),
        }
    }

    /// So often in short, where `times` is usual.
    pub(super) fn times(&self, times: u32) -> u32 {
        if self.quick {
            times.div_ceil(20)
        } else {
            times
        }
    }
}
