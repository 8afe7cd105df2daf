//! Identifiers of EC2 resources. Each is opaque text with a fixed prefix; the prefix is checked so
//! that a subnet cannot be passed where an ENI is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An identifier that does not have the form EC2 gives to that kind of resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} is {value:?}; allowed: {allowed}")]
pub struct IdError {
    kind: &'static str,
    value: String,
    allowed: &'static str,
}

fn is_id_body(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as EC2 writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                match text.strip_prefix($prefix) {
                    Some(body) if is_id_body(body) => Ok(Self(text.to_owned())),
                    _ => Err(IdError {
                        kind: $kind,
                        value: text.to_owned(),
                        allowed: concat!(
                            "\"", $prefix, "\" followed by lower-case letters, digits or dashes"
                        ),
                    }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// An elastic network interface, `eni-…`.
    EniId, "ENI id", "eni-"
);
id!(
    /// The attachment of an ENI to an instance, `eni-attach-…`.
    AttachmentId, "attachment id", "eni-attach-"
);
id!(
    /// A subnet, `subnet-…`.
    SubnetId, "subnet id", "subnet-"
);
id!(
    /// A VPC, `vpc-…`.
    VpcId, "VPC id", "vpc-"
);
id!(
    /// An EC2 instance, `i-…`.
    InstanceId, "instance id", "i-"
);
id!(
    /// A security group, `sg-…`.
    SecurityGroupId, "security group id", "sg-"
);

/// An EC2 instance type such as `m5.large`: a family, a dot and a size.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceType(String);

impl InstanceType {
    /// The type's name as EC2 writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceType {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let body = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        match text.split_once('.') {
            Some((family, size)) if body(family) && body(size) && text.len() <= 48 => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(IdError {
                kind: "instance type",
                value: text.to_owned(),
                allowed: "a family, a dot and a size in lower case, for example m5.large",
            }),
        }
    }
}

impl TryFrom<String> for InstanceType {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<InstanceType> for String {
    fn from(value: InstanceType) -> String {
        value.0
    }
}

impl fmt::Display for InstanceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for InstanceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_its_text() {
        let id: EniId = "eni-0a1b2c".parse().unwrap();
        assert_eq!(id.to_string(), "eni-0a1b2c");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"eni-0a1b2c\"");
    }

    #[test]
    fn an_id_of_another_kind_is_refused_also_by_serde() {
        let error = "subnet-1".parse::<EniId>().unwrap_err().to_string();
        assert!(error.contains("ENI id is \"subnet-1\""), "{error}");
        assert!(serde_json::from_str::<EniId>("\"subnet-1\"").is_err());
        assert!("eni-".parse::<EniId>().is_err());
        assert!("eni-1;rm".parse::<EniId>().is_err());
    }

    #[test]
    fn instance_types_have_a_family_and_a_size() {
        assert!("u-6tb1.112xlarge".parse::<InstanceType>().is_ok());
        for bad in ["", "m5", ".large", "m5.", "M5.large", "m5.large "] {
            assert!(bad.parse::<InstanceType>().is_err(), "{bad:?}");
        }
    }
}
