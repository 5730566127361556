//! One seed for all that a test makes up.

/// A new one each time, or the one that is to be seen again.
pub(crate) fn drawn(test: &str) -> u64 {
    let seed = std::env::var("HOLDFAST_SEED").ok();
    let seed = seed.map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("replay: HOLDFAST_SEED={seed} cargo test -p swap-judge {test}");
    seed
}
