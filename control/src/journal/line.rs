//! One line of the journal: `CHECKSUM JSON`. What is read back is exactly what was written, or it is not a line.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The format that is written. Every older one is read for ever.
pub(super) const FORMAT: u32 = 1;

/// What every line has, so that a newer format is known before anything else of it is looked at.
#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// Why a line cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is not what was written.
    Broken(String),
    /// It is whole, and in a format that this version does not know.
    Newer(u32),
}

/// The line for `value`, with its newline.
pub(super) fn write(value: &impl Serialize) -> serde_json::Result<String> {
    let json = serde_json::to_string(value)?;
    Ok(format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())))
}

/// The value of a line without its newline.
pub(super) fn read<T: DeserializeOwned>(line: &[u8]) -> Result<T, Unreadable> {
    let broken = |why: &str| Unreadable::Broken(why.to_owned());
    let text = str::from_utf8(line).map_err(|_| broken("it is not UTF-8"))?;
    let (sum, json) = text
        .split_once(' ')
        .ok_or_else(|| broken("it has no checksum"))?;
    if u32::from_str_radix(sum, 16) != Ok(crc32fast::hash(json.as_bytes())) {
        return Err(broken("its checksum is wrong"));
    }
    let unlike = |error: serde_json::Error| Unreadable::Broken(error.to_string());
    let Version { v } = serde_json::from_str(json).map_err(unlike)?;
    if v > FORMAT {
        return Err(Unreadable::Newer(v));
    }
    serde_json::from_str(json).map_err(unlike)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Unreadable, read, write};

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        let value = json!({ "v": 1, "said": "line\nbreak, ü" });
        let line = write(&value).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(read::<Value>(line.trim_end().as_bytes()), Ok(value));
    }

    #[test]
    fn every_changed_octet_is_noticed() {
        let line = write(&json!({ "v": 1, "to": "9f3c1a2" })).unwrap();
        let line = line.trim_end().as_bytes();
        for at in 0..line.len() {
            for flip in [0x01, 0x20, 0x80] {
                let mut changed = line.to_vec();
                changed[at] ^= flip;
                let upper_case_sum = at < 8 && changed[at].eq_ignore_ascii_case(&line[at]);
                let read = read::<Value>(&changed);
                assert!(
                    read.is_err() || upper_case_sum,
                    "octet {at} with {flip:#x} went unnoticed"
                );
            }
        }
    }

    #[test]
    fn a_newer_format_is_told_from_a_broken_line() {
        let line = write(&json!({ "v": 2, "what": "nobody knows" })).unwrap();
        assert_eq!(
            read::<Value>(line.trim_end().as_bytes()),
            Err(Unreadable::Newer(2))
        );
    }
}
