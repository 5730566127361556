//! What may be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A reverse proxy for the minute in which an app is being replaced.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Serve traffic, and take commands from swapctl
    Run(Run),
    /// Say whether a configuration is sound: exit 0, or 2 with every error
    Check(Check),
    /// The whole story in one terminal, nothing to install
    Demo(Demo),
}

#[derive(Args, Debug, Default)]
pub(crate) struct Run {
    /// The configuration file; without one there is a single app, `default`
    #[arg(long, value_name = "FILE", env = "HOLDFAST_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Where clients connect, instead of the file's listeners; may be given several times
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Vec<SocketAddr>,
    /// An instance of the app's first release, `host:port` or `unix:/path`; may be given several times
    #[arg(long, value_name = "ADDR")]
    pub(crate) upstream: Vec<String>,
    /// The control socket
    #[arg(long, value_name = "PATH", env = "HOLDFAST_CONTROL")]
    pub(crate) control: Option<PathBuf>,
    /// Where metrics and health are served; off unless named
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,
    /// Where the journal lives
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Worker threads; 0: one per core
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
}

#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "HOLDFAST_CONFIG")]
    pub(crate) config: PathBuf,
    /// One JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// About how long it takes
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) seconds: u64,
    /// Where the report is written
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
}
