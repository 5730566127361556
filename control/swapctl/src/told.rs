//! What the daemon answered, in words for people.

pub(crate) mod canary;
pub(crate) mod experiment;
pub(crate) mod receipt;
pub(crate) mod status;
