//! Benches live in `benches/`; what is compared with other proxies, in [`compare`]; what is counted, in [`instructions`].

pub mod browser;
pub mod compare;
pub mod instructions;
pub mod promote;
mod trouble;
