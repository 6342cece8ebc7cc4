//! Watches modules and clusters.
