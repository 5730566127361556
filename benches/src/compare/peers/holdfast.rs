//! Holdfast, as `run` has it: metrics are always counted, the access log is off unless asked for.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::super::hidden;
use super::{Back, Front, Place, Programs, filled, said_by};

const TEMPLATE: &str = include_str!("../../../peers/holdfast.toml");
const APP: &str = include_str!("../../../peers/holdfast-app.toml");

/// How long a canary may take to have its share.
const CANARY_MAX: Duration = Duration::from_secs(20);
/// Between two looks at whether it has.
const CANARY_POLL: Duration = Duration::from_millis(50);

pub(super) fn version(programs: &Programs) -> Result<String, String> {
    match &programs.holdfast {
        Some(path) => said_by(path, "--version"),
        None => Ok(format!(
            "holdfast {}, in this program",
            env!("CARGO_PKG_VERSION")
        )),
    }
}

pub(super) fn start(place: &Place<'_>, logs: bool) -> io::Result<Command> {
    let directory = place.directory;
    let path = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let log = if logs {
        path("access.log")
    } else {
        "off".to_owned()
    };
    let mut apps = String::new();
    let origin = place.origin.to_string();
    let upstream = match place.setting.back {
        Back::Http1 => "",
        Back::Http2 => "upstream.protocol = \"http2\"",
    };
    let files = place.certificate;
    let tls = match place.setting.front {
        Front::Plain | Front::Http2 => String::new(),
        Front::Tls => {
            let (certificate, key) = (&files.certificate, &files.key);
            format!("tls = {{ certificate = {certificate:?}, key = {key:?} }}")
        }
    };
    let mut app = |name: &str, hosts: &str| {
        let values = [
            ("NAME", name),
            ("HOSTS", hosts),
            ("ORIGIN", origin.as_str()),
            ("UPSTREAM", upstream),
        ];
        let _ = writeln!(apps, "{}", filled(APP, &values));
    };
    if place.setting.hosts == 1 {
        app("web", "[]");
    }
    for (number, hosts) in place.setting.apps().iter().enumerate() {
        app(&format!("web{number}"), &format!("{hosts:?}"));
    }
    let text = filled(
        TEMPLATE,
        &[
            ("LISTEN", &place.listen.to_string()),
            ("TLS", &tls),
            ("STATE", &path("state")),
            ("SOCKET", &path("control.sock")),
            ("LOG", &log),
            ("APPS", &apps),
        ],
    );
    let file = directory.join("holdfast.toml");
    fs::write(&file, text)?;
    let mut command = match &place.programs.holdfast {
        Some(program) => hidden::pinned(place.core, program),
        None => {
            let mut command = hidden::pinned(place.core, hidden::own()?);
            command.arg(hidden::HOLDFAST);
            command
        }
    };
    command.args(["run", "--config"]).arg(file);
    Ok(command)
}

/// Gives half of the clients to another release at the same origin, for as long as it runs.
pub(super) fn begin_canary(place: &Place<'_>) -> io::Result<()> {
    let body = format!(
        r#"{{"release":"v2","instance":["{}"],"strategy":"canary","steps":[50,100],"step_time":"1h","detach":true}}"#,
        place.origin
    );
    let began = Instant::now();
    // It serves a little before it listens to commands.
    let accepted = loop {
        match say(place, "POST /v1/apps/web/promote", &body) {
            Err(_) if began.elapsed() < CANARY_MAX => thread::sleep(CANARY_POLL),
            said => break said?,
        }
    };
    while !say(place, "GET /v1/status", "")?.contains(r#""phase":"canary""#) {
        if began.elapsed() > CANARY_MAX {
            return Err(io::Error::other(format!("no canary: {accepted}")));
        }
        thread::sleep(CANARY_POLL);
    }
    Ok(())
}

/// Says something over the control socket: the whole answer.
fn say(place: &Place<'_>, what: &str, body: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(place.directory.join("control.sock"))?;
    let length = body.len();
    write!(
        stream,
        "{what} HTTP/1.1\r\nHost: holdfast\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
