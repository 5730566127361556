//! `holdfast run`: from what was typed to a daemon that serves, and back to an exit code.

mod closing;
mod configuration;
mod service_manager;
mod signals;
mod succession;

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use holdfast_config::{AccessLog as LogTo, Settings};
use holdfast_control::failpoint;
use holdfast_control::plane::DataPlane;
use holdfast_control::succession::UpgradeHook;
use holdfast_control::{Accepting, ControlPlane, Handle, Options, Swaps, paths};
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::access_log::AccessLog;
use crate::acme;
use crate::activation::Activated;
use crate::admin;
use crate::cli;
use crate::handover::{self, Estate, Heir, Predecessor};
use crate::limits;
use crate::listeners::Listeners;
use crate::memory;
use crate::metrics::Page;
use crate::plane::Plane;
use crate::table;
use crate::tls::Means;
use crate::workers::{Connections, Workers};
use closing::Service;
use configuration::Configuration;
use signals::Signals;
use succession::End;

/// How long the last lines of the access log may take to be written.
const LOG_END_MAX: Duration = Duration::from_secs(1);

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// What was asked for cannot be had: exit 2.
    #[error("{0}")]
    Usage(String),
    /// Something broke: exit 1.
    #[error("{0}")]
    Internal(String),
}

impl Failed {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Internal(_) => 1,
        }
    }
}

fn usage(error: impl std::fmt::Display) -> Failed {
    Failed::Usage(error.to_string())
}

fn internal(what: &str, error: impl std::fmt::Display) -> Failed {
    Failed::Internal(format!("{what}: {error}"))
}

/// Runs until a signal says otherwise.
pub(crate) fn run(typed: cli::Run) -> Result<(), Failed> {
    limits::raise_open_files();
    memory::without_huge_pages();
    let activated = Activated::inherit().map_err(usage)?;
    let heir = handover::inherit().map_err(usage)?;
    let excuse = heir.as_ref().and_then(|heir| heir.excuse().ok());
    let ran = run_as(heir, activated, typed);
    if let (Err(failed), Some(excuse)) = (&ran, &excuse) {
        excuse.tell(failed.to_string());
    }
    ran
}

fn run_as(heir: Option<Heir>, activated: Activated, typed: cli::Run) -> Result<(), Failed> {
    // Before any thread: what a configuration means may ask the resolver, which blocks.
    let configuration = Arc::new(Configuration::read(typed)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| internal("no runtime", error))?;
    runtime.block_on(serve(configuration, heir, activated))
}

