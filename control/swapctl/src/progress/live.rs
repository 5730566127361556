//! A line that is drawn again and again in its place. It never wraps, and it leaves nothing behind.

use std::io::Write;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::line::Stand;
use crate::output::note;
use crate::words::{plain, span};

/// How often the seconds are drawn.
const TICK: Duration = Duration::from_millis(100);
/// To the beginning of the line, and everything behind it away.
const ERASE: &str = "\r\x1b[K";

/// A line that is drawn again and again.
#[derive(Debug)]
pub(crate) struct LiveLine {
    began: Instant,
    stand: Option<Stand>,
}

impl LiveLine {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            stand: None,
        }
    }

    pub(super) fn show(&mut self, stand: Stand) {
        self.stand = Some(stand);
        self.draw();
    }

    /// A line that stays, above the live one.
    pub(super) fn say(&mut self, text: &str) {
        write(ERASE);
        note(text);
        self.draw();
    }

    pub(super) async fn tick(&self) {
        loop {
            sleep(TICK).await;
            self.draw();
        }
    }

    pub(super) fn clear(&mut self) {
        if self.stand.take().is_some() {
            write(ERASE);
        }
    }

    fn draw(&self) {
        let Some(stand) = &self.stand else {
            return;
        };
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut line = format!("{stand} · {}", span(millis));
        if let Some(why) = &stand.probe {
            line.push_str(" · ");
            line.push_str(&plain(why).replace('\n', " "));
        }
        let fitting: String = line.chars().take(columns().saturating_sub(1)).collect();
        write(&format!("{ERASE}{fitting}"));
    }
}

/// In one piece, so that it does not flicker. If the terminal has gone, nobody looks.
fn write(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes());
    let _ = err.flush();
}

fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stderr());
    match size {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        Ok(_) | Err(_) => 80,
    }
}
