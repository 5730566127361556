//! Scenarios under load that end in a verdict: `cargo run --release -p loadtests -- SCENARIO`.
//!
//! Daemon, `swapctl` and apps are real child processes: this binary, executed again with a hidden first argument. Nothing
//! here looks into the daemon; what is found is found from outside.

mod attack;
mod cli;
mod client;
mod daemon;
mod figures;
mod hidden;
mod lean;
mod mixed;
mod pinned;
mod real;
mod scenario;
mod stage;
mod statistics;
mod swapctl_child;
mod toolbox;
mod trouble;
mod wrk;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use holdfast_load::report::Report;

use cli::Cli;

use trouble::Trouble;

fn main() -> ExitCode {
    if let Some(code) = hidden::main_if_asked() {
        return code;
    }
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(play(&cli)),
        Err(why) => Err(Trouble::io("no runtime", why)),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            say(&format!("trouble: {trouble}"));
            ExitCode::from(2)
        }
    }
}

/// Plays what was asked for, and says whether all of it passed.
async fn play(cli: &Cli) -> Result<bool, Trouble> {
    let mut passed = true;
    for scenario in cli.scenarios() {
        let options = cli.options(scenario);
        say(&format!(
            "{scenario}: {} (seed {})",
            scenario.about(),
            options.seed
        ));
        let report = scenario.play(&options).await?;
        show(cli, &report)?;
        passed &= report.pass;
    }
    Ok(passed)
}

/// The report: data to standard output, words to standard error where the two differ.
fn show(cli: &Cli, report: &Report) -> Result<(), Trouble> {
    let text = if cli.json {
        report.to_json()
    } else {
        report.to_text()
    };
    let printed = writeln!(std::io::stdout(), "{text}");
    printed.map_err(|why| Trouble::io("standard output", why))?;
    if let Some(directory) = &cli.report {
        let written = report.write(directory);
        let path = written.map_err(|why| Trouble::io("the report", why))?;
        say(&format!("report: {}", path.display()));
    }
    Ok(())
}

/// A line for who looks on. If nobody does, that is fine.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
