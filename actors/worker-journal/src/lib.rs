//! The local tasks and effects of a worker.
