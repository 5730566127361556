//! Holdfast: the data plane and the daemon. One file for one step of a request's way:
//! listen → http (`connection`) → policy → route → door → draw → pick (`lease`) → upstream → forward; `way` tells it whole.

mod access_log;
mod account;
#[cfg(feature = "acme")]
mod acme;
#[cfg(not(feature = "acme"))]
#[path = "acme/without.rs"]
mod acme;
mod activation;
mod admin;
mod answer;
#[cfg(feature = "benching")]
#[doc(hidden)]
pub mod benching;
mod body;
mod challenges;
mod check;
mod cli;
mod clock;
mod cohorts;
mod connection;
mod cookies;
mod counters;
mod daemon;
mod demo;
mod door;
mod draw;
mod exchange;
mod fields;
mod forward;
mod forwarded;
mod fronts;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod handover;
mod http2;
mod io;
mod keepalive;
mod lease;
mod limits;
mod linger;
mod listen;
mod listeners;
mod lobby;
mod log;
mod memory;
mod metrics;
mod opt_in;
mod outlet;
mod part;
mod peer;
mod plain;
mod plane;
mod policy;
mod proxy_protocol;
mod release;
mod route;
mod scheduling;
#[cfg(any(test, feature = "simulation"))]
#[doc(hidden)]
pub mod simulating;
mod split;
mod stop;
mod table;
#[cfg(any(test, fuzzing, feature = "benching"))]
mod testing;
mod tls;
mod tunnel;
mod upstream;
mod waking;
mod watch;
mod way;
mod websocket;
mod worker;
mod workers;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

/// Acts as the `holdfast` command with these arguments, the program's name first.
pub fn main_from(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // Children of the demo are this binary too.
    if let Some(code) = holdfast_load::app::main_if_asked() {
        return code;
    }
    let cli = match cli::Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match cli.verb {
        cli::Verb::Run(typed) => {
            // Before there are other threads: the workers alone take it back.
            let gave_way = scheduling::give_way();
            log::begin();
            if let Err(error) = gave_way {
                tracing::debug!(%error, "the control plane may interrupt requests");
            }
            let ran = daemon::run(typed);
            let failed = ran.as_ref().err();
            log::end(failed.map(|failed| format!("error: {failed}")).as_deref());
            failed.map_or(ExitCode::SUCCESS, |failed| ExitCode::from(failed.code()))
        }
        cli::Verb::Check(typed) => ExitCode::from(if check::run(&typed) { 0 } else { 2 }),
        cli::Verb::Demo(typed) => ExitCode::from(u8::from(!demo::run(&typed))),
    }
}
