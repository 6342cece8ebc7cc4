//! Starts what the tests need, private and on free ports.

fn main() {}
