//! The crowd that has everything: HTTP/1.1 and HTTP/2, each with TLS and without, on new and on kept connections, idle
//! ones that are watched, WebSockets, slow clients, and bodies of some megabytes.

use holdfast_load::app::AppCommand;
use holdfast_load::load::{Plan, Secure};
use holdfast_load::run::{Ending, Kind, Protocol};

use crate::cli::Options;
use crate::daemon::{Setting, free_address};
use crate::lean::{HOST, certificate};
use crate::stage::{Opening, Place, Seen, Stage, start};
use crate::trouble::Trouble;

/// Of everything that is asked.
const TLS: f64 = 0.5;
const HTTP2: f64 = 0.5;
const WATCHED: usize = 40;
const SLOW_CLIENTS: usize = 10;
const LARGE_CLIENTS: usize = 4;
const TUNNELS: usize = 10;

/// Where such a crowd finds the daemon.
pub(crate) struct Site {
    secure: Secure,
}

/// A daemon that listens without TLS and with, before an app, release `v1`. `hold` and `timeouts` are lines of its
/// configuration.
pub(crate) async fn open(
    options: &Options,
    hold: &str,
    timeouts: &str,
) -> Result<(Opening, Site), Trouble> {
    let place = Place::new(options)?;
    let app = start(AppCommand::new("v1", place.path().join("ledger"))).await?;
    let certificate = certificate::write(place.path())?;
    let target = free_address().map_err(|why| Trouble::io("no free port", why))?;
    let mut setting = Setting::web(app.address(), hold, timeouts);
    let listen = &certificate.listen;
    setting.apps = format!(
        "[[listen]]\naddress = \"{target}\"\n{listen}\n\n{}",
        setting.apps
    );
    let stage = Stage::with(place, options, &setting).await?;
    let secure = Secure {
        target,
        name: HOST.to_owned(),
        authority: certificate.authority,
    };
    Ok((Opening { stage, app }, Site { secure }))
}

impl Site {
    /// The crowd, with so many scheduled requests a second, and this share of them on connections of their own.
    pub(crate) fn plan(&self, stage: &Stage, rate: f64, fresh: f64) -> Plan {
        let mut plan = stage.plan(rate);
        plan.secure = Some(self.secure.clone());
        plan.mix.fresh = fresh;
        plan.mix.tls = TLS;
        plan.mix.http2 = HTTP2;
        plan.watched = WATCHED;
        plan.slow_clients = SLOW_CLIENTS;
        plan.large_clients = LARGE_CLIENTS;
        plan.tunnels = TUNNELS;
        plan
    }
}

/// Whether there was some of everything: what was not tried is not shown.
pub(crate) fn was_mixed(stage: &mut Stage, seen: &Seen) {
    let answered = &seen.findings.by_protocol;
    let missing = Protocol::ALL.map(|it| it.to_string());
    let missing: Vec<_> = missing
        .iter()
        .filter(|it| !answered.contains_key(*it))
        .collect();
    stage.verdict.must(
        "all of HTTP/1.1 and HTTP/2, with TLS and without, were answered",
        format!("{answered:?}"),
        missing.is_empty(),
    );
    let of = |kind| {
        Protocol::ALL.map(|protocol| {
            let records = seen.run.records.iter();
            let alike = records.filter(|it| it.kind == kind && it.protocol == protocol);
            alike
                .filter(|it| matches!(it.ending, Ending::App { .. }))
                .count()
        })
    };
    let kinds = [Kind::LargeUpload, Kind::LargeDownload, Kind::Tunnel].map(of);
    let [up, down, tunnels] = kinds;
    stage.verdict.must(
        "bodies of megabytes were sent and read, and WebSockets opened, in HTTP/2 too",
        format!("{up:?} sent, {down:?} read, {tunnels:?} opened, in that order of protocols"),
        kinds
            .iter()
            .all(|[_, _, http2, http2_tls]| http2 + http2_tls > 0),
    );
}
