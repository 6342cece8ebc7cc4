//! Places where a debug build can be made to die as by `kill -9`.
//!
//! Code says where it could be hit hardest, one line a place:
//!
//! ```
//! oa_crash_points::crash_point!(BuilderPushed);
//! ```
//!
//! | variable | meaning |
//! |---|---|
//! | `OA_CRASH_AT=builder.pushed@2` | the process raises SIGKILL on itself at its second pass of that point |
//! | `OA_CRASH_TRACE=<file>` | each pass is a line of the file; the crash leaves `<file>.crashed` and happens only once |
//!
//! The node hands both variables to its unit keepers, which count their own passes; units and git never see them. A
//! release build has none of this: [`pass`] is empty there, and the variables mean nothing.

#[cfg(debug_assertions)]
mod active;
mod points;

use std::error::Error;
use std::ffi::OsString;
use std::fmt;

pub use points::CrashPoint;

/// Says that the process is at this [`CrashPoint`] now; it may end there.
#[macro_export]
macro_rules! crash_point {
    ($point:ident) => {
        $crate::pass($crate::CrashPoint::$point)
    };
}

/// What [`crash_point!`] does.
#[inline]
pub fn pass(point: CrashPoint) {
    #[cfg(debug_assertions)]
    active::pass(point);
    #[cfg(not(debug_assertions))]
    let _nothing_to_do = point;
}

/// Reads `OA_CRASH_AT`; a node does so at its start, so that a test never passes because of a typing error.
///
/// # Errors
///
/// [`UnknownPoint`] if it names no point or no pass.
pub fn check() -> Result<(), UnknownPoint> {
    #[cfg(debug_assertions)]
    return active::check();
    #[cfg(not(debug_assertions))]
    Ok(())
}

/// The variables that a process hands to one whose points count too.
#[must_use]
pub fn environment() -> Vec<(&'static str, OsString)> {
    #[cfg(debug_assertions)]
    return active::environment();
    #[cfg(not(debug_assertions))]
    Vec::new()
}

/// `OA_CRASH_AT` is not `<point>@<pass>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPoint {
    /// What it says.
    pub given: String,
}

impl fmt::Display for UnknownPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no crash point; use <point>@<pass>, such as {}@1",
            self.given,
            CrashPoint::ALL[0].name()
        )
    }
}

impl Error for UnknownPoint {}
