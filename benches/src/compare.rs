//! Holdfast, laid beside other proxies: what each takes of a core for the same work.
//!
//! Proxies, origin and load are child processes, each on its core: the proxy on one, load and origin on the other. The
//! main figure is the proxy's CPU time for each request, as the kernel counts it, because that is the same whether or not
//! somebody else uses the machine meanwhile, and whether or not the load can keep the proxy busy.

mod certificate;
mod cli;
mod floor;
mod hidden;
mod load;
mod machine;
mod origin;
mod peers;
mod poller;
mod report;
mod statistics;
mod trial;
mod usage;
mod websocket;
mod wire;
mod workload;

use std::fs;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser as _, ValueEnum as _};

use certificate::Certificate;
use cli::{Cli, Options};
use machine::Machine;
use peers::Peer;
use report::{Report, Table, Version};
use trial::Trial;
use workload::Workload;

use crate::trouble::{Trouble, While as _};

/// The program.
pub fn main() -> ExitCode {
    if let Some(code) = hidden::main_if_asked() {
        return code;
    }
    let cli = Cli::parse();
    match play(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            say(&format!("trouble: {trouble}"));
            ExitCode::from(2)
        }
    }
}

/// Plays what was asked for. False: a row has errors instead of figures.
fn play(cli: &Cli) -> Result<bool, Trouble> {
    let options = cli.options();
    if cli.list {
        list(&options)?;
        return Ok(true);
    }
    if options.proxy_core == options.load_core {
        say("one core for all of them: figures to look at, not to cite");
    }
    let (mut versions, mut present) = (Vec::new(), Vec::new());
    for &peer in &options.peers {
        match peer.version(&options.programs) {
            Ok(version) => {
                present.push(peer);
                versions.push(Version {
                    peer: peer.name().to_owned(),
                    version,
                });
            }
            Err(why) => say(&format!("without {}: {why}", peer.name())),
        }
    }
    let directory = tempfile::tempdir().while_doing("a directory")?;
    let certificate = Certificate::make(&load::host(0), directory.path());
    let certificate = certificate.while_doing("a certificate")?;
    let trial = Trial {
        options: &options,
        directory: directory.path(),
        certificate: &certificate,
        peers: &present,
    };
    let mut report = Report {
        machine: Machine::this(),
        seed: options.seed,
        rounds: options.rounds,
        seconds: options.window.as_secs_f64(),
        peers: versions,
        workloads: Vec::new(),
    };
    for &workload in &options.workloads {
        say(&format!("{}: {}", workload.name(), workload.about()));
        let played = trial.play(workload)?;
        report.workloads.push(Table::of(&played, options.seed));
        keep(cli, &report)?;
    }
    print(&report.to_text())?;
    let mut rows = report.workloads.iter().flat_map(|table| &table.rows);
    Ok(rows.all(|row| row.figures.is_some()))
}

/// Writes what there is so far.
fn keep(cli: &Cli, report: &Report) -> Result<(), Trouble> {
    if let Some(path) = &cli.json {
        let text = report.to_json();
        let text = text.map_err(|why| Trouble::Words(why.to_string()))?;
        fs::write(path, text).while_doing("the JSON file")?;
    }
    if let Some(path) = &cli.svg {
        fs::write(path, report.to_svg()).while_doing("the SVG file")?;
    }
    Ok(())
}

fn list(options: &Options) -> Result<(), Trouble> {
    let mut text = String::from("workloads:\n");
    for workload in Workload::all() {
        text.push_str(&format!("  {:<17} {}\n", workload.name(), workload.about()));
    }
    text.push_str("peers:\n");
    for peer in Peer::value_variants() {
        let version = peer.version(&options.programs);
        let version = version.unwrap_or_else(|why| format!("not here ({why})"));
        text.push_str(&format!("  {:<17} {version}\n", peer.name()));
    }
    print(&text)
}

fn print(text: &str) -> Result<(), Trouble> {
    let mut output = std::io::stdout();
    output
        .write_all(text.as_bytes())
        .while_doing("standard output")
}

/// A line for who looks on. If nobody does, that is fine.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
