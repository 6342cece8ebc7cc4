//! The Builder against repositories made by the real git.

mod isolation;
mod milestone;
mod ssh;
mod support;
