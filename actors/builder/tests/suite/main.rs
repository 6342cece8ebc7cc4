//! The Builder against repositories made by the real git.

mod component;
mod isolation;
mod milestone;
mod ssh;
mod support;
