//! The verbs, one file each: what may be typed, what it means, what is asked, and what is said about the answer.

pub(crate) mod abort;
pub(crate) mod advance;
pub(crate) mod block;
pub(crate) mod completions;
pub(crate) mod events;
pub(crate) mod experiment;
pub(crate) mod history;
pub(crate) mod hold;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod promote;
pub(crate) mod receipt;
pub(crate) mod reload;
pub(crate) mod resume;
pub(crate) mod rollback;
pub(crate) mod stage;
pub(crate) mod status;
pub(crate) mod unblock;
pub(crate) mod unstage;
pub(crate) mod upgrade;
pub(crate) mod version;