async fn serve(
    configuration: Arc<Configuration>,
    mut heir: Option<Heir>,
    mut activated: Activated,
) -> Result<(), Failed> {
    let settings = configuration.now();
    // Everything that can be refused comes first; nothing is accepted before the table is published.
    let means = means(heir.as_ref());
    let apps = table::Settings::open_all(&settings.apps).map_err(usage)?;
    let workers = worker_count(&settings);
    let listeners = Listeners::open(&settings, workers, &means, &mut heir, &mut activated);
    let listeners = Arc::new(listeners.map_err(usage)?);
    let admin = admin_listener(&settings, &mut heir, &mut activated)?;
    activated.must_be_taken().map_err(usage)?;
    let access_log = access_log(&settings.server.access_log)?;
    let connections = limits::connections(settings.limits.connections).map_err(usage)?;
    // Not while another process does.
    let accepting = Accepting::new(heir.is_none());
    let workers = Workers::new(&listeners, connections, &access_log, &accepting);
    let workers = workers.map_err(|error| internal("the listeners", error))?;
    let (workers, observed, mishaps) = workers;
    let plane = workers.plane.clone();
    let (upgrade, upgrades) = succession::hook();
    let mut options = options(
        &settings,
        &configuration,
        &plane,
        &listeners,
        upgrade,
        &accepting,
    )?;
    options.inherited = heir.as_mut().and_then(|heir| heir.belongings.take());
    let control = ControlPlane::open(options).map_err(usage)?;
    let control = control.telling(mishaps);
    let upkeep = acme::open(
        &settings,
        &state_dir(&settings)?,
        &means.challenges,
        &means.issued,
    );
    let upkeep = upkeep.map_err(usage)?;
    plane.configure(&apps);
    let started = control
        .start(settings.apps.clone(), plane.clone(), observed)
        .await;
    let handle = started.map_err(|error| internal("the apps cannot be published", error))?;
    let running = workers.start().await;
    let running = running.map_err(|error| internal("the workers", error))?;
    let predecessor = take_over(heir).await?;
    accepting.set(true);
    if predecessor.is_some() {
        failpoint::here("inherit.accepts");
    }
    let admin_socket = lendable(&settings, admin.as_ref())?;
    let estate = || estate(&listeners, &means, admin_socket.as_ref());
    if let Some((listener, address)) = admin {
        tracing::info!(admin = %address, "metrics are served");
        let page = metrics(
            &plane,
            &listeners,
            running.connections(),
            &access_log,
            handle.swaps(),
        );
        tokio::spawn(admin::serve(listener, page, accepting.clone()));
    }
    let mut signals = Signals::listen();
    ready(&listeners.addresses(), &handle);
    let predecessor = predecessor.map(Arc::new);
    let replaced = CancellationToken::new();
    match &predecessor {
        None => upkeep.start(replaced.clone()),
        Some(predecessor) => {
            let upkeep = (upkeep, replaced.clone());
            let proof = prove(predecessor.clone(), plane.clone(), running.connections());
            tokio::spawn(outlive(predecessor.clone(), proof, handle.clone(), upkeep));
        }
    }
    tokio::spawn(service_manager::keep_informed(plane));
    let end = succession::until_end(&handle, &accepting, estate, upgrades, &mut signals).await;
    if matches!(end, End::Replaced(_)) {
        replaced.cancel();
    }
    let service = Service {
        running,
        listeners: &listeners,
        accepting: &accepting,
        handle: &handle,
        predecessor: predecessor.as_deref(),
    };
    service.close(&end, &mut signals).await;
    access_log.finish(LOG_END_MAX);
    // Now, and not before: the end of what `end` has tells the other process of ours.
    drop(end);
    Ok(())
}

/// Returns when no other process accepts. None: there never was one.
async fn take_over(heir: Option<Heir>) -> Result<Option<Predecessor>, Failed> {
    let Some(heir) = heir else {
        return Ok(None);
    };
    let taken = heir.take_over().await;
    let taken = taken.map_err(|error| internal("the process before this one", error))?;
    Ok(Some(taken))
}

/// Proves to the process before this one that this one serves, as long as each worker goes round.
async fn prove(predecessor: Arc<Predecessor>, plane: Arc<Plane>, connections: Connections) {
    let beat = || async {
        plane.pulse().await;
        connections.now()
    };
    predecessor.prove(beat).await;
}

/// Takes commands, and keeps certificates up until this one is replaced, when the process before it has ended.
async fn outlive(
    predecessor: Arc<Predecessor>,
    proof: impl Future<Output = ()>,
    handle: Handle,
    upkeep: (acme::Upkeep, CancellationToken),
) {
    proof.await;
    predecessor.ended().await;
    tracing::info!("the process before this one has ended");
    handle.alone();
    failpoint::here("inherit.alone");
    let (upkeep, replaced) = upkeep;
    upkeep.start(replaced);
}

/// What the TLS of all listeners shares. Sessions of the process before this one are resumed.
fn means(heir: Option<&Heir>) -> Means {
    Means {
        challenges: Arc::default(),
        issued: Arc::default(),
        tickets: heir.map_or_else(Default::default, |heir| heir.estate.tickets.clone()),
    }
}

fn worker_count(settings: &Settings) -> usize {
    match settings.server.workers {
        0 => available_parallelism().map_or(1, NonZero::get),
        workers => workers,
    }
}

fn admin_listener(
    settings: &Settings,
    heir: &mut Option<Heir>,
    activated: &mut Activated,
) -> Result<Option<(TcpListener, SocketAddr)>, Failed> {
    let Some(admin) = &settings.admin else {
        return Ok(None);
    };
    let failed =
        |error| Failed::Usage(format!("admin: cannot listen on {}: {error}", admin.listen));
    let inherited = heir.as_mut().and_then(|heir| heir.admin(admin.listen));
    let activated = || activated.listener(admin.listen)?.sockets.pop();
    let inherited = inherited.or_else(activated);
    let listener = match inherited {
        Some(socket) => std::net::TcpListener::from(socket),
        None => std::net::TcpListener::bind(admin.listen).map_err(failed)?,
    };
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = TcpListener::from_std(listener).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Some((listener, address)))
}

