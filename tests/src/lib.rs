//! Stories on the real system.
