//! Forms: `application/x-www-form-urlencoded` and `multipart/form-data`. Files in forms are ignored.

use serde_json::{Map, Value};

/// Most fields of a form or a query string.
const MAX_FIELDS: usize = 1_000;

/// Reads `name=value&…`; the last of two fields with one name wins.
pub(crate) fn read_urlencoded(bytes: &[u8]) -> Map<String, Value> {
    url::form_urlencoded::parse(bytes)
        .take(MAX_FIELDS)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect()
}

/// Reads the text fields of a multipart form; `None` if it is not one.
pub(crate) fn read_multipart(bytes: &[u8], boundary: &str) -> Option<Map<String, Value>> {
    let delimiter = format!("--{boundary}");
    let mut rest = after(bytes, delimiter.as_bytes())?;
    let mut fields = Map::new();
    for _ in 0..MAX_FIELDS {
        if rest.starts_with(b"--") {
            return Some(fields);
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let end = find(rest, format!("\r\n{delimiter}").as_bytes())?;
        let part = &rest[..end];
        let head_end = find(part, b"\r\n\r\n")?;
        let (head, content) = (&part[..head_end], &part[head_end + 4..]);
        if let (Some(name), Ok(text)) =
            (field_name(&String::from_utf8_lossy(head)), std::str::from_utf8(content))
        {
            fields.insert(name, Value::String(text.to_owned()));
        }
        rest = &rest[end + 2 + delimiter.len()..];
    }
    None
}

/// The `name` in a part's `Content-Disposition`, unless the part is a file.
fn field_name(head: &str) -> Option<String> {
    let disposition = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let parameters = disposition.split(';').skip(1).map(str::trim);
    if parameters.clone().any(|parameter| parameter.to_ascii_lowercase().starts_with("filename")) {
        return None;
    }
    parameters
        .filter_map(|parameter| parameter.strip_prefix("name="))
        .map(|name| name.trim_matches('"').to_owned())
        .next()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn after<'a>(haystack: &'a [u8], needle: &[u8]) -> Option<&'a [u8]> {
    find(haystack, needle).map(|at| &haystack[at + needle.len()..])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn urlencoded_fields_are_texts() {
        let fields = read_urlencoded(b"etcd_token=a%2Fb&name=two+words&name=last&empty");
        assert_eq!(
            Value::Object(fields),
            json!({"etcd_token": "a/b", "name": "last", "empty": ""})
        );
    }

    #[test]
    fn multipart_fields_are_texts_and_files_are_left_out() {
        let body = "--XX\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\neast\r\n1\r\n\
                    --XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\nbytes\r\n--XX--\r\n";
        assert_eq!(
            read_multipart(body.as_bytes(), "XX").map(Value::Object),
            Some(json!({"name": "east\r\n1"}))
        );
    }

    #[test]
    fn a_form_without_its_end_is_none() {
        assert_eq!(
            read_multipart(b"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb", "XX"),
            None
        );
        assert_eq!(read_multipart(b"", "XX"), None);
    }
}
