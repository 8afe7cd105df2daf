//! The network configuration on standard input: the part every plugin has.

use std::io::Read;

use serde_json::{Map, Value};

use super::env::{IDENTIFIER, is_identifier};
use super::json::{Object, shortened};
use super::result::CniResult;
use super::version::SpecVersion;
use crate::error::Error;

/// The largest configuration that is read, previous result included: 1 MiB.
const LARGEST: u64 = 1 << 20;

/// A network configuration.
#[derive(Debug)]
pub struct NetConf {
    /// `cniVersion`; 0.1.0 when there is none, as the CNI library has it.
    pub version: SpecVersion,
    /// `name` of the network.
    pub name: String,
    /// `prevResult`: what the plugins before this one, or an earlier ADD, returned.
    pub prev_result: Option<CniResult>,
    /// Why there is a `prevResult` that cannot be used. Only DEL goes on in spite of it.
    pub bad_prev_result: Option<Error>,
    document: Map<String, Value>,
}

impl NetConf {
    /// Reads and parses the configuration. Fields nobody asks for may be anything.
    ///
    /// # Errors
    /// It cannot be read, is not a JSON object, or has a version that is not supported or a name
    /// that is not allowed.
    pub fn read(input: &mut dyn Read) -> Result<Self, Error> {
        let mut text = Vec::new();
        let size = input
            .take(LARGEST + 1)
            .read_to_end(&mut text)
            .map_err(Error::Stdin)?;
        if u64::try_from(size).is_ok_and(|size| size > LARGEST) {
            return Err(Error::TooLarge { limit: LARGEST });
        }
        Self::parse(&text)
    }

    fn parse(text: &[u8]) -> Result<Self, Error> {
        let document: Map<String, Value> = serde_json::from_slice(text).map_err(Error::NotJson)?;
        let root = Object::root(&document);
        let version = version(&root)?.unwrap_or(SpecVersion::V0_1_0);
        let field = "name";
        let name = root.text(field)?.unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(Error::MissingField {
                field: field.to_owned(),
                needed: "the network's name",
            });
        }
        if !is_identifier(&name) {
            return Err(Error::InvalidField {
                field: field.to_owned(),
                value: shortened(&name),
                allowed: IDENTIFIER.to_owned(),
            });
        }
        let (prev_result, bad_prev_result) = match prev_result(&root) {
            Ok(result) => (result, None),
            Err(error) => (None, Some(error)),
        };
        Ok(Self {
            version,
            name,
            prev_result,
            bad_prev_result,
            document,
        })
    }

    /// The configuration's object, for the fields that are a plugin's own.
    pub(crate) fn root(&self) -> Object<'_> {
        Object::root(&self.document)
    }
}

fn prev_result(root: &Object<'_>) -> Result<Option<CniResult>, Error> {
    let Some(result) = root.object("prevResult")? else {
        return Ok(None);
    };
    // Its own version, where it states one, must be one whose shape is known.
    version(&result)?;
    CniResult::parse(&result).map(Some)
}

fn version(object: &Object<'_>) -> Result<Option<SpecVersion>, Error> {
    let field = "cniVersion";
    let Some(text) = object.text(field)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(version) => Ok(Some(version)),
        Err(_) => Err(Error::Version {
            field: object.path_of(field),
            value: shortened(text),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_without_a_version_is_0_1_0() {
        let conf = NetConf::parse(br#"{"name":"n"}"#).unwrap();
        assert_eq!(conf.version, SpecVersion::V0_1_0);
        assert_eq!(conf.prev_result, None);
    }

    #[test]
    fn fields_of_other_plugins_may_be_anything() {
        let text = br#"{"cniVersion":"1.0.0","name":"n","ipam":7,"x":[{}],"mtu":{}}"#;
        assert_eq!(NetConf::parse(text).unwrap().name, "n");
    }
}
