//! route: which app takes a request, and under which snapshot.

use std::collections::HashMap;
use std::sync::Arc;

use crate::table::{App, Snapshot};

/// The app that takes a request, and the one snapshot that this request uses for all its decisions.
#[derive(Clone)]
pub(crate) struct Routed {
    table: Snapshot,
    index: usize,
}

impl Routed {
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.table.apps[self.index]
    }
}

/// Finds the app for a host (lower case, without a port) and a path.
pub(crate) fn route(table: Snapshot, host: &str, path: &str) -> Option<Routed> {
    let index = table.routes.find(host, path)?.app;
    Some(Routed { table, index })
}

/// Hosts and path prefixes of all apps. An exact host wins over a wildcard, a longer wildcard over a shorter, any of
/// them over "every host"; within a host the longest prefix wins. Where none of a host's prefixes matches, the next
/// less exact host is asked.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    exact: HashMap<Box<str>, Prefixes>,
    /// By what follows the `*.`.
    wildcard: HashMap<Box<str>, Prefixes>,
    every_host: Prefixes,
}

type Prefixes = Vec<Target>;

/// Where a prefix leads.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Without the trailing slash; empty for `/`.
    prefix: Box<str>,
    /// Index in the table.
    app: usize,
}

impl Routes {
    /// The routes of `apps`, which are in the table's order.
    pub(crate) fn new<'a>(apps: impl IntoIterator<Item = &'a holdfast_config::App>) -> Self {
        let mut routes = Self::default();
        for (index, app) in apps.into_iter().enumerate() {
            for path in &app.paths {
                routes.add(&app.hosts, path, index);
            }
        }
        routes.sort();
        routes
    }

    fn add(&mut self, hosts: &[String], path: &str, app: usize) {
        let target = Target {
            prefix: path.trim_end_matches('/').into(),
            app,
        };
        if hosts.is_empty() {
            self.every_host.push(target.clone());
        }
        for host in hosts {
            let prefixes = match host.strip_prefix("*.") {
                Some(suffix) => self.wildcard.entry(suffix.into()).or_default(),
                None => self.exact.entry(host.as_str().into()).or_default(),
            };
            prefixes.push(target.clone());
        }
    }

    fn sort(&mut self) {
        let all = self.exact.values_mut().chain(self.wildcard.values_mut());
        for prefixes in all.chain([&mut self.every_host]) {
            prefixes.sort_by_key(|target| std::cmp::Reverse(target.prefix.len()));
        }
    }

    fn find(&self, host: &str, path: &str) -> Option<&Target> {
        let exact = self
            .exact
            .get(host)
            .and_then(|prefixes| longest(prefixes, path));
        exact
            .or_else(|| self.find_wildcard(host, path))
            .or_else(|| longest(&self.every_host, path))
    }

    fn find_wildcard(&self, host: &str, path: &str) -> Option<&Target> {
        // Most have none, and each dot is looked for otherwise.
        if self.wildcard.is_empty() {
            return None;
        }
        let mut rest = host;
        while let Some((_, suffix)) = rest.split_once('.') {
            let prefixes = self.wildcard.get(suffix);
            if let Some(target) = prefixes.and_then(|prefixes| longest(prefixes, path)) {
                return Some(target);
            }
            rest = suffix;
        }
        None
    }
}

/// The longest prefix that matches on whole segments: `/api` takes `/api` and `/api/x`, not `/apix`.
fn longest<'a>(prefixes: &'a [Target], path: &str) -> Option<&'a Target> {
    prefixes
        .iter()
        .find(|target| match path.strip_prefix(&*target.prefix) {
            Some(rest) => rest.is_empty() || rest.starts_with('/') || target.prefix.is_empty(),
            None => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(list: &[(&[&str], &[&str])]) -> Routes {
        let apps: Vec<_> = list
            .iter()
            .map(|(hosts, paths)| {
                let mut app = crate::testing::app_settings();
                app.hosts = hosts.iter().map(ToString::to_string).collect();
                app.paths = paths.iter().map(ToString::to_string).collect();
                app
            })
            .collect();
        Routes::new(&apps)
    }

    fn found(routes: &Routes, host: &str, path: &str) -> Option<usize> {
        routes.find(host, path).map(|target| target.app)
    }

    #[test]
    fn the_longest_prefix_wins_on_whole_segments() {
        let routes = routes(&[(&[], &["/"]), (&[], &["/api"]), (&[], &["/api/v2/"])]);
        for (path, app) in [
            ("/", 0),
            ("/apix", 0),
            ("/api", 1),
            ("/api/v1", 1),
            ("/api/v2", 2),
        ] {
            assert_eq!(found(&routes, "any", path), Some(app), "{path}");
        }
        assert_eq!(
            found(&routes, "any", "*"),
            Some(0),
            "OPTIONS * goes to the root"
        );
    }

    #[test]
    fn an_exact_host_wins_over_a_wildcard_over_every_host() {
        let routes = routes(&[
            (&[], &["/"]),
            (&["*.example.com"], &["/"]),
            (&["*.shop.example.com"], &["/"]),
            (&["www.example.com"], &["/only"]),
        ]);
        assert_eq!(found(&routes, "example.com", "/"), Some(0));
        assert_eq!(found(&routes, "a.example.com", "/"), Some(1));
        assert_eq!(found(&routes, "a.b.example.com", "/"), Some(1));
        assert_eq!(found(&routes, "x.shop.example.com", "/"), Some(2));
        assert_eq!(found(&routes, "www.example.com", "/only/x"), Some(3));
        assert_eq!(
            found(&routes, "www.example.com", "/"),
            Some(1),
            "falls back to the wildcard"
        );
    }

    #[test]
    fn no_app_takes_a_foreign_host() {
        assert_eq!(
            found(&routes(&[(&["a.test"], &["/"])]), "b.test", "/"),
            None
        );
    }
}
