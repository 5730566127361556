//! What the simulation is made of besides Holdfast itself: choices from a seed, a disk that forgets, a trace. The
//! simulation is a test (`tests/it`), because nothing that is shipped may be built with what it needs.

pub mod dice;
pub mod disk;
pub mod trace;
