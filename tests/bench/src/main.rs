//! Measures and prints figures.

fn main() {}
