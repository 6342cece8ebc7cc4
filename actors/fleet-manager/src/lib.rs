//! Answers what a cluster runs.
