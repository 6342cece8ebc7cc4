//! A small HTTP server to deploy.

fn main() {}
