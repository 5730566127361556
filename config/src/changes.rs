//! What differs between two configurations, key by key: what a reload says it has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::written::{key_of, lines};
use crate::{Cohort, Settings, Sign};

/// What is shown instead of a secret.
const HIDDEN: &str = "(not shown)";

/// One key that means something else than before. Secrets are not in it. `Display` shows it in one line: `app.web.hold.max_wait: "30s" → "1m"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `app.web.hold.max_wait`, or `app.web` for an app that is new or gone.
    pub key: String,
    /// What it was, as it would be written; `None`: nothing. The same as `to` if only a secret has changed.
    pub from: Option<String>,
    /// What it is; `None`: nothing.
    pub to: Option<String>,
}

impl Change {
    /// Whether it counts only in another process: neither of an app, nor of what clients meet at a listener.
    pub fn is_of_process(&self) -> bool {
        let key = self.key.as_str();
        let of_clients = key.starts_with("limits.") && key != "limits.connections";
        let of_listeners = key == "listen" || key == "server.trusted" || of_clients;
        !key.starts_with("app.") && !of_listeners
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, from, to } = self;
        if from == to {
            return write!(f, "{key}: another secret");
        }
        let or_nothing = |value: &Option<String>| value.clone().unwrap_or("nothing".to_owned());
        write!(f, "{key}: {} → {}", or_nothing(from), or_nothing(to))
    }
}

impl Settings {
    /// What is different in `newer`, in the order of the keys; an app that is new or gone is one change.
    pub fn changes(&self, newer: &Self) -> Vec<Change> {
        let (before, after) = (self.compared_with(newer), newer.compared_with(self));
        let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let changed = |key: &&String| before.get(*key) != after.get(*key);
        let (old, new) = (self.without_secrets(), newer.without_secrets());
        let (from, to) = (old.compared_with(&new), new.compared_with(&old));
        let changes = keys.into_iter().filter(changed).map(|key| Change {
            key: key.clone(),
            from: from.get(key).cloned(),
            to: to.get(key).cloned(),
        });
        changes.collect()
    }

    /// What may be shown: the same, with a placeholder for every secret.
    fn without_secrets(&self) -> Self {
        let mut shown = self.clone();
        let cohorts = shown.apps.values_mut().flat_map(|app| &mut app.cohorts);
        for Cohort { name: _, sign } in cohorts {
            match sign {
                Sign::Header { name: _, value } | Sign::Cookie { name: _, value } => {
                    HIDDEN.clone_into(value);
                }
                Sign::Clients(_) => {}
            }
        }
        shown
    }

    /// Every key with its value; of an app that `other` has not, only that it is there.
    fn compared_with(&self, other: &Self) -> BTreeMap<String, String> {
        let mut common = self.clone();
        common.apps.retain(|name, _| other.apps.contains_key(name));
        let alone = self
            .apps
            .keys()
            .filter(|name| !other.apps.contains_key(*name));
        let alone = alone.map(|name| (key_of(name), "an app".to_owned()));
        lines(&common).into_iter().chain(alone).collect()
    }
}
