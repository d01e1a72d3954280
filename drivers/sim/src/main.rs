//! Simulated devices.
fn main() {}
