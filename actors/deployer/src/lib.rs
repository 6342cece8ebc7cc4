//! Brings units to a cluster, one after the other.
