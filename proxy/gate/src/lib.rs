//! The gate that counts a release's running requests, and the queue in which requests wait at an app's door.
//!
//! Both are here, apart from the proxy, because they are the two places where a lost wake-up or a wrong ordering would
//! lose a request: the package knows no runtime, no clock and no IO, so loom can try every interleaving of it
//! (`tests/loom.rs`). Time is an argument, measured from an origin that the caller chose, and never goes back.
//!
//! The two work together. Whoever shuts a door calls, in this order, [`Queue::hold`], publishes a table with a fresh
//! gate, and closes the old [`Gate`]. Whoever has a request reads the table, *then* [`Queue::shut_for`], *then* enters
//! the gate of that table; a gate that refuses it means that a newer table exists. So once the old gate is empty, no
//! request runs that the door should have kept.

mod gate;
mod queue;
mod sync;

pub use gate::{Class, Classes, Gate};
pub use queue::{
    Admission, Arrival, Arrived, Bounds, CameBack, Counts, Expired, Place, Queue, Rate, Reason,
    Room, Shed, TICKET_OVERHEAD_BYTES, Ticket, Turn,
};
