//! Sizes as people write them: `512B`, `64KiB`, `1MiB`, `2GiB`.

/// The largest size that can be written, in bytes. Each key sets a narrower limit on top.
const LARGEST: u64 = 1 << 40;

const UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSize {
    /// It does not begin with a digit.
    #[error("a size begins with a whole number")]
    NoNumber,
    /// A number without a unit: `64`.
    #[error("the unit is missing (B, KiB, MiB or GiB)")]
    NoUnit,
    /// A unit that does not exist: `64KB`, `1.5MiB`.
    #[error("{unit:?} is no unit (B, KiB, MiB or GiB, with whole numbers)")]
    UnknownUnit {
        /// The unit as it was written; at most 20 characters of it.
        unit: String,
    },
    /// Above 1024 GiB.
    #[error("larger than {} GiB", LARGEST >> 30)]
    TooLarge,
}

/// Reads a size in bytes: a whole number and one of `B`, `KiB`, `MiB`, `GiB` (powers of 1024), without a blank.
/// Zero is one; the largest is 1024 GiB.
pub fn parse_size(text: &str) -> Result<u64, BadSize> {
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    if number.is_empty() {
        return Err(BadSize::NoNumber);
    }
    if unit.is_empty() {
        return Err(BadSize::NoUnit);
    }
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let unit = unit.chars().take(20).collect();
        return Err(BadSize::UnknownUnit { unit });
    };
    let number: Option<u64> = number.parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(*factor));
    bytes
        .filter(|bytes| *bytes <= LARGEST)
        .ok_or(BadSize::TooLarge)
}

/// Writes a size the way [`parse_size`] reads it, in the largest unit that fits without a rest.
pub(crate) fn text(bytes: u64) -> String {
    let fits = |unit: &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(unit.1);
    let (name, factor) = UNITS.iter().find(fits).unwrap_or(&("B", 1));
    format!("{}{name}", bytes / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_documentation_writes() {
        for (written, meant) in [
            ("0B", 0),
            ("512B", 512),
            ("64KiB", 65_536),
            ("1MiB", 1_048_576),
            ("1024GiB", LARGEST),
        ] {
            assert_eq!(parse_size(written), Ok(meant), "{written}");
            assert_eq!(text(meant), written);
        }
    }

    #[test]
    fn says_what_is_wrong_with_the_rest() {
        let unknown = |unit: &str| BadSize::UnknownUnit { unit: unit.into() };
        for (written, error) in [
            ("", BadSize::NoNumber),
            ("MiB", BadSize::NoNumber),
            ("-1B", BadSize::NoNumber),
            ("64", BadSize::NoUnit),
            ("64KB", unknown("KB")),
            ("1.5MiB", unknown(".5MiB")),
            ("64 KiB", unknown(" KiB")),
            ("1025GiB", BadSize::TooLarge),
            ("99999999999999999999999B", BadSize::TooLarge),
        ] {
            assert_eq!(parse_size(written), Err(error), "{written}");
        }
    }
}
