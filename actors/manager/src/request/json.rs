//! JSON with limits on depth, list length and text length, which hold while it is read.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Deepest nesting of lists and objects.
const MAX_DEPTH: usize = 64;
/// Longest list, and most fields of an object.
const MAX_ITEMS: usize = 10_000;
/// Longest text.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// Begins the text of an error about a limit, which is how it is told from broken JSON.
const LIMIT: &str = "limit: ";

/// Why a text is not the JSON that is read here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    /// It is not JSON.
    #[error("{why} at line {line} column {column}")]
    Broken {
        /// What is wrong.
        why: String,
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// It is JSON, but too much of it.
    #[error("{why} at line {line} column {column}")]
    TooMuch {
        /// Which limit, and its value.
        why: String,
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
}

/// Reads `bytes` as one JSON value within the limits.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Bounded { depth: 0 }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        let text = error.to_string();
        let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why);
        let (line, column) = (error.line(), error.column());
        match why.strip_prefix(LIMIT) {
            Some(why) => JsonError::TooMuch { why: why.to_owned(), line, column },
            None => JsonError::Broken { why: why.to_owned(), line, column },
        }
    })
}

#[derive(Clone, Copy)]
struct Bounded {
    depth: usize,
}

impl Bounded {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("{LIMIT}nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

fn check_items<E: Error>(count: usize) -> Result<(), E> {
    if count == MAX_ITEMS {
        return Err(E::custom(format_args!(
            "{LIMIT}more than {MAX_ITEMS} items in a list or object"
        )));
    }
    Ok(())
}

fn check_text<E: Error>(text: &str) -> Result<(), E> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(E::custom(format_args!("{LIMIT}a text of more than {MAX_TEXT_BYTES} bytes")));
    }
    Ok(())
}

impl<'de> DeserializeSeed<'de> for Bounded {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        check_text(text)?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            check_items(list.len())?;
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            check_items(object.len())?;
            check_text(&name)?;
            // The last of two fields with one name wins, as in the original.
            object.insert(name, fields.next_value_seed(inner)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_it_is() {
        let text = r#"{"a":[1,-2,3.5,true,null,"x\n"],"b":{"c":{}},"big":18446744073709551615}"#;
        assert_eq!(read(text.as_bytes()), Ok(serde_json::from_str(text).expect("JSON")));
    }

    #[test]
    fn broken_json_is_refused_with_its_place() {
        let error = read(b"{\"a\": 1,\n  \"b\" 2}").expect_err("a colon is missing");
        assert_eq!(error.to_string(), "expected `:` at line 2 column 7");
        assert!(matches!(read(b"{} x"), Err(JsonError::Broken { .. })));
        assert!(matches!(read(b"{\"a\":\"\xff\"}"), Err(JsonError::Broken { .. })));
    }

    #[test]
    fn nesting_ends_at_sixty_four_levels() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(nested(64).as_bytes()).is_ok());
        let error = read(nested(65).as_bytes()).expect_err("too deep");
        assert!(
            matches!(&error, JsonError::TooMuch { why, line: 1, .. } if why.contains("64")),
            "{error:?}"
        );
        assert!(matches!(read(nested(100_000).as_bytes()), Err(JsonError::TooMuch { .. })));
    }

    #[test]
    fn lists_objects_and_texts_are_bounded() {
        let list = format!("[{}1]", "1,".repeat(10_000));
        assert!(matches!(read(list.as_bytes()), Err(JsonError::TooMuch { .. })));
        let text = format!("\"{}\"", "x".repeat(64 * 1024 + 1));
        assert!(matches!(read(text.as_bytes()), Err(JsonError::TooMuch { .. })));
    }
}
