//! No host and path may lead to two apps, or twice to one.

use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;

use crate::report::Finding;
use crate::table::Sink;

/// Where every app is reached.
#[derive(Debug, Default)]
pub(super) struct Routes<'t> {
    routes: Vec<Route<'t>>,
}

#[derive(Debug)]
struct Route<'t> {
    app: &'t str,
    /// `None`: every host.
    host: Option<String>,
    path: String,
    place: Range<usize>,
}

impl<'t> Routes<'t> {
    /// The routes of one app. Defaults have an empty place; `table` is where they come from then.
    pub(super) fn add(
        &mut self,
        app: &'t str,
        table: Option<Range<usize>>,
        hosts: &[Spanned<String>],
        paths: &[Spanned<String>],
    ) {
        let every_host = [None];
        let named: Vec<_> = hosts.iter().map(Some).collect();
        let hosts: &[Option<&Spanned<String>>] = if named.is_empty() {
            &every_host
        } else {
            &named
        };
        for host in hosts {
            for path in paths {
                let places = [host.map(Spanned::span), Some(path.span()), table.clone()];
                let given = places.into_iter().flatten().find(|place| !place.is_empty());
                self.routes.push(Route {
                    app,
                    host: host.map(|host| host.get_ref().clone()),
                    path: path.get_ref().clone(),
                    place: given.unwrap_or(0..0),
                });
            }
        }
    }

    /// Reports the later one of every two that are the same, once for a place.
    pub(super) fn refuse_doubles(mut self, sink: &Sink) {
        if sink.is_incomplete() {
            // An app without hosts may have some in the part that could not be read.
            self.routes.retain(|route| route.host.is_some());
        }
        self.routes.sort_by_key(|route| route.place.start);
        let mut first: HashMap<(&Option<String>, &str), &Route<'_>> = HashMap::new();
        let mut said = None;
        for route in &self.routes {
            let earlier = *first.entry((&route.host, &route.path)).or_insert(route);
            if !std::ptr::eq(earlier, route) && said != Some(&route.place) {
                said = Some(&route.place);
                sink.error(double(route, earlier));
            }
        }
    }
}

fn double(route: &Route<'_>, earlier: &Route<'_>) -> Finding {
    let host = route.host.as_deref().unwrap_or("every host");
    let (path, app) = (&route.path, earlier.app);
    let hint = if route.app == earlier.app {
        "once is enough"
    } else {
        "give one of them other hosts or paths"
    };
    Finding {
        place: Some(route.place.clone()),
        message: format!("{host} with path `{path}` leads to app `{app}` already"),
        example: None,
        hint: Some(hint.to_owned()),
    }
}
