//! Errors of releases beside the live one, as events. Not too many: whoever follows them is a person.

use std::collections::BTreeMap;
use std::time::Duration;

use swap_core::AppName;
use tokio::time::{Instant, sleep_until};

use crate::events::Events;
use crate::plane::{Mishap, Mishaps};
use crate::wire::What;

/// So many are told of an app within a [`WINDOW`].
const TOLD_MAX: u32 = 20;
const WINDOW: Duration = Duration::from_secs(1);

/// Tells them for as long as there is a data plane.
pub(crate) async fn tell(mut mishaps: Mishaps, events: Events) {
    let mut windows = Windows::default();
    let mut dropped = 0;
    loop {
        let next = match windows.next_end() {
            Some(end) => tokio::select! {
                biased;
                () = sleep_until(end) => {
                    windows.end(Instant::now(), &events);
                    let now = mishaps.dropped();
                    if now > dropped {
                        let count = now - dropped;
                        events.tell(None, None, What::Suppressed { count });
                        dropped = now;
                    }
                    continue;
                }
                next = mishaps.next() => next,
            },
            None => mishaps.next().await,
        };
        let Some(mishap) = next else {
            return;
        };
        if windows.has_room(&mishap.app) {
            let app = mishap.app.clone();
            events.tell(Some(&app), None, what(mishap));
        }
    }
}

fn what(mishap: Mishap) -> What {
    let Mishap {
        app: _,
        arm,
        release,
        instance,
        method,
        path,
        status,
        reason,
        request_id,
    } = mishap;
    What::Mishap {
        arm,
        release,
        instance,
        method,
        path,
        status,
        reason: reason.map(str::to_owned),
        request_id,
    }
}

/// What was told of each app within the present second. Apps without a mishap have none.
#[derive(Debug, Default)]
struct Windows(BTreeMap<AppName, Window>);

#[derive(Debug)]
struct Window {
    until: Instant,
    told: u32,
    suppressed: u64,
}

impl Windows {
    /// Whether one more may be told. One that may not is counted.
    fn has_room(&mut self, app: &AppName) -> bool {
        let window = self.0.entry(app.clone()).or_insert_with(|| Window {
            until: Instant::now() + WINDOW,
            told: 0,
            suppressed: 0,
        });
        if window.told < TOLD_MAX {
            window.told += 1;
            return true;
        }
        window.suppressed += 1;
        false
    }

    fn next_end(&self) -> Option<Instant> {
        self.0.values().map(|window| window.until).min()
    }

    /// Ends those whose time has come.
    fn end(&mut self, now: Instant, events: &Events) {
        self.0.retain(|app, window| {
            let lasts = window.until > now;
            let count = window.suppressed;
            if !lasts && count > 0 {
                events.tell(Some(app), None, What::Suppressed { count });
            }
            lasts
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plane::mishaps;

    fn mishap(number: usize) -> Mishap {
        Mishap {
            app: "web".parse().unwrap(),
            arm: Some("canary".parse().unwrap()),
            release: "9f3c1a2".parse().unwrap(),
            instance: Some("127.0.0.1:3001".parse().unwrap()),
            method: "GET".into(),
            path: format!("/{number}"),
            status: Some(500),
            reason: None,
            request_id: "id".into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_of_a_second_is_counted() {
        let (teller, mishaps) = mishaps();
        let events = Events::new();
        let mut heard = events.subscribe();
        tokio::spawn(tell(mishaps, events));
        (0..50).for_each(|number| teller.tell(|| mishap(number)));
        for number in 0..20 {
            let event = heard.live.recv().await.unwrap();
            assert!(
                matches!(&event.what, What::Mishap { path, .. } if *path == format!("/{number}")),
                "{event:?}"
            );
        }
        let event = heard.live.recv().await.unwrap();
        assert_eq!(event.what, What::Suppressed { count: 30 });
        teller.tell(|| mishap(50));
        let event = heard.live.recv().await.unwrap();
        assert!(matches!(event.what, What::Mishap { .. }), "{event:?}");
    }
}
