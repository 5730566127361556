//! Benches live in `benches/`; what is compared with other proxies, in [`compare`].

pub mod browser;
pub mod compare;
pub mod promote;
