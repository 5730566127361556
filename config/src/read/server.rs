//! `[server]`

use std::path::PathBuf;

use crate::table::Table;
use crate::value::Value;
use crate::{AccessLog, Network, Server};

/// More threads than any machine has cores are a slip.
const WORKERS_MAX: u64 = 1024;
/// So many networks may be trusted; each is looked at for every connection.
const TRUSTED_MAX: usize = 256;

pub(super) fn read(mut table: Table<'_>) -> Server {
    let workers = table.value("workers", "0").count(0..=WORKERS_MAX);
    let state_dir = table.value("state_dir", r#""/var/lib/holdfast""#);
    let access_log = table.value("access_log", r#""stdout""#);
    let trusted = table.value("trusted", r#"["10.0.0.0/8"]"#);
    let trusted = trusted.items(TRUSTED_MAX).into_iter();
    let server = Server {
        workers: workers.unwrap_or(0) as usize,
        state_dir: state_dir.parsed(|text| absolute(text, PATH_MAX)),
        access_log: access_log.parsed(access_log_of).unwrap_or_default(),
        trusted: trusted.filter_map(network).collect(),
    };
    table.end();
    server
}

/// The longest path of a file or directory, in octets: Linux's `PATH_MAX`, less the zero at the end.
const PATH_MAX: usize = 4095;

/// A path that means the same wherever the daemon was started.
pub(super) fn absolute(text: &str, max: usize) -> Result<PathBuf, String> {
    if !text.starts_with('/') {
        return Err("the path has to begin with a slash".to_owned());
    }
    if text.len() > max {
        let length = text.len();
        return Err(format!(
            "the path has at most {max} characters, not {length}"
        ));
    }
    if text.contains('\0') {
        return Err("no zero may stand in a path".to_owned());
    }
    Ok(text.into())
}

/// A slip such as `"of"` must not make a file of that name: a path has to be absolute.
fn access_log_of(text: &str) -> Result<AccessLog, String> {
    match text {
        "off" => Ok(AccessLog::Off),
        "stdout" => Ok(AccessLog::Stdout),
        path if path.starts_with('/') => absolute(path, PATH_MAX).map(AccessLog::File),
        _ => {
            Err("it is `off`, `stdout`, or the path of a file that begins with a slash".to_owned())
        }
    }
}

fn network(value: Value<'_>) -> Option<Network> {
    let network = value.parsed(Network::parse)?;
    if network.is_everything() {
        value.warn(
            format!("everybody is trusted: {network} has every address"),
            "whoever connects can take any address, and any share of a hold",
        );
    }
    Some(network)
}
