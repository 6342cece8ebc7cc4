//! Specifiers: `%n` and its kin.

use oa_fleet::UnitName;

/// What specifiers stand for in one unit on one host.
#[derive(Debug, Clone)]
pub(crate) struct Specifiers<'a> {
    pub(crate) unit: &'a UnitName,
    pub(crate) host: &'a str,
}

impl Specifiers<'_> {
    /// Replaces the specifiers in `text`; `Err` holds one that this host does not know.
    pub(crate) fn expand(&self, text: &str) -> Result<String, String> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                expanded.push(c);
                continue;
            }
            match rest.next() {
                Some('n') => expanded.push_str(self.unit.as_str()),
                Some('N') => expanded.push_str(self.unit.stem()),
                Some('p') => expanded.push_str(self.unit.prefix()),
                Some('i') => expanded.push_str(self.unit.instance().unwrap_or_default()),
                Some('H') => expanded.push_str(self.host),
                Some('%') => expanded.push('%'),
                Some(other) => {
                    return Err(format!(
                        "the specifier `%{other}` is not known; there are %n %N %p %i %H and %%"
                    ));
                }
                None => return Err("a lone `%` at the end; write `%%` for the sign itself".into()),
            }
        }
        Ok(expanded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_specifier_stands_for_its_part_of_the_name() {
        let unit = UnitName::new("app@3.service").expect("a valid name");
        let specifiers = Specifiers { unit: &unit, host: "h1" };
        assert_eq!(
            specifiers.expand("%n %N %p %i %H 5%%").expect("known"),
            "app@3.service app@3 app 3 h1 5%"
        );
        assert!(specifiers.expand("%z").expect_err("unknown").contains("%z"));
        assert!(specifiers.expand("50%").is_err());
    }
}
