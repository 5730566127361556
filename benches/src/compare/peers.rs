//! The proxies that are compared, and how each is started for a [`Setting`].
//!
//! Their configurations are files in `benches/peers`. All of them do the same work on a request (`X-Forwarded-For`,
//! `-Proto` and `-Host` made anew, `X-Request-Id` made where it is missing, `Host` kept, hop-by-hop fields taken out) and
//! on an answer (`X-Release`), keep their connections to the origin, log nothing, and have one thread that serves.

mod caddy;
mod check;
mod haproxy;
mod holdfast;
mod nginx;
mod pingora;
mod running;
mod traefik;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use super::certificate::Certificate;
use super::hidden;
use super::load;
use crate::trouble::{Trouble, While as _};

pub(super) use running::{Running, Start, free_address};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Peer {
    /// Forwards octets and reads nothing in them
    Floor,
    /// This project, as it is by default
    Holdfast,
    /// The same with the access log on, to a file
    HoldfastLog,
    /// The same with half of the clients on a canary, and judged; in `small` each request is of a new one. Only where it is named
    HoldfastCanary,
    Haproxy,
    Nginx,
    Caddy,
    Traefik,
    Pingora,
}

/// What is asked of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) front: Front,
    pub(super) back: Back,
    /// Hosts that lead to the origin. One: every host does.
    pub(super) hosts: usize,
}

/// How clients speak to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// HTTP/1.1 in the clear.
    Plain,
    /// HTTP/1.1 over TLS 1.3.
    Tls,
    /// HTTP/2 in the clear, known beforehand (RFC 9113, 3.3).
    Http2,
}

/// How it speaks to the origin, always in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Back {
    Http1,
    Http2,
}

/// More hosts than this share their apps: Holdfast takes 256 apps of 256 hosts.
const APPS_MAX: usize = 250;

/// Where a proxy is and what it may write to.
pub(super) struct Place<'a> {
    pub(super) core: usize,
    pub(super) listen: SocketAddr,
    pub(super) origin: SocketAddr,
    /// Its own.
    pub(super) directory: &'a Path,
    pub(super) setting: Setting,
    pub(super) certificate: &'a Certificate,
    pub(super) programs: &'a Programs,
}

/// Programs of the user's choice.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs {
    pub(super) holdfast: Option<PathBuf>,
    pub(super) pingora: Option<PathBuf>,
    pub(super) caddy: Option<PathBuf>,
    pub(super) traefik: Option<PathBuf>,
}

/// Where `cargo build --release` in `benches/pingora` leaves it.
const PINGORA: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/pingora/target/release/compare-pingora"
);

impl Programs {
    fn pingora(&self) -> PathBuf {
        self.pingora.clone().unwrap_or_else(|| PINGORA.into())
    }

    fn caddy(&self) -> PathBuf {
        self.caddy.clone().unwrap_or_else(|| "caddy".into())
    }

