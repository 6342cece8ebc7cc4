//! Names of units, refused in the words of the original.

use oa_fleet::UnitName;

use super::error::ApiError;

/// Checks the name of a unit that somebody wants to make.
///
/// # Source
///
/// coreos/fleet v1.0.0, `api/units.go`, `ValidateName`.
pub(super) fn checked(text: &str) -> Result<UnitName, ApiError> {
    // An encoded slash makes another path, and that path is nowhere.
    if text.contains('/') {
        return Err(ApiError::new(404, ""));
    }
    if let Some(why) = fault(text) {
        return Err(ApiError::new(400, why));
    }
    // What is left are names that only this host refuses.
    UnitName::new(text).map_err(|why| ApiError::new(400, why.to_string()))
}

/// A name that no unit can have belongs to no unit.
pub(super) fn known(text: &str) -> Result<UnitName, ApiError> {
    if text.contains('/') {
        return Err(ApiError::new(404, ""));
    }
    UnitName::new(text).map_err(|_| ApiError::no_unit())
}

fn fault(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("unit name cannot be empty".into());
    }
    if text.len() > 256 {
        return Some("unit name exceeds maximum length (256)".into());
    }
    if text.starts_with('@') {
        return Some("unit name cannot start in \"@\"".into());
    }
    let Some((stem, kind)) = text.rsplit_once('.') else {
        return Some("unit name must contain \".\"".into());
    };
    if kind.is_empty() {
        return Some("unit name cannot end in \".\"".into());
    }
    if !UnitName::TYPES.contains(&kind) {
        return Some(format!("invalid unit type: \"{}\"", kind.escape_default()));
    }
    if let Some(c) = stem.chars().find(|c| !c.is_ascii_alphanumeric() && !":-_.\\@".contains(*c)) {
        return Some(format!("invalid character '{c}' in unit name"));
    }
    if stem.contains('@') && !UnitName::TEMPLATE_TYPES.contains(&kind) {
        return Some(format!("invalid unit type for template: \"{kind}\""));
    }
    None
}
