//! wrk, the load generator that everybody knows: an opinion that is not ours.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::real::find;
use crate::trouble::Trouble;

/// wrk at work.
pub(crate) struct Wrk(Child);

/// What it said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) requests: u64,
    /// The lines that tell of errors.
    pub(crate) errors: Vec<String>,
}

impl Wrk {
    /// 100 connections for so long, with POSTs; none where it is not installed.
    pub(crate) fn start(
        target: SocketAddr,
        time: Duration,
        directory: &Path,
    ) -> Result<Option<Self>, Trouble> {
        let Some(program) = find("wrk") else {
            crate::say("skipped: wrk is not installed");
            return Ok(None);
        };
        let script = directory.join("mix.lua");
        let io = |why| Trouble::io("wrk", why);
        std::fs::write(&script, include_str!("../apps/mix.lua")).map_err(io)?;
        let child = Command::new(program)
            .args(["-t1", "-c100", "--timeout", "30s"])
            .arg(format!("-d{}s", time.as_secs().max(1)))
            .arg("-s")
            .arg(script)
            .arg(format!("http://{target}/"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        Ok(Some(Self(child.map_err(io)?)))
    }

    /// Its end.
    pub(crate) async fn finish(self) -> Result<Said, Trouble> {
        let output = self.0.wait_with_output().await;
        let output = output.map_err(|why| Trouble::io("wrk", why))?;
        Ok(Said::of(&String::from_utf8_lossy(&output.stdout)))
    }
}

impl Said {
    fn of(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let errors = lines
            .clone()
            .filter(|it| it.starts_with("Socket errors:") || it.starts_with("Non-2xx"));
        let count = lines.clone().find_map(|it| it.split_once(" requests in "));
        Self {
            requests: count.and_then(|(count, _)| count.parse().ok()).unwrap_or(0),
            errors: errors.map(str::to_owned).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_in_what_it_says() {
        let text = "Running 2s test @ http://127.0.0.1:1/\n  1 threads and 100 connections\n  \
                    1432 requests in 2.00s, 1.1MB read\n  \
                    Socket errors: connect 0, read 3, write 0, timeout 0\n  \
                    Non-2xx or 3xx responses: 7\nRequests/sec:    716.00\n";
        let said = Said::of(text);
        assert_eq!((said.requests, said.errors.len()), (1432, 2));
        assert_eq!(Said::of("").requests, 0);
    }
}
