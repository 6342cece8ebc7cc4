//! Types and client of the REST API.
