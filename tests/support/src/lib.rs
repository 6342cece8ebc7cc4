//! What the tests of the whole system stand on.
//!
//! The runner of this package (`oa-test-services -- cargo nextest run …`) starts real services as private instances
//! on free ports and passes their addresses in the environment; the modules here read them back, start real nodes and
//! make real git repositories. A test whose service is missing fails: a green run always had it.
//!
//! | module | gives |
//! |---|---|
//! | [`clock`] | a clock that a test can set, for the programs that it starts |
//! | [`disk`] | a small file system that can be filled and made read-only |
//! | [`eventually`] | waiting for a condition without a fixed pause |
//! | [`git`] | repositories made by the real `git` |
//! | [`https`] | a git server that speaks https, with a certificate of its own authority |
//! | [`node`] | a real `oa-node` with its own data directory, and its end |
//! | [`sshd`] | the private ssh server that the runner started |

pub mod clock;
pub mod disk;
pub mod eventually;
pub mod git;
pub mod hostile;
pub mod https;
pub mod node;
pub mod packages;
pub mod service;
pub mod sshd;
