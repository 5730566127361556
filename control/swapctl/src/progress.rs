//! What an operation is doing, on standard error: one live line on a terminal, one line an event elsewhere.

mod line;
mod live;

use std::io::IsTerminal;

use holdfast_control::wire::What;

use crate::output::note;
use crate::words::plain;
use line::Stand;
use live::LiveLine;

/// Shows progress.
#[derive(Debug)]
pub(crate) enum Progress {
    Live(LiveLine),
    Lines(Lines),
}

/// One line an event.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    probe: Option<String>,
}

impl Progress {
    /// As standard error allows it.
    pub(crate) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if std::io::stderr().is_terminal() && !dumb {
            Self::Live(LiveLine::new())
        } else {
            Self::Lines(Lines::default())
        }
    }

    /// Shows an event.
    pub(crate) fn show(&mut self, what: &What) {
        if let Some(news) = line::news(what) {
            match self {
                Self::Live(live) => live.say(&news),
                Self::Lines(_) => note(&news),
            }
        }
        let Some(stand) = Stand::of(what) else {
            return;
        };
        match self {
            Self::Live(live) => live.show(stand),
            Self::Lines(lines) => lines.show(&stand, what),
        }
    }

    /// Keeps the seconds going. Never ends; cancel-safe.
    pub(crate) async fn tick(&mut self) {
        match self {
            Self::Live(live) => live.tick().await,
            Self::Lines(_) => std::future::pending().await,
        }
    }

    /// The terminal belongs to somebody else until the next event.
    pub(crate) fn clear(&mut self) {
        match self {
            Self::Live(live) => live.clear(),
            Self::Lines(_) => {}
        }
    }
}

impl Lines {
    /// Each phase; and why it is not over, whenever that changes. Counts that come twice a second would fill a log, and so
    /// would a judge's sentences about them.
    fn show(&mut self, stand: &Stand, what: &What) {
        if matches!(what, What::Phase { .. }) {
            note(&stand.to_string());
        }
        let is_news = stand.probe.is_some() && stand.probe != self.probe;
        if is_news && !stand.is_of_canary() {
            self.probe.clone_from(&stand.probe);
            let why = stand.probe.as_deref().unwrap_or_default();
            note(&format!("{}: {}", stand.phase, plain(why)));
        }
    }
}
