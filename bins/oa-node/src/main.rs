//! The node: hosts components until a signal, then drains.

fn main() {}
