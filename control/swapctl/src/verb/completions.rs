//! `swapctl completions`: the script that teaches a shell our verbs and flags.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::Ended;

/// Completions for a shell
///
/// For bash: `source <(swapctl completions bash)`
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, output: Output) -> Ended {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "swapctl", &mut script);
        output.raw(&script)?;
        Ok(Exit::Done)
    }
}
