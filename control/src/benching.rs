//! The journal by itself, for `benches`. Behind the feature `benching`, in no build that is shipped.

pub use crate::journal::benching::Journal;
