//! Turns a git revision into deployable units.
