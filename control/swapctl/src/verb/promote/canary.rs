//! The flags of a canary. What is left out is as the app's configuration has it.

use std::time::Duration;

use clap::{Args, ValueEnum};
use holdfast_control::wire::Percent;
use swap_core::{OnFail, OnQuiet, Share, duration};

const HEADING: &str = "With strategy canary";

#[derive(Args, Debug)]
pub(super) struct Flags {
    /// Shares in per cent, growing; 100 is added
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', help_heading = HEADING)]
    steps: Vec<Share>,
    /// How long each of them takes at least
    #[arg(long, value_name = "D", value_parser = duration::parse, help_heading = HEADING)]
    pub(super) step_time: Option<Duration>,
    /// How long it is judged on when everybody has it
    #[arg(long, value_name = "D", value_parser = duration::parse, help_heading = HEADING)]
    pub(super) watch: Option<Duration>,
    /// What a no does
    #[arg(long, value_enum, help_heading = HEADING)]
    pub(super) on_fail: Option<Fail>,
    /// What a step does that has taken its time and had too little traffic
    #[arg(long, value_enum, help_heading = HEADING)]
    pub(super) on_quiet: Option<Quiet>,
    /// A GET that has to be answered so, by every instance, before any traffic and again at 100 %; status 200 if none is said
    #[arg(long, value_name = "PATH[=STATUS[~TEXT]]", help_heading = HEADING)]
    pub(super) smoke: Vec<String>,
    /// A command of the shell that has to exit 0 before each next step; runs in the daemon, with your rights
    #[arg(long, value_name = "CMD", help_heading = HEADING)]
    pub(super) gate_exec: Vec<String>,
    /// A query to a Prometheus whose every value has to keep within the bound
    #[arg(long, value_name = "URL|QUERY|BOUND", help_heading = HEADING)]
    pub(super) gate_prometheus: Vec<String>,
}

/// `--on-fail`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Fail {
    /// Everybody goes back to the old release, and promotes are blocked
    Rollback,
    /// The share stays as it is until somebody decides
    Freeze,
}

/// `--on-quiet`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Quiet {
    /// It waits for more
    Wait,
    /// It takes the next step
    Advance,
}

impl Flags {
    /// Whether one was typed.
    pub(super) fn any(&self) -> bool {
        let Self {
            steps,
            step_time,
            watch,
            on_fail,
            on_quiet,
            smoke,
            gate_exec,
            gate_prometheus,
        } = self;
        let texts = [smoke, gate_exec, gate_prometheus];
        !steps.is_empty()
            || step_time.is_some()
            || watch.is_some()
            || on_fail.is_some()
            || on_quiet.is_some()
            || texts.into_iter().any(|texts| !texts.is_empty())
    }

    pub(super) fn steps(&self) -> Option<Vec<Percent>> {
        let steps = self.steps.iter().copied().map(Percent);
        (!self.steps.is_empty()).then(|| steps.collect())
    }
}

impl From<Fail> for OnFail {
    fn from(fail: Fail) -> Self {
        match fail {
            Fail::Rollback => Self::Rollback,
            Fail::Freeze => Self::Freeze,
        }
    }
}

impl From<Quiet> for OnQuiet {
    fn from(quiet: Quiet) -> Self {
        match quiet {
            Quiet::Wait => Self::Wait,
            Quiet::Advance => Self::Advance,
        }
    }
}
