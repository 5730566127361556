//! A control plane that runs in a thread with a runtime of its own, so that it can be stopped and started again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use holdfast_config::{App, Canary, Hold, Probe, ResumeRate, Timeouts, Upstream};
use holdfast_control::{ControlPlane, Options, Reloaded};
use swap_core::{AppName, Release};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{Client, FakePlane};

pub(crate) type Apps = BTreeMap<AppName, App>;

/// Where daemons live, one after the other.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
    pub(crate) users: Vec<String>,
    pub(crate) mode: u32,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            users: Vec::new(),
            mode: 0o600,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.state().join("journal")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join("control.sock")
    }

    /// Starts a daemon with one app, `web`, whose first release is `r0` at this address.
    pub(crate) fn start(&self, first: &str) -> Daemon {
        self.try_start(config(first)).unwrap()
    }

    pub(crate) fn try_start(&self, apps: Apps) -> Result<Daemon, String> {
        let next_apps = Arc::new(Mutex::new(Ok(apps.clone())));
        let (plane, signals) = FakePlane::new();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        let options = Options {
            state_dir: self.state(),
            socket: self.socket(),
            mode: self.mode,
            users: self.users.clone(),
            reload: reload_hook(next_apps.clone()),
            upgrade: Arc::new(|_| Box::pin(async { Err("not here".to_owned()) })),
            accepting: holdfast_control::Accepting::new(true),
            inherited: None,
        };
        let its_plane = plane.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let control = match ControlPlane::open(options) {
                    Ok(control) => control,
                    Err(error) => return tell.send(Err(error.to_string())).unwrap(),
                };
                let handle = control.start(apps, its_plane, signals).await.unwrap();
                handle.ready();
                tell.send(Ok(())).unwrap();
                let _ = stopped.await;
            });
        });
        let socket = self.socket();
        told.recv().unwrap().map(|()| Daemon {
            plane,
            client: Client::new(&socket),
            next_apps,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

type NextApps = Arc<Mutex<Result<Apps, String>>>;

fn reload_hook(next: NextApps) -> holdfast_control::ReloadHook {
    Arc::new(move || {
        let apps = next.lock().unwrap().clone()?;
        let diff = "as told".to_owned();
        Ok(Reloaded { apps, diff })
    })
}

/// A running control plane. It stops when it is dropped.
pub(crate) struct Daemon {
    pub(crate) plane: Arc<FakePlane>,
    pub(crate) client: Client,
    /// What the next reload reads.
    pub(crate) next_apps: NextApps,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                std::thread::panicking() || ended.is_ok(),
                "the daemon panicked"
            );
        }
    }
}

/// One app, `web`, whose first release is `r0` at this address.
pub(crate) fn config(first: &str) -> Apps {
    let release = Release {
        id: "r0".parse().unwrap(),
        instances: vec![first.parse().unwrap()],
    };
    config_of("web", Some(release))
}

pub(crate) fn config_of(name: &str, release: Option<Release>) -> Apps {
    let app = App {
        hosts: Vec::new(),
        paths: vec!["/".to_owned()],
        strip_prefix: false,
        release_header: None,
        release,
        upstream: Upstream::default(),
        probe: Probe {
            path: "/up".to_owned(),
            grpc: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            passes: 1,
        },
        hold: Hold {
            max_requests: 100,
            max_bytes: 1 << 20,
            max_wait: Duration::from_secs(30),
            max_share: 1.0,
            when_down: true,
            resume_rate: ResumeRate::Auto,
            answer_probes: true,
        },
        timeouts: Timeouts {
            boot: Duration::from_secs(60),
            drain: Duration::from_secs(30),
            drain_held: Duration::from_secs(5),
            connect: Duration::from_secs(2),
            response: Duration::from_secs(60),
        },
        canary: Canary::default(),
        cohorts: Vec::new(),
        affinity: Duration::ZERO,
    };
    Apps::from([(name.parse().unwrap(), app)])
}
