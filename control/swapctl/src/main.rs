//! swapctl: the command that deploy scripts call.
fn main() {}
