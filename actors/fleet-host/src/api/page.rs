//! Pages of listings.
//!
//! # Source
//!
//! coreos/fleet, `api/pagination.go`: a token is URL-safe base64 of limit and page, little-endian, 16 bits each.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::ApiError;

/// Entries of one page.
const LIMIT: u16 = 100;

/// Every value of `name` in a query string, decoded.
pub(super) fn values(query: &str, name: &str) -> Vec<String> {
    let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(query);
    pairs
        .map(|pairs| {
            pairs
                .into_inner()
                .into_iter()
                .filter(|(key, _)| key == name)
                .map(|(_, value)| value)
                .collect()
        })
        .unwrap_or_default()
}

/// The page that a query asks for, from 1.
fn page_of(query: &str) -> Result<u16, ApiError> {
    let refuse = |why: &str| Err(ApiError::new(400, why));
    let tokens = values(query, "nextPageToken");
    let token = match tokens.as_slice() {
        [] => return Ok(1),
        [token] => token,
        _ => return refuse("too many values for page token"),
    };
    let Ok(bytes) = URL_SAFE.decode(token) else {
        return refuse("illegal base64 data at input byte 0");
    };
    let [limit_low, limit_high, low, high, ..] = bytes.as_slice() else {
        return refuse(if bytes.is_empty() { "EOF" } else { "unexpected EOF" });
    };
    if u16::from_le_bytes([*limit_low, *limit_high]) != LIMIT {
        return Err(ApiError::new(400, format!("token limit must be {LIMIT}")));
    }
    match u16::from_le_bytes([*low, *high]) {
        0 => refuse("token page must be greater than zero"),
        page => Ok(page),
    }
}

/// One page of `items` under `field`; an empty page is `{}`.
pub(super) fn paged<T: Serialize>(
    field: &str,
    items: &[T],
    query: &str,
) -> Result<Value, ApiError> {
    let page = page_of(query)?;
    let start = usize::from(page - 1) * usize::from(LIMIT);
    let shown: Vec<&T> = items.iter().skip(start).take(LIMIT.into()).collect();
    let mut body = Map::new();
    if shown.len() == usize::from(LIMIT) {
        let [limit, next] = [LIMIT, page.saturating_add(1)].map(u16::to_le_bytes);
        let token = URL_SAFE.encode([limit[0], limit[1], next[0], next[1]]);
        body.insert("nextPageToken".into(), token.into());
    }
    if !shown.is_empty() {
        body.insert(field.into(), serde_json::to_value(shown).unwrap_or_default());
    }
    Ok(body.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_followed_by_their_tokens() {
        let items: Vec<u32> = (0..150).collect();
        let first = paged("units", &items, "").expect("the first page");
        assert_eq!(first["units"].as_array().map(Vec::len), Some(100));
        assert_eq!(first["nextPageToken"], "ZAACAA==");
        let second = paged("units", &items, "nextPageToken=ZAACAA%3D%3D").expect("the second page");
        assert_eq!(second["units"].as_array().map(Vec::len), Some(50));
        assert!(second.get("nextPageToken").is_none());
    }

    #[test]
    fn bad_tokens_are_refused() {
        for query in [
            "nextPageToken=!",
            "nextPageToken=",
            "nextPageToken=ZAAAAA%3D%3D",
            "nextPageToken=ZAACAA==&nextPageToken=ZAACAA==",
        ] {
            assert!(paged("units", &[0], query).is_err(), "{query}");
        }
    }

    #[test]
    fn an_empty_page_is_an_empty_object() {
        assert_eq!(paged::<u32>("units", &[], "").expect("a page").to_string(), "{}");
    }
}
