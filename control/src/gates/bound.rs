//! What a figure has to be: `< 0.01`.

use std::fmt;
use std::str::FromStr;

/// An operator and a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bound {
    operator: Operator,
    figure: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
}

/// The longer ones first: each begins with a shorter one.
const OPERATORS: [(&str, Operator); 5] = [
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("==", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::More),
];

impl Bound {
    /// Whether `figure` is as it has to be. What is no number is not.
    pub(crate) fn holds(self, figure: f64) -> bool {
        match self.operator {
            Operator::Less => figure < self.figure,
            Operator::AtMost => figure <= self.figure,
            Operator::More => figure > self.figure,
            Operator::AtLeast => figure >= self.figure,
            #[allow(clippy::float_cmp, reason = "that is what was asked for")]
            Operator::Equal => figure == self.figure,
        }
    }
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let mut operators = OPERATORS.into_iter();
        let found = operators.find_map(|(word, it)| Some((it, text.strip_prefix(word)?)));
        let wrong = || "has no bound such as < 0.01 (< <= > >= ==)".to_owned();
        let (operator, figure) = found.ok_or_else(wrong)?;
        let figure: f64 = figure.trim().parse().map_err(|_| wrong())?;
        if figure.is_finite() {
            Ok(Self { operator, figure })
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut operators = OPERATORS.into_iter();
        let word = operators.find(|(_, operator)| *operator == self.operator);
        let word = word.map_or("", |(word, _)| word);
        write!(f, "{word} {}", self.figure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_an_operator_and_a_figure() {
        for (text, good, bad) in [
            ("< 0.01", 0.0, 0.01),
            ("<=0.01", 0.01, 0.02),
            ("> 3", 4.0, 3.0),
            (">= -3", -3.0, -4.0),
            ("== 1e3", 1000.0, f64::NAN),
        ] {
            let bound: Bound = text.parse().unwrap();
            assert!(bound.holds(good) && !bound.holds(bad), "{text}");
            assert_eq!(bound.to_string().parse(), Ok(bound));
        }
        for text in ["", "0.01", "= 1", "< ", "< x", "< inf", "!= 3"] {
            assert!(text.parse::<Bound>().is_err(), "{text}");
        }
    }
}
