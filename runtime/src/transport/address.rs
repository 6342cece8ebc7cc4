//! Where a message goes: an exchange path and a mailbox name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names a mailbox: `aws.us-east-1/builder`. The exchange is empty in a platform of one place: `/builder`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// Routing key of the place: words joined by dots, or empty.
    pub exchange: String,
    /// Name of the mailbox in it.
    pub mailbox: String,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address: {why}")]
pub struct InvalidAddress {
    /// The text, cut to 80 characters.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Address {
    /// Checks both parts: letters, digits, `-`, `_`, `:`, `@`, and dots between words.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress`] with the reason.
    pub fn new(
        exchange: impl Into<String>,
        mailbox: impl Into<String>,
    ) -> Result<Self, InvalidAddress> {
        let address = Self { exchange: exchange.into(), mailbox: mailbox.into() };
        address.check()?;
        Ok(address)
    }

    /// Checks the parts again; they are public.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress`] with the reason.
    pub fn check(&self) -> Result<(), InvalidAddress> {
        let refuse = |why| Err(InvalidAddress { text: shown(&self.to_string()), why });
        if self.mailbox.is_empty() {
            return refuse("it has no mailbox");
        }
        if self.exchange.len() + self.mailbox.len() > 200 {
            return refuse("it must have at most 200 bytes");
        }
        if !self.exchange.is_empty() && !self.exchange.split('.').all(is_word) {
            return refuse(
                "the exchange must be words of letters, digits and `-_:@`, joined by dots",
            );
        }
        if !self.mailbox.split('.').all(is_word) {
            return refuse(
                "the mailbox must be words of letters, digits and `-_:@`, joined by dots",
            );
        }
        Ok(())
    }

    /// The key it is routed by: `<exchange>.<mailbox>`, or the mailbox alone.
    #[must_use]
    pub fn routing_key(&self) -> String {
        if self.exchange.is_empty() {
            self.mailbox.clone()
        } else {
            format!("{}.{}", self.exchange, self.mailbox)
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_:@".contains(c))
}

fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.exchange, self.mailbox)
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let Some((exchange, mailbox)) = text.split_once('/') else {
            return Err(InvalidAddress {
                text: shown(text),
                why: "there is no `/` between exchange and mailbox",
            });
        };
        Self::new(exchange, mailbox)
    }
}

impl TryFrom<String> for Address {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_back_from_its_text() {
        for text in ["/builder", "aws.us-east-1/builder", "a.b/replies.node-1.00ff"] {
            assert_eq!(text.parse::<Address>().expect("it is valid").to_string(), text);
        }
    }

    #[test]
    fn an_address_with_wildcards_or_empty_words_is_refused() {
        for text in ["builder", "/", "a..b/c", "a/*", "#/x", ".a/b", "a/b/c", "a/b c"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_routing_key_of_the_root_place_is_the_mailbox() {
        assert_eq!(Address::new("", "builder").expect("valid").routing_key(), "builder");
        assert_eq!(
            Address::new("aws.east", "builder").expect("valid").routing_key(),
            "aws.east.builder"
        );
    }
}
