//! Names of network interfaces.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name the kernel accepts for a network interface: 1 to 15 bytes, no slash, colon or white
/// space, not `.` or `..` (`dev_valid_name` in the kernel's net/core/dev.c).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkName(String);

/// A name the kernel would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "interface name is {0:?}; allowed: 1 to 15 bytes without '/', ':' or white space, not '.' or '..'"
)]
pub struct LinkNameError(String);

impl LinkName {
    /// The name as the kernel shows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LinkName {
    type Err = LinkNameError;

    fn from_str(text: &str) -> Result<Self, LinkNameError> {
        let fits = (1..=15).contains(&text.len()) && text != "." && text != "..";
        let bad_byte =
            |b: u8| b == b'/' || b == b':' || b == 0 || b.is_ascii_whitespace() || b == 0x0b;
        if fits && !text.bytes().any(bad_byte) {
            Ok(Self(text.to_owned()))
        } else {
            Err(LinkNameError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for LinkName {
    type Error = LinkNameError;

    fn try_from(text: String) -> Result<Self, LinkNameError> {
        text.parse()
    }
}

impl From<LinkName> for String {
    fn from(name: LinkName) -> String {
        name.0
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the host end of every pod's veth begins with; `eni` unless set otherwise. At most four
/// bytes, so that eleven hash digits fit behind it, and none of the names other interfaces of a
/// node begin with.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VethPrefix(String);

/// A veth prefix that is too long, reserved, or not fit for an interface name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("veth prefix is {0:?}; allowed: 1 to 4 letters or digits, not eth, lo or vlan")]
pub struct VethPrefixError(String);

impl VethPrefix {
    /// Names other interfaces of the node have or begin with (upstream refuses the same three).
    pub const RESERVED: [&'static str; 3] = ["eth", "lo", "vlan"];

    /// The prefix itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for VethPrefix {
    fn default() -> Self {
        Self("eni".to_owned())
    }
}

impl FromStr for VethPrefix {
    type Err = VethPrefixError;

    fn from_str(text: &str) -> Result<Self, VethPrefixError> {
        let fits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if fits && !Self::RESERVED.contains(&text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(VethPrefixError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for VethPrefix {
    type Error = VethPrefixError;

    fn try_from(text: String) -> Result<Self, VethPrefixError> {
        text.parse()
    }
}

impl From<VethPrefix> for String {
    fn from(prefix: VethPrefix) -> String {
        prefix.0
    }
}

impl fmt::Display for VethPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for VethPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_names_are_what_the_kernel_takes() {
        for good in ["eth0", "vlan.eth.5", "123456789012345", "é"] {
            assert!(good.parse::<LinkName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a:b",
            "a b",
            "a\u{b}",
            "1234567890123456",
        ] {
            assert!(bad.parse::<LinkName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn reserved_and_long_veth_prefixes_are_refused() {
        assert_eq!(VethPrefix::default().as_str(), "eni");
        for bad in ["", "eth", "lo", "vlan", "abcde", "a b", "a."] {
            assert!(bad.parse::<VethPrefix>().is_err(), "{bad:?}");
        }
    }
}
