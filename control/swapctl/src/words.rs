//! How figures and foreign texts are written for people.

use std::borrow::Cow;
use std::fmt;

use anstyle::{AnsiColor, Style};

pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const ODD: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();
pub(crate) const NAME: Style = Style::new().bold();

/// A text in a style. Whoever writes to something that is no terminal loses the style, not the text.
pub(crate) struct Styled<T>(pub(crate) Style, pub(crate) T);

impl<T: fmt::Display> fmt::Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(style, text) = self;
        write!(f, "{style}{text}{style:#}")
    }
}

/// A length of time: `12 ms`, `2.4 s`, `1m30s`.
pub(crate) fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        // To tenths, rounded down: 59.99 s is not 60.0 s.
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => {
            let whole = std::time::Duration::from_secs(ms / 1_000);
            swap_core::duration::text(whole).to_string()
        }
    }
}

/// A number of bytes: `512 B`, `1.2 MiB`.
pub(crate) fn octets(n: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, size) in UNITS {
        if n >= size {
            return format!("{}.{} {unit}", n / size, n % size * 10 / size);
        }
    }
    format!("{n} B")
}

/// A text that somebody else wrote, such as a reason: whatever could command the terminal is shown instead.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let commands = |c: char| c.is_control() && c != '\n';
    if !text.contains(commands) {
        return text.into();
    }
    let shown = |c: char| {
        if commands(c) {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(shown).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_never_rounded_up() {
        let written = [0, 12, 999, 1_000, 2_412, 59_999, 60_000, 90_999, 3_600_000].map(span);
        let meant = [
            "0 ms", "12 ms", "999 ms", "1.0 s", "2.4 s", "59.9 s", "1m", "1m30s", "1h",
        ];
        assert_eq!(written, meant);
    }

    #[test]
    fn octets_have_binary_units() {
        let written = [0, 1_023, 1_024, 1_536, 67_108_864, 3 << 30].map(octets);
        let meant = ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "64.0 MiB", "3.0 GiB"];
        assert_eq!(written, meant);
    }

    #[test]
    fn a_foreign_text_cannot_command_the_terminal() {
        assert_eq!(plain("\x1b[2Jgone\r\u{9b}1m"), "\\u{1b}[2Jgone\\r\\u{9b}1m");
        assert_eq!(plain("two\nlines – fine"), "two\nlines – fine");
    }
}
