//! The steps that rest on the table: it is read, the app is found in it, and a release of that app is pinned.

use std::time::Duration;

use http::Method;

use super::stage::{self, WORKER};
use crate::lease::pick;
use crate::route::{Routed, route};
use crate::table::{Published, Reader, Snapshot};
use crate::testing::app_settings;

/// A published table, and the reader of a worker.
pub struct Tables {
    published: Published,
    reader: Reader,
}

impl Tables {
    /// A table of one app is published.
    pub fn of_one_app() -> Self {
        let published = Published::new(stage::table(&[app_settings()], 1));
        let reader = published.reader();
        Self { published, reader }
    }

    /// Publishes another.
    pub fn publish(&self) {
        self.published.publish(stage::table(&[app_settings()], 1));
    }

    /// The snapshot that a request uses.
    pub fn load(&self) -> impl Sized + use<> {
        self.reader.load()
    }
}

/// A table whose apps differ in hosts and paths.
pub struct Routing(Snapshot);

impl Routing {
    /// With an app for each of these: its hosts (none: every host) and its path prefixes.
    pub fn of(apps: &[(Vec<String>, Vec<String>)]) -> Self {
        let settings = apps
            .iter()
            .map(|(hosts, paths)| stage::settings(hosts, paths));
        let settings: Vec<_> = settings.collect();
        Self(Published::new(stage::table(&settings, 1)).reader().load())
    }

    /// The app that takes a request; none if no app does.
    pub fn find(&self, host: &str, path: &str) -> Option<impl Sized + use<>> {
        route(self.0.clone(), host, path)
    }
}

/// An app with a release, to which a request has been routed.
pub struct Picking(Routed);

impl Picking {
    /// Its release has so many instances, all of them up.
    pub fn among(instances: u16) -> Self {
        let table = Published::new(stage::table(&[app_settings()], instances));
        let routed = route(table.reader().load(), "shop.example.com", "/");
        Self(routed.expect("the app takes every host"))
    }

    /// A GET's lease on the release, and the instance that it chose; its drop is the end of the request.
    pub fn pick(&self) -> Option<impl Sized + use<>> {
        let lease = pick(self.0.clone(), None, WORKER, &Method::GET)
            .ok()
            .flatten()?;
        let instance = lease.choose(&[], Duration::ZERO)?;
        Some((lease, instance))
    }
}
