//! What a gate costs.
fn main() {}
