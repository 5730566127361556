//! When a daemon dies, and all the moments of a play gone through.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use tokio::sync::Semaphore;

/// So many daemons are there at once.
const AT_ONCE: usize = 4;

/// A point, and which pass over it.
#[derive(Clone)]
pub(crate) struct Moment {
    pub(crate) point: String,
    pass: u64,
    /// The first one of its play: it comes whatever else is going on. How often some events are seen depends on others.
    pub(crate) is_first: bool,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.point, self.pass)
    }
}

impl Moment {
    /// The passes that came after these, at most so many of each point.
    pub(crate) fn all_after(
        before: &BTreeMap<String, u64>,
        passes: &BTreeMap<String, u64>,
        max: impl Fn(&str) -> u64,
    ) -> Vec<Self> {
        let mut all = Vec::new();
        for (point, passes) in passes {
            let before = before.get(point).copied().unwrap_or_default();
            let last = (*passes).min(before.saturating_add(max(point)));
            all.extend((before + 1..=last).map(|pass| Self {
                point: point.clone(),
                pass,
                is_first: pass == before + 1,
            }));
        }
        all
    }
}

/// Goes through these, a few at a time. Says all that went wrong.
pub(crate) async fn go_through(
    what: &str,
    moments: Vec<Moment>,
    check: impl AsyncFn(Moment) + 'static,
) {
    assert!(!moments.is_empty(), "{what} comes by no point");
    let (places, check) = (Rc::new(Semaphore::new(AT_ONCE)), Rc::new(check));
    let wrong = Rc::new(RefCell::new(Vec::new()));
    let all = moments.len();
    let mut running = Vec::new();
    for moment in moments {
        let (places, check, wrong) = (places.clone(), check.clone(), wrong.clone());
        running.push(tokio::task::spawn_local(async move {
            let _place = places.acquire().await.unwrap();
            let told = moment.to_string();
            let checked = tokio::task::spawn_local(async move { check(moment).await });
            if let Err(error) = checked.await {
                wrong.borrow_mut().push(format!("{told}: {error}"));
            }
        }));
    }
    for one in running {
        one.await.unwrap();
    }
    let wrong = wrong.borrow();
    let good = all - wrong.len();
    eprintln!("{what}: {good} of {all}");
    let wrong = wrong.join("\n");
    assert!(wrong.is_empty(), "{what}: {good} of {all}\n{wrong}");
}