/// What another process is lent.
fn estate(
    listeners: &Listeners,
    means: &Means,
    admin: Option<&(SocketAddr, OwnedFd)>,
) -> io::Result<Estate> {
    let admin = admin.map(|(address, socket)| socket.try_clone().map(|socket| (*address, socket)));
    Ok(Estate {
        listeners: listeners.lend()?,
        admin: admin.transpose()?,
        tickets: means.tickets.clone(),
    })
}

/// The listener of the metrics, by the address that was asked for.
fn lendable(
    settings: &Settings,
    admin: Option<&(TcpListener, SocketAddr)>,
) -> Result<Option<(SocketAddr, OwnedFd)>, Failed> {
    let (Some((listener, _)), Some(asked)) = (admin, &settings.admin) else {
        return Ok(None);
    };
    let socket = listener.as_fd().try_clone_to_owned();
    let socket = socket.map_err(|error| internal("the admin listener", error))?;
    Ok(Some((asked.listen, socket)))
}

fn access_log(to: &LogTo) -> Result<AccessLog, Failed> {
    let opened = match to {
        LogTo::Off => return Ok(AccessLog::off()),
        LogTo::Stdout => AccessLog::stdout(),
        LogTo::File(path) => AccessLog::file(path),
    };
    opened.map_err(|error| Failed::Usage(format!("the access log cannot be written: {error}")))
}

fn options(
    settings: &Settings,
    configuration: &Arc<Configuration>,
    plane: &Arc<Plane>,
    listeners: &Arc<Listeners>,
    upgrade: UpgradeHook,
    accepting: &Accepting,
) -> Result<Options, Failed> {
    let socket = paths::control_socket(settings.control.socket.as_deref())
        .ok_or_else(|| nowhere("control socket", "--control"))?;
    let state_dir = state_dir(settings)?;
    // Named users must be able to connect; their uid is checked, so the mode need not keep others out.
    let users = settings.control.users.clone();
    let mode = settings.control.mode | if users.is_empty() { 0 } else { 0o066 };
    let (configuration, plane) = (configuration.clone(), plane.clone());
    let listeners = listeners.clone();
    let reload = Arc::new(move || configuration.reload(&plane, &listeners));
    Ok(Options {
        state_dir,
        socket,
        mode,
        users,
        reload,
        upgrade,
        accepting: accepting.clone(),
        inherited: None,
    })
}

fn state_dir(settings: &Settings) -> Result<PathBuf, Failed> {
    paths::state_dir(settings.server.state_dir.as_deref())
        .ok_or_else(|| nowhere("journal", "--state-dir"))
}

fn nowhere(what: &str, flag: &str) -> Failed {
    let set = "set it, or $XDG_RUNTIME_DIR and $HOME";
    Failed::Usage(format!(
        "there is no place for the {what}: {flag} is not given; {set}"
    ))
}

fn metrics(
    plane: &Arc<Plane>,
    listeners: &Arc<Listeners>,
    connections: Connections,
    access_log: &AccessLog,
    swaps: Swaps,
) -> admin::Metrics {
    let (plane, access_log) = (plane.clone(), access_log.clone());
    let listeners = listeners.clone();
    Arc::new(move || {
        let survey = plane.survey().into_iter();
        let apps: Vec<_> = survey
            .map(|survey| {
                let traffic = plane.traffic(&survey.app.name);
                (survey, traffic)
            })
            .collect();
        let mut page = Page::default();
        page.apps(&apps);
        page.swaps(&swaps.counted());
        page.certificates(listeners.expiries());
        let addresses = join(&listeners.addresses(), " ");
        page.process(&addresses, connections.now(), access_log.dropped());
        page.finish()
    })
}

fn ready(listening: &[SocketAddr], handle: &Handle) {
    let listen = join(listening, ",");
    tracing::info!(%listen, pid = std::process::id(), "ready");
    handle.ready();
    service_manager::tell(&NotifyState::Ready);
}

fn join(addresses: &[SocketAddr], between: &str) -> String {
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    texts.join(between)
}
