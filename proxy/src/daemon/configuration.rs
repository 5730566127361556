//! The configuration that is in force, and how another one takes its place: whole, or not at all.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use holdfast_config::{Overrides, Settings, resolve_instance};
use holdfast_control::Reloaded;
use swap_core::Release;

use super::{Failed, usage};
use crate::cli;
use crate::listeners::Listeners;
use crate::plane::Plane;
use crate::table;

/// The id of a first release that is given as `--upstream`.
const INITIAL: &str = "initial";

/// What was typed, and what it means now.
pub(crate) struct Configuration {
    typed: cli::Run,
    now: Mutex<Settings>,
    /// Names for which certificates are kept up, as long as this process lives.
    ordered: BTreeSet<String>,
}

impl Configuration {
    /// Reads it for the first time. Warnings are printed.
    pub(crate) fn read(typed: cli::Run) -> Result<Self, Failed> {
        let now = settings(&typed).map_err(usage)?;
        Ok(Self {
            typed,
            ordered: acme_names(&now),
            now: Mutex::new(now),
        })
    }

    pub(crate) fn now(&self) -> Settings {
        self.now
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads it anew, with the certificates of the listeners, and puts it in force.
    pub(crate) fn reload(&self, plane: &Plane, listeners: &Listeners) -> Result<Reloaded, String> {
        let newer = settings(&self.typed)?;
        let apps = table::Settings::open_all(&newer.apps).map_err(|error| error.to_string())?;
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        self.nothing_to_order(&newer)?;
        let listening = listeners.prepare(&now, &newer, plane.mail());
        let listening = listening.map_err(|error| error.to_string())?;
        let changes = now.changes(&newer);
        let line = |change: &holdfast_config::Change| {
            let late = if change.is_of_process() {
                " (after an upgrade or a restart)"
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
        listeners.take_effect(listening);
        tracing::info!("reloaded: {diff}");
        let apps = newer.apps.clone();
        *now = newer;
        Ok(Reloaded { apps, diff })
    }

    /// Certificates are ordered for the names that were known when this process began: a listener with another name would
    /// have none.
    fn nothing_to_order(&self, newer: &Settings) -> Result<(), String> {
        let names = acme_names(newer);
        let new: Vec<&str> = names
            .difference(&self.ordered)
            .map(String::as_str)
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        Err(format!(
            "listen: acme: a reload orders no certificates, and {} is new: upgrade or restart the daemon",
            new.join(", ")
        ))
    }
}

fn acme_names(settings: &Settings) -> BTreeSet<String> {
    let tls = settings.listen.iter().filter_map(|it| it.tls.as_ref());
    tls.flat_map(|tls| tls.acme.iter().cloned()).collect()
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
