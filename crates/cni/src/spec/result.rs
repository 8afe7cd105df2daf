//! The result of ADD, in the shape of each version.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::json::{Item, Object, shortened};
use super::output;
use super::version::SpecVersion;
use crate::error::Error;

/// What ADD made, independent of a version.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CniResult {
    /// Interfaces, on the host and in the sandbox.
    pub interfaces: Vec<Interface>,
    /// Addresses.
    pub ips: Vec<IpConfig>,
}

/// An interface.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its MAC address; text, because upstream puts other things here.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mac: String,
    /// Path of the network namespace it is in; empty for the host's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sandbox: String,
}

/// An address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IpConfig {
    /// Index of its interface in the result.
    pub interface: Option<usize>,
    /// The address with its prefix length.
    pub address: IpNet,
    /// The gateway, if one is announced.
    pub gateway: Option<IpAddr>,
}

impl CniResult {
    /// The JSON a plugin prints, in the shape of `version`. Versions before 0.3.0 know one
    /// address per family and no interfaces.
    #[must_use]
    pub fn render(&self, version: SpecVersion) -> String {
        if version < SpecVersion::V0_3_0 {
            let (v4, v6): (Vec<_>, Vec<_>) = self
                .ips
                .iter()
                .partition(|ip| matches!(ip.address, IpNet::V4(_)));
            let first = |ips: Vec<&IpConfig>| ips.first().map(|ip| ip.single());
            return output::pretty(&SingleAddress {
                cni_version: version.as_str(),
                ip4: first(v4),
                ip6: first(v6),
                dns: Empty {},
            });
        }
        let before_1 = version < SpecVersion::V1_0_0;
        output::pretty(&Rendered {
            cni_version: version.as_str(),
            interfaces: &self.interfaces,
            ips: self.ips.iter().map(|ip| ip.rendered(before_1)).collect(),
            dns: before_1.then_some(Empty {}),
        })
    }

    /// Parses a previous result of version 0.3.0 or later.
    ///
    /// # Errors
    /// A field of the wrong type, or an address that is none.
    pub(crate) fn parse(object: &Object<'_>) -> Result<Self, Error> {
        let interfaces = object.list("interfaces")?.into_iter().map(interface);
        let ips = object.list("ips")?.into_iter().map(ip_config);
        Ok(Self {
            interfaces: interfaces.collect::<Result<_, _>>()?,
            ips: ips.collect::<Result<_, _>>()?,
        })
    }
}

impl IpConfig {
    fn rendered(&self, with_version: bool) -> RenderedIp {
        RenderedIp {
            version: with_version.then_some(match self.address {
                IpNet::V4(_) => "4",
                IpNet::V6(_) => "6",
            }),
            interface: self.interface,
            address: self.address.to_string(),
            gateway: self.gateway.map(|gateway| gateway.to_string()),
        }
    }

    fn single(&self) -> SingleIp {
        SingleIp {
            ip: self.address.to_string(),
            gateway: self.gateway.map(|gateway| gateway.to_string()),
        }
    }
}

fn interface(item: Item<'_>) -> Result<Interface, Error> {
    let object = item.object()?;
    let text = |name| Ok::<_, Error>(object.text(name)?.unwrap_or_default().to_owned());
    Ok(Interface {
        name: text("name")?,
        mac: text("mac")?,
        sandbox: text("sandbox")?,
    })
}

fn ip_config(item: Item<'_>) -> Result<IpConfig, Error> {
    let object = item.object()?;
    let invalid = |field: &str, value: &str, allowed: &str| Error::InvalidField {
        field: object.path_of(field),
        value: shortened(value),
        allowed: allowed.to_owned(),
    };
    let address = object.text("address")?.unwrap_or_default();
    let gateway = object.text("gateway")?.filter(|text| !text.is_empty());
    Ok(IpConfig {
        interface: object
            .item("interface")
            .map(|item| item.index())
            .transpose()?,
        address: address
            .parse()
            .map_err(|_| invalid("address", address, "an address with its prefix length"))?,
        gateway: gateway
            .map(|text| {
                text.parse()
                    .map_err(|_| invalid("gateway", text, "an address"))
            })
            .transpose()?,
    })
}

/// 0.3.0 and later.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rendered<'a> {
    cni_version: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    interfaces: &'a [Interface],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ips: Vec<RenderedIp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<Empty>,
}

#[derive(Serialize)]
struct RenderedIp {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<usize>,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
}

/// 0.1.0 and 0.2.0.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SingleAddress {
    cni_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip4: Option<SingleIp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip6: Option<SingleIp>,
    dns: Empty,
}

#[derive(Serialize)]
struct SingleIp {
    ip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
}

/// `{}`: no DNS settings.
#[derive(Serialize)]
struct Empty {}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_shape_is_that_of_each_version() {
        let interfaces = json!([
            { "name": "enicc21c2d7785" },
            { "name": "eth0", "mac": "2", "sandbox": "/run/netns/a" }
        ]);
        let with_family = json!([{ "version": "4", "interface": 1, "address": "10.0.1.15/32" }]);
        let without = json!([{ "interface": 1, "address": "10.0.1.15/32" }]);
        for version in [
            SpecVersion::V0_3_0,
            SpecVersion::V0_3_1,
            SpecVersion::V0_4_0,
        ] {
            let expected = json!({
                "cniVersion": version.as_str(), "interfaces": interfaces, "ips": with_family, "dns": {}
            });
            assert_eq!(rendered(version), expected);
        }
        for version in [SpecVersion::V1_0_0, SpecVersion::V1_1_0] {
            let expected = json!({
                "cniVersion": version.as_str(), "interfaces": interfaces, "ips": without
            });
            assert_eq!(rendered(version), expected);
        }
        for version in [SpecVersion::V0_1_0, SpecVersion::V0_2_0] {
            let expected = json!({
                "cniVersion": version.as_str(), "ip4": { "ip": "10.0.1.15/32" }, "dns": {}
            });
            assert_eq!(rendered(version), expected);
        }
    }

    #[test]
    fn what_is_rendered_parses_back() {
        for version in SpecVersion::ALL
            .into_iter()
            .filter(|it| *it >= SpecVersion::V0_3_0)
        {
            let value = rendered(version);
            let parsed = CniResult::parse(&Object::root(value.as_object().unwrap()));
            assert_eq!(parsed.unwrap(), result());
        }
    }

    #[test]
    fn the_text_is_indented_as_the_cni_librarys() {
        let text = result().render(SpecVersion::V1_0_0);
        assert!(
            text.starts_with("{\n    \"cniVersion\": \"1.0.0\",\n    \"interfaces\": ["),
            "{text}"
        );
    }

    fn rendered(version: SpecVersion) -> Value {
        serde_json::from_str(&result().render(version)).unwrap()
    }

    fn result() -> CniResult {
        let host = Interface {
            name: "enicc21c2d7785".to_owned(),
            ..Default::default()
        };
        let pod = Interface {
            name: "eth0".to_owned(),
            mac: "2".to_owned(),
            sandbox: "/run/netns/a".to_owned(),
        };
        let address = "10.0.1.15/32".parse().unwrap();
        let ip = IpConfig {
            interface: Some(1),
            address,
            gateway: None,
        };
        CniResult {
            interfaces: vec![host, pod],
            ips: vec![ip],
        }
    }
}
