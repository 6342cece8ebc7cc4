//! What must hold for any bytes that reach the project from outside.
//!
//! Each function of [`targets`] takes bytes and panics if something does not hold. Two drivers feed them:
//!
//! - `tests/stable.rs`, in every run of the tests: a bounded, seeded number of inputs that [`mutate`] makes from
//!   `corpus/<target>/`. `OA_FUZZ_RUNS` and `OA_FUZZ_SEED` change count and seed.
//! - `libfuzzer/`, by `make fuzz FUZZ=<target>`: coverage-guided, for as long as one likes; needs a nightly compiler,
//!   so it stands outside of the workspace.

pub mod mutate;
pub mod targets;
// The renderer is private to the builder, which nothing but a test has a reason to look into.
#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "the file of another crate, as it is there"
)]
#[path = "../../../actors/builder/src/template.rs"]
mod template;
