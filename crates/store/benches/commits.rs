//! Appended groups per second with group commit, on both engines.

fn main() {}
