//! Holdfast's control plane: the API socket, the driver that owns every app's state, the journal, the probes, the
//! events, and the client that swapctl uses.
//!
//! The data plane is behind one trait, [`plane::DataPlane`]; nothing here ever touches a request.

pub mod wire;

#[cfg(feature = "server")]
pub mod plane;
