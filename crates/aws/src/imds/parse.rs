//! The text of metadata leaves to model types.

use std::str::FromStr;

use vpc_model::MacAddress;

use crate::error::DecodeError;

/// A leaf that holds one value.
pub(super) fn one<T: FromStr>(leaf: &'static str, text: &str) -> Result<T, DecodeError> {
    let text = text.trim();
    text.parse().map_err(|_| DecodeError::Value {
        field: leaf,
        value: text.chars().take(80).collect(),
        allowed: "one value in EC2's form",
    })
}

/// A leaf that holds one value a line; empty means none.
pub(super) fn lines<T: FromStr>(leaf: &'static str, text: &str) -> Result<Vec<T>, DecodeError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| one(leaf, line)).collect()
}

/// The listing of `network/interfaces/macs/`: one MAC a line, each with a slash behind it.
pub(super) fn macs(text: &str) -> Result<Vec<MacAddress>, DecodeError> {
    let lines = text.lines().map(|line| line.trim().trim_end_matches('/'));
    lines
        .filter(|line| !line.is_empty())
        .map(|line| one("network/interfaces/macs/", line))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn listings_may_end_in_slashes_and_newlines() {
        let two = macs("02:00:00:00:00:01/\n02:00:00:00:00:02/\n").unwrap();
        assert_eq!(two.len(), 2);
        assert_eq!(macs("02:00:00:00:00:01").unwrap(), two[..1]);
        assert_eq!(macs("").unwrap(), []);
    }

    #[test]
    fn lists_hold_one_value_a_line_or_none() {
        let parsed: Vec<Ipv4Addr> = lines("local-ipv4s", "10.0.0.4\n10.0.0.5").unwrap();
        assert_eq!(
            parsed,
            [Ipv4Addr::new(10, 0, 0, 4), Ipv4Addr::new(10, 0, 0, 5)]
        );
        assert_eq!(
            lines::<Ipv4Addr>("local-ipv4s", "\n").unwrap(),
            [] as [Ipv4Addr; 0]
        );
    }

    #[test]
    fn a_page_instead_of_a_value_is_named_and_cut_short() {
        let page = format!("<html>{}</html>", "x".repeat(500));
        let error = one::<Ipv4Addr>("local-ipv4", &page)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("local-ipv4 is \"<html>xxx"), "{error}");
        assert!(error.len() < 160, "{error}");
        assert!(macs("not-a-mac/").is_err());
    }
}
