//! A transport inside one process, with a faulty mode for tests.
