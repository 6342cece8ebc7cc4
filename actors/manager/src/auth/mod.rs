//! Who asks, and what they may do.
//!
//! ```text
//! Authorization header ─► header::token ─► AdminToken::matches ─► Principal ─► may(Permission)?
//! ```
//!
//! Deny by default: a route names the [`Permission`] it needs, and only [`Permission::Open`] needs nobody.

mod admin_token;
mod header;
mod permission;

pub(crate) use admin_token::AdminToken;
pub use admin_token::AdminTokenError;
pub use permission::Permission;
pub(crate) use permission::Principal;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};

/// Checks the tokens of requests.
#[derive(Debug)]
pub(crate) struct Authenticator {
    admin: AdminToken,
    admin_user_id: i64,
}

impl Authenticator {
    /// Accepts `admin`, whose holder is the user `admin_user_id`.
    pub(crate) fn new(admin: AdminToken, admin_user_id: i64) -> Self {
        Self { admin, admin_user_id }
    }

    /// Who sends these headers; nobody without exactly one valid token.
    pub(crate) fn principal(&self, headers: &HeaderMap) -> Option<Principal> {
        let mut values = headers.get_all(AUTHORIZATION);
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let token = header::token(value.to_str().ok()?)?;
        self.admin.matches(token).then(|| Principal::admin(self.admin_user_id))
    }
}
