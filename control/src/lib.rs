//! Holdfast's control plane: the API socket, the driver that owns every app's state, the journal, the probes, the
//! events, and the client that swapctl uses.
//!
//! The data plane is behind one trait, `plane::DataPlane`; nothing here ever touches a request.

pub mod client;
pub mod paths;
pub mod wire;

#[cfg(feature = "server")]
mod accepting;
#[cfg(feature = "server")]
mod api;
#[cfg(feature = "benching")]
#[doc(hidden)]
pub mod benching;
#[cfg(feature = "server")]
mod control_plane;
#[cfg(feature = "server")]
mod driver;
#[cfg(feature = "server")]
mod events;
#[cfg(feature = "server")]
#[doc(hidden)]
pub mod failpoint;
#[cfg(all(feature = "server", any(test, fuzzing)))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "server")]
mod gates;
#[cfg(feature = "server")]
mod impatient;
#[cfg(feature = "server")]
mod journal;
#[cfg(feature = "server")]
mod mishaps;
#[cfg(feature = "server")]
mod monotonic;
#[cfg(feature = "server")]
mod operations;
#[cfg(feature = "server")]
pub mod plane;
#[cfg(feature = "server")]
mod probe;
#[cfg(feature = "server")]
mod problem;
#[cfg(feature = "server")]
mod receipt;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulating;
#[cfg(feature = "server")]
mod socket;
#[cfg(feature = "server")]
mod standing;
#[cfg(feature = "server")]
pub mod succession;
#[cfg(feature = "server")]
mod swaps;
#[cfg(feature = "server")]
mod users;
#[cfg(feature = "server")]
mod wall;

#[cfg(feature = "server")]
pub use accepting::Accepting;
#[cfg(feature = "server")]
pub use api::{ReloadHook, Reloaded};
#[cfg(feature = "server")]
pub use control_plane::{ControlPlane, Handle, OpenError, Options};
#[cfg(feature = "server")]
pub use journal::JournalError;
#[cfg(feature = "server")]
pub use socket::SocketError;
#[cfg(feature = "server")]
pub use swaps::{Counted, Swaps};
#[cfg(feature = "server")]
pub use users::UnknownUser;
