//! A one-machine cluster that speaks the Fleet API v1.
