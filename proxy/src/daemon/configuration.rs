//! The configuration that is in force, and how another one takes its place: whole, or not at all.

use std::sync::{Arc, Mutex, PoisonError};

use holdfast_config::{Overrides, Settings, resolve_instance};
use holdfast_control::Reloaded;
use swap_core::Release;

use super::{Failed, usage};
use crate::cli;
use crate::listen::Front;
use crate::plane::Plane;
use crate::table;
use crate::tls::{Reread, Tls};

/// The id of a first release that is given as `--upstream`.
const INITIAL: &str = "initial";

/// What was typed, and what it means now.
pub(crate) struct Configuration {
    typed: cli::Run,
    now: Mutex<Settings>,
}

impl Configuration {
    /// Reads it for the first time. Warnings are printed.
    pub(crate) fn read(typed: cli::Run) -> Result<Self, Failed> {
        let now = Mutex::new(settings(&typed).map_err(usage)?);
        Ok(Self { typed, now })
    }

    pub(crate) fn now(&self) -> Settings {
        self.now
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads it anew, with the certificates of the running listeners, and gives it to the data plane.
    pub(crate) fn reload(&self, plane: &Plane, fronts: &[Arc<Front>]) -> Result<Reloaded, String> {
        let newer = settings(&self.typed)?;
        let tls = fronts.iter().filter_map(|front| front.tls.as_ref());
        let reread: Result<Vec<_>, _> = tls.map(Tls::look_again).collect();
        let reread = reread.map_err(|error| error.to_string())?;
        let apps = table::Settings::open_all(&newer.apps).map_err(|error| error.to_string())?;
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = now.changes(&newer);
        let line = |change: &holdfast_config::Change| {
            let late = if change.is_of_process() {
                " (after a restart)"
            } else {
                ""
            };
            format!("{change}{late}")
        };
        let lines: Vec<String> = changes.iter().map(line).collect();
        let diff = if lines.is_empty() {
            "nothing changed".to_owned()
        } else {
            lines.join("\n")
        };
        plane.configure(&apps);
        reread.into_iter().for_each(Reread::take_effect);
        tracing::info!("reloaded: {diff}");
        let apps = newer.apps.clone();
        *now = newer;
        Ok(Reloaded { apps, diff })
    }
}

fn settings(typed: &cli::Run) -> Result<Settings, String> {
    let cli::Run {
        config,
        listen,
        upstream,
        control,
        admin,
        state_dir,
        workers,
    } = typed;
    let overrides = Overrides {
        listen: listen.clone(),
        workers: *workers,
        state_dir: state_dir.clone(),
        socket: control.clone(),
        admin: *admin,
    };
    let mut settings = match config {
        Some(path) => {
            let checked = Settings::load_with(path, &overrides).map_err(|e| e.to_string())?;
            if !checked.warnings.is_empty() {
                tracing::warn!("{}", checked.warnings);
            }
            checked.settings
        }
        None if listen.is_empty() => {
            return Err("nothing to listen on: give --listen 127.0.0.1:8080, or --config".into());
        }
        None => overrides.apply(Settings::without_file(listen.clone())),
    };
    if !upstream.is_empty() {
        first_release(&mut settings, upstream)?;
    }
    Ok(settings)
}

/// `--upstream` is the first release of the only app.
fn first_release(settings: &mut Settings, upstream: &[String]) -> Result<(), String> {
    let mut apps = settings.apps.values_mut();
    let (Some(app), None) = (apps.next(), apps.next()) else {
        return Err(
            "--upstream: the configuration has several apps; give each its `release`".into(),
        );
    };
    let mut instances = Vec::new();
    for text in upstream {
        let resolved = resolve_instance(text).map_err(|error| format!("--upstream: {error}"))?;
        if !instances.contains(&resolved.address) {
            instances.push(resolved.address);
        }
    }
    let id = INITIAL.parse().map_err(|error| format!("{error}"))?;
    app.release = Some(Release { id, instances });
    Ok(())
}
