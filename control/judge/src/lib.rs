//! What a canary and its control have counted, and what can be said of it.

mod arm;
mod times;

pub use arm::{Arm, Look};
pub use times::{BUCKETS, Times, bound, bucket};
