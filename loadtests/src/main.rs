//! Scenarios under load that end in a verdict.
fn main() {}
