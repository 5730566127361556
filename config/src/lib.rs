//! Holdfast's configuration: from the text of a TOML file to [`Settings`], or to every error in it.
//!
//! The file's shape is not the program's shape: `read` has one file for each table and says what may be written there,
//! [`Settings`] says what is meant, with every default filled in. All errors of a file are reported at once, each with
//! its line, its column and an example that would be right. Nothing here binds, creates or writes anything; the only
//! thing that is asked of the world is the address of a name ([`resolve_instance`]).

mod address;
mod changes;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod load;
mod network;
mod overrides;
mod read;
mod report;
mod settings;
mod size;
mod syntax;
mod table;
mod value;
mod written;

pub use address::{BadAddress, Resolved, resolve_instance, resolve_listener};
pub use changes::Change;
pub use network::{BadNetwork, Network};
pub use overrides::Overrides;
pub use report::{Error, Errors, Warnings};
pub use settings::{
    AccessLog, Acme, Admin, App, Canary, CertificateFiles, Challenge, Checked, ClientCertificates,
    Cohort, Control, Hold, Limits, Listen, Probe, Protocol, ResumeRate, Server, Settings, Sign,
    Sticky, Timeouts, Tls, Upstream, UpstreamTls,
};
pub use size::{BadSize, parse_size};
pub use swap_core::duration::{BadDuration, parse as parse_duration};
