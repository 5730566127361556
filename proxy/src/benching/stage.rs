//! Apps and tables as the data plane publishes them, without a data plane.

use std::sync::Arc;

use swap_core::{GateId, Release};
use swap_gate::{Bounds, Rate};

use crate::counters::PerWorker;
use crate::release::LiveRelease;
use crate::route::Routes;
use crate::table::{App, Door, Settings, Table};
use crate::testing::app_settings;

/// The only one there is.
pub(super) const WORKER: usize = 0;

/// An app for these hosts and path prefixes.
pub(super) fn settings(hosts: &[String], paths: &[String]) -> holdfast_config::App {
    holdfast_config::App {
        hosts: hosts.to_vec(),
        paths: paths.to_vec(),
        ..app_settings()
    }
}

/// A table of these apps; each has a release of so many instances.
pub(super) fn table(apps: &[holdfast_config::App], instances: u16) -> Table {
    let routes = Arc::new(Routes::new(apps));
    let apps = apps.iter().enumerate();
    let apps = apps.map(|(number, config)| Arc::new(app(number, config, instances)));
    Table {
        apps: apps.collect(),
        routes,
    }
}

fn app(number: usize, config: &holdfast_config::App, instances: u16) -> App {
    let hold = &config.hold;
    let bounds = Bounds {
        max_requests: hold.max_requests,
        max_bytes: hold.max_bytes,
        max_wait: hold.max_wait,
        max_per_client: hold.max_requests,
        rate: Rate::Auto,
    };
    let addresses = (3001..3001 + instances).map(|port| format!("127.0.0.1:{port}"));
    let release = Release {
        id: "9f3c1a2".parse().expect("the id of a release"),
        instances: addresses
            .map(|address| address.parse().expect("an address"))
            .collect(),
    };
    let counters = Arc::new(PerWorker::new(WORKER + 1));
    let live = LiveRelease::new(release, GateId(1), WORKER + 1, counters);
    App {
        name: format!("app{number}").parse().expect("the name of an app"),
        settings: Arc::new(Settings::open(config).expect("settings that name no file")),
        door: Door::new(bounds, || {}),
        live: Some(Arc::new(live)),
        epoch: 1,
        split: None,
        counters: Arc::new(PerWorker::new(WORKER + 1)),
    }
}