    fn traefik(&self) -> PathBuf {
        self.traefik.clone().unwrap_or_else(|| "traefik".into())
    }
}

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Holdfast => "holdfast",
            Self::HoldfastLog => "holdfast+log",
            Self::HoldfastCanary => "holdfast+canary",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Traefik => "traefik",
            Self::Pingora => "pingora",
        }
    }

    /// Whether it stands for what others do: the floor and our own variants do not.
    pub(super) fn is_other(self) -> bool {
        !matches!(
            self,
            Self::Floor | Self::Holdfast | Self::HoldfastLog | Self::HoldfastCanary
        )
    }

    /// Whether it is Holdfast with something more than by default.
    pub(super) fn has_more(self) -> bool {
        matches!(self, Self::HoldfastLog | Self::HoldfastCanary)
    }

    /// Those who take part unless others are named.
    pub(super) fn usual() -> Vec<Self> {
        let all = Self::value_variants().iter().copied();
        all.filter(|peer| *peer != Self::HoldfastCanary).collect()
    }

    /// What it says of itself, or why it cannot take part.
    pub(super) fn version(self, programs: &Programs) -> Result<String, String> {
        match self {
            Self::Floor => Ok("epoll, in this program".to_owned()),
            Self::Holdfast | Self::HoldfastLog | Self::HoldfastCanary => {
                holdfast::version(programs)
            }
            Self::Haproxy => said_by("haproxy".as_ref(), "-v"),
            Self::Nginx => said_by("nginx".as_ref(), "-v"),
            Self::Caddy => said_by(&programs.caddy(), "version").map(|it| format!("caddy {it}")),
            Self::Traefik => {
                said_by(&programs.traefik(), "version").map(|it| format!("traefik {it}"))
            }
            Self::Pingora => pingora::version(programs),
        }
    }

    /// Why it cannot do what is asked.
    pub(super) fn lacks(self, setting: Setting) -> Option<&'static str> {
        let http2 = setting.back == Back::Http2;
        (self == Self::Nginx && http2).then_some("it does not speak HTTP/2 to origins")
    }

    /// Starts it and waits until it takes connections.
    pub(super) fn start(self, place: &Place<'_>) -> Result<Running, Trouble> {
        fs::create_dir_all(place.directory).while_doing("a directory for a proxy")?;
        let configured = match self {
            Self::Floor => floor(place),
            Self::Holdfast | Self::HoldfastCanary => holdfast::start(place, false),
            Self::HoldfastLog => holdfast::start(place, true),
            Self::Haproxy => haproxy::start(place),
            Self::Nginx => nginx::start(place),
            Self::Caddy => caddy::start(place),
            Self::Traefik => traefik::start(place),
            Self::Pingora => pingora::start(place),
        };
        let command = configured.while_doing(self.name())?;
        let start = Start {
            name: self.name(),
            command,
            address: place.listen,
            directory: place.directory,
        };
        let mut running = start.now()?;
        running.wait()?;
        if self == Self::HoldfastCanary {
            holdfast::begin_canary(place).while_doing(self.name())?;
        }
        Ok(running)
    }
}

fn floor(place: &Place<'_>) -> io::Result<Command> {
    let mut command = hidden::pinned(place.core, hidden::own()?);
    command.arg(hidden::FLOOR);
    command.args([place.listen, place.origin].map(|it| it.to_string()));
    Ok(command)
}

/// The first line that a program says.
fn said_by(program: &Path, argument: &str) -> Result<String, String> {
    let output = Command::new(program).arg(argument).output();
    let output = output.map_err(|why| format!("{}: {why}", program.display()))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|line| !line.trim().is_empty());
    let line = line.ok_or_else(|| format!("{} says nothing", program.display()))?;
    Ok(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A configuration: `{NAME}` in the template stands for a value. What is not known stays.
fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    text
}

impl Setting {
    /// The hosts of each app, if hosts matter.
    fn apps(self) -> Vec<Vec<String>> {
        if self.hosts == 1 {
            return Vec::new();
        }
        let names: Vec<String> = (0..self.hosts).map(load::host).collect();
        let share = self.hosts.div_ceil(APPS_MAX);
        names.chunks(share).map(<[String]>::to_vec).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(hosts: usize) -> Setting {
        Setting {
            front: Front::Plain,
            back: Back::Http1,
            hosts,
        }
    }

    #[test]
    fn every_host_has_an_app_and_no_app_too_many() {
        for hosts in [2, 100, 250, 251, 5_000] {
            let apps = setting(hosts).apps();
            assert!(apps.len() <= APPS_MAX && apps.iter().all(|app| app.len() <= 256));
            assert_eq!(apps.concat().len(), hosts);
        }
        assert!(setting(1).apps().is_empty());
    }

    #[test]
    fn a_template_keeps_what_is_not_a_value() {
        let text = filled("listen {LISTEN}; { a {b} }", &[("LISTEN", "1:2")]);
        assert_eq!(text, "listen 1:2; { a {b} }");
    }
}
