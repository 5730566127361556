//! The statistics of the canary judge, as functions of counts.
//!
//! A [`Look`] has what was counted of the canary and of its control; [`Judge::rule`] says `pass`, `fail` or
//! `not_enough_traffic`, and why in a sentence. There is no clock, no IO and no randomness in this crate, and the judge
//! remembers nothing: whoever takes over the counts takes over the judgement.
//!
//! ```
//! use swap_judge::{Arm, Judge, Look, Place, Rules, Verdict};
//!
//! let judge = Judge::new(Rules::default(), Place { steps: 4, attempt: 0 });
//! let arm = |requests, errors| Arm { requests, errors, units: requests, erred: errors, ..Arm::default() };
//! let bad = Look { canary: arm(410, 37), control: arm(402, 4), slots: None };
//! let ruling = judge.rule(&bad);
//! assert_eq!(ruling.verdict, Verdict::Fail);
//! assert_eq!(ruling.why, "canary failed 37 of 410, control 4 of 402; chance of a false alarm below 1 %");
//!
//! let good = Look { canary: arm(2000, 4), control: arm(2010, 5), slots: None };
//! let ruling = judge.rule(&good);
//! assert_eq!(ruling.verdict, Verdict::Pass);
//! assert!(ruling.smallest.is_some_and(|smallest| smallest < 0.02));
//! ```
//!
//! # What it rests on
//!
//! One thing only: the hash puts each unit (a client, if the assignment is sticky, else a request) into either arm as a coin
//! would, whatever the unit is going to do. So data must be counted like this:
//!
//! - Both arms are drawn by the same hash at the same time, in equal shares (or in known ones: [`Drawn`]). Staff, and whoever
//!   opted in, were not drawn, and are left out.
//! - What a unit did before belongs to no count: counts begin anew with each step, after its warm-up. A client's bit in the
//!   bitmaps is drawn independently of its arm, by other bits of the hash or another one.
//! - Both arms lose nothing that depends on the arm: requests that were abandoned count in either.
//!
//! # The mathematics
//!
//! All tests are *by betting*: a stake of one is bet against the hypothesis that the canary is no worse, at odds that are fair or
//! unfavourable if it is so. Such a stake is a non-negative supermartingale, and ever becomes `1 / alpha` with a chance of at most
//! `alpha` (Ville 1939; Ramdas, Grünwald, Vovk & Shafer 2023, "Game-theoretic statistics and safe anytime-valid inference"). That is why
//! it may be looked at after each request. `bets.rs` has the mixture over bets of all sizes (Robbins 1970; a geometric row of
//! odds instead of a beta prior: it needs no incomplete beta function, none of which is exact at counts of a billion).
//!
//! | what | hypothesis | file | sources |
//! | --- | --- | --- | --- |
//! | errors | the next unit that fails is the canary's with chance at most 1/2 | `coin.rs` | Robbins 1970; Lindon & Malek 2022 (multinomial counts); Johari et al. 2022 (always-valid p-values) |
//! | errors, with a tolerance; bound for a pass | `p_c - p_s <= d` | `increase.rs` | Waudby-Smith & Ramdas 2024 (betting); Howard et al. 2021 (confidence sequences) |
//! | p50, p99 | `Q_c(q) <= r Q_s(q)` | `pace.rs` | Howard & Ramdas 2022 (sequential quantiles); Lindon et al. 2022 (canary releases at Netflix) |
//! | far too many errors | at once | `guard.rs` | - |
//! | no control left | bounds apart, outside alpha | `last.rs` | - |
//!
//! **Alpha** is split (Bonferroni) over the steps that have a control in equal parts, in each over errors (1/2), median and p99 (1/4
//! each), and over attempts at a step (3/4, 3/16, …). The guard beside a control adds to its plain rates that the coin's stake is
//! `1 / alpha`, undivided: so it is at once where many clients fail, and not moved by one that makes a third of the traffic.
//!
//! **A pass** needs `min_requests` in both arms, and that an increase of `min_effect` beyond what counts as the same would have been
//! seen: that the upper end of the confidence sequence of `p_c - p_s` at `1 - alpha` is below it.
//!
//! *Invariant:* nothing here ever fails a canary whose error rates and quantiles are no worse than the control's.
//!
//! `cargo run --release -p swap-judge --example rollouts` measures false alarms and power, and sets them beside other rules.

mod arm;
mod bets;
mod coin;
mod experiment;
mod factorial;
mod guard;
mod increase;
mod judge;
mod last;
mod pace;
mod rules;
mod ruling;
mod times;
mod words;

pub use arm::{Arm, Look};
pub use experiment::{Comparison, Drawn, Finding, compare};
pub use judge::{Judge, P99_UNITS_MIN, Place};
pub use rules::Rules;
pub use ruling::{Ruling, Test, Verdict};
pub use times::{BUCKETS, Times, bound, bucket};
