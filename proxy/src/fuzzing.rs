//! What must hold whatever octets come: one function for each target of `fuzz`. The tests here say to the same functions
//! what fuzzing has kept. In no other build.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a panic is how a check fails"
)]

mod app;
#[path = "../../fuzz/shared/by_hand.rs"]
mod by_hand;
mod forwarded;
mod policy;
mod proxy_protocol;
#[cfg(test)]
#[path = "../../fuzz/shared/replay.rs"]
mod replay;

pub use forwarded::forwarded;
pub use policy::policy;
pub use proxy_protocol::proxy_protocol;

#[cfg(test)]
mod tests {
    use super::replay;

    const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz");

    #[test]
    fn what_passes_the_policy_reaches_the_app_sound_and_whole() {
        replay::all(FUZZ, "policy", super::policy);
    }

    #[test]
    fn a_proxy_header_is_the_same_however_much_comes_behind_it() {
        replay::all(FUZZ, "proxy_protocol", super::proxy_protocol);
    }

    #[test]
    fn nobody_far_away_changes_what_a_near_front_says() {
        replay::all(FUZZ, "forwarded", super::forwarded);
    }
}
