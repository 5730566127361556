//! A worker's pages of the access log.

use std::cell::RefCell;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::{AccessLog, Ended, Line};

/// A page is full.
const PAGE_BYTES: usize = 32 << 10;
/// No line is kept back for longer.
const PAGE_AGE_MAX: Duration = Duration::from_millis(100);

/// What one worker writes, a page at a time.
pub(crate) struct Book {
    log: AccessLog,
    page: RefCell<Page>,
    /// A page has its first line.
    begun: Notify,
}

#[derive(Default)]
struct Page {
    text: Vec<u8>,
    lines: u64,
    second: Second,
}

/// The last second of which a line was written, as text: the same for all the lines of it.
#[derive(Default)]
struct Second {
    since_epoch: i64,
    text: String,
}

impl Book {
    pub(crate) fn new(log: AccessLog) -> Self {
        Self {
            log,
            page: RefCell::default(),
            begun: Notify::new(),
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.log.is_on()
    }

    /// Writes the line of a request that has ended.
    pub(crate) fn write(&self, line: &Line, ended: &Ended<'_>) {
        let mut page = self.page.borrow_mut();
        if page.lines == 0 {
            self.begun.notify_one();
        }
        page.write(line, ended);
        if page.text.len() >= PAGE_BYTES {
            page.hand_over(&self.log);
        }
    }

    /// Hands over what has been on a page for long enough. To be run beside the worker's connections.
    pub(crate) async fn keep(&self) {
        loop {
            self.begun.notified().await;
            tokio::time::sleep(PAGE_AGE_MAX).await;
            self.page.borrow_mut().hand_over(&self.log);
        }
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        self.page.borrow_mut().hand_over(&self.log);
    }
}

impl Page {
    fn write(&mut self, line: &Line, ended: &Ended<'_>) {
        let now = Timestamp::now();
        let (second, microsecond) = (now.as_second(), now.subsec_microsecond());
        let at = self.second.text(second);
        if self.text.capacity() == 0 {
            self.text.reserve(PAGE_BYTES + PAGE_BYTES / 16);
        }
        line.end(&mut self.text, at, microsecond.unsigned_abs(), ended);
        self.lines += 1;
    }

    fn hand_over(&mut self, log: &AccessLog) {
        let (page, lines) = (
            std::mem::take(&mut self.text),
            std::mem::take(&mut self.lines),
        );
        if lines > 0 {
            log.take(page, lines);
        }
    }
}

impl Second {
    /// `2026-11-21T19:40:08`
    fn text(&mut self, since_epoch: i64) -> &str {
        if self.since_epoch != since_epoch || self.text.is_empty() {
            let second = Timestamp::from_second(since_epoch).unwrap_or_default();
            self.since_epoch = since_epoch;
            self.text = second.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_second_changes_with_it() {
        let mut second = Second::default();
        assert_eq!(second.text(0), "1970-01-01T00:00:00");
        assert_eq!(second.text(1_795_290_008), "2026-11-21T19:40:08");
        assert_eq!(second.text(1_795_290_008), "2026-11-21T19:40:08");
    }
}
