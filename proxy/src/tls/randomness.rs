//! The randomness that all cryptography draws from. Its source takes some 50 ms of the processor to begin, once in a
//! process, and all who draw wait for whoever drew first (aws-lc collects the jitter of the processor).

use aws_lc_rs::rand;

/// There is none.
#[derive(Debug, thiserror::Error)]
#[error("there is no randomness")]
pub(crate) struct NoRandomness;

/// It begins now, where no request waits. Else it would with the first handshake, and that worker's clients would wait.
pub(super) fn begin() -> Result<(), NoRandomness> {
    rand::fill(&mut [0]).map_err(|_| NoRandomness)
}
