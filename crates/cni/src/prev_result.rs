//! What upstream hides in its results, written and read in one place.
//!
//! DEL gets ADD's result back (`prevResult`), possibly from an ADD by another version on the other
//! side of an upgrade or rollback. Upstream carries what DEL needs in fields that mean something
//! else, and so must we:
//!
//! ```text
//! interfaces[2i]    name = host veth
//! interfaces[2i+1]  name = CNI_IFNAME or mNicIf<i>, sandbox = netns, mac = route table's number
//! interfaces[last]  name = "dummy" + hash, mac = VLAN (0: no branch ENI), sandbox = device number
//! ips[i]            address/32 on interface 2i+1
//! ```
//!
//! A runtime that reads MAC addresses (podman) cannot use such a result; for it the configuration
//! may ask for a plain one: the real MAC, no dummy. DEL then finds the table in the kernel.
//!
//! Three shapes are met: up to 1.12 no dummy for ordinary pods; from 1.12.1 a dummy, and no MAC on
//! the pod's interface (the table follows from the device number); from 1.20 the table as its MAC.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use vpc_model::names::veth_suffix;
use vpc_model::{DeviceIndex, LinkName, MacAddress, NetworkCard, PodName, RouteTableId};

use crate::settings::ResultEncoding;
use crate::spec::{CniResult, Interface, IpConfig};

/// An interface of a pod, as ADD wired it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nic {
    /// The pod's end.
    pub container_if: LinkName,
    /// The host's end.
    pub host_veth: LinkName,
    /// The pod's address.
    pub address: Ipv4Addr,
    /// Route table of the ENI that owns the address.
    pub table: RouteTableId,
    /// The pod end's MAC address.
    pub mac: MacAddress,
}

/// What ADD did, as far as its result tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Previous {
    /// An ordinary pod.
    Ordinary(Vec<PreviousNic>),
    /// A pod with a branch ENI of its own (security groups for pods).
    Branch {
        /// The VLAN of its branch ENI.
        vlan: u32,
    },
}

/// An interface of an ordinary pod, from a previous result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreviousNic {
    /// Its place among the pod's interfaces.
    pub index: u8,
    /// The pod's end.
    pub container_if: LinkName,
    /// The pod's address.
    pub address: Ipv4Addr,
    /// Route table of the ENI that owns the address, where the result tells.
    pub table: Option<RouteTableId>,
}

/// Why a result does not tell.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// The VLAN is no number.
    #[error("the VLAN in interface {interface} is {value:?}; allowed: a number")]
    Vlan {
        /// The interface.
        interface: String,
        /// What stands there.
        value: String,
    },
    /// No interface of the pod has exactly one IPv4 address.
    #[error("no interface {0} with exactly one IPv4 address")]
    NoAddress(LinkName),
}

/// The name of a pod's interface by its place: the one the runtime chose, then upstream's.
/// `None` past what fits a name.
#[must_use]
pub fn container_if(chosen: &LinkName, index: u8) -> Option<LinkName> {
    if index == 0 {
        Some(chosen.clone())
    } else {
        format!("mNicIf{index}").parse().ok()
    }
}

/// The result of an ADD that wired `nics` in the namespace `sandbox`. `device` is the device
/// number of the ENI behind the first.
#[must_use]
pub fn encode(
    nics: &[Nic],
    sandbox: &str,
    pod: &PodName,
    device: DeviceIndex,
    encoding: ResultEncoding,
) -> CniResult {
    let mut result = CniResult::default();
    for nic in nics {
        result.ips.push(IpConfig {
            interface: Some(result.interfaces.len() + 1),
            address: IpNet::V4(Ipv4Net::from(nic.address)),
            gateway: None,
        });
        result.interfaces.push(Interface {
            name: nic.host_veth.to_string(),
            ..Interface::default()
        });
        result.interfaces.push(Interface {
            name: nic.container_if.to_string(),
            mac: match encoding {
                ResultEncoding::Upstream => nic.table.to_string(),
                ResultEncoding::Plain => nic.mac.to_string(),
            },
            sandbox: sandbox.to_owned(),
        });
    }
    if encoding == ResultEncoding::Upstream {
        result.interfaces.push(Interface {
            name: dummy_name(pod),
            mac: "0".to_owned(),
            sandbox: device.to_string(),
        });
    }
    result
}

/// Reads a result of ours or of any upstream version for the pod's interface `chosen`.
///
/// # Errors
/// What DEL and CHECK would need is not in it.
pub fn decode(
    result: &CniResult,
    pod: &PodName,
    chosen: &LinkName,
) -> Result<Previous, DecodeError> {
    let name = dummy_name(pod);
    let dummy = result
        .interfaces
        .iter()
        .find(|interface| interface.name == name);
    if let Some(dummy) = dummy {
        let vlan = dummy.mac.parse().map_err(|_| DecodeError::Vlan {
            interface: name,
            value: dummy.mac.clone(),
        })?;
        if vlan != 0 {
            return Ok(Previous::Branch { vlan });
        }
    }
    // Plugins behind this one may have added interfaces; names decide, not places.
    let most = u8::try_from(result.interfaces.len() / 2 + 1).unwrap_or(u8::MAX);
    let nics: Vec<_> = (0..most)
        .filter_map(|index| previous_nic(result, chosen, index, dummy))
        .collect();
    if nics.is_empty() {
        Err(DecodeError::NoAddress(chosen.clone()))
    } else {
        Ok(Previous::Ordinary(nics))
    }
}

fn previous_nic(
    result: &CniResult,
    chosen: &LinkName,
    index: u8,
    dummy: Option<&Interface>,
) -> Option<PreviousNic> {
    let container_if = container_if(chosen, index)?;
    let place = result
        .interfaces
        .iter()
        .position(|interface| interface.name == container_if.as_str())?;
    let mut addresses = result.ips.iter().filter(|ip| ip.interface == Some(place));
    let (Some(ip), None) = (addresses.next(), addresses.next()) else {
        return None;
    };
    let IpNet::V4(address) = ip.address else {
        return None;
    };
    let stated = result.interfaces[place].mac.parse().ok().map(RouteTableId);
    // Before 1.20 every ENI was on card 0.
    let from_device = || {
        let device = dummy?.sandbox.parse().ok()?;
        Some(RouteTableId::for_eni(NetworkCard(0), DeviceIndex(device)))
    };
    let table = stated.or_else(from_device).map(known_table);
    Some(PreviousNic {
        index,
        container_if,
        address: address.addr(),
        table,
    })
}

/// Upstream takes numbers up to 1 for main.
pub(crate) fn known_table(table: RouteTableId) -> RouteTableId {
    if table.0 <= 1 {
        RouteTableId::MAIN
    } else {
        table
    }
}

/// 16 characters: no link has this name, nor could.
fn dummy_name(pod: &PodName) -> String {
    format!("dummy{}", veth_suffix(pod, 0))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::spec::SpecVersion;
    use crate::spec::json::Object;

    #[test]
    fn the_result_is_upstreams() {
        let nic = nic("eth0", "enicc21c2d7785", 2);
        let result = encode(
            &[nic],
            "/run/netns/a",
            &pod(),
            DeviceIndex(1),
            ResultEncoding::Upstream,
        );
        let text = result.render(SpecVersion::V0_4_0);
        let expected = json!({
            "cniVersion": "0.4.0",
            "interfaces": [
                { "name": "enicc21c2d7785" },
                { "name": "eth0", "mac": "2", "sandbox": "/run/netns/a" },
                { "name": "dummycc21c2d7785", "mac": "0", "sandbox": "1" }
            ],
            "ips": [{ "version": "4", "interface": 1, "address": "10.0.1.15/32" }],
            "dns": {}
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let nics = [
            nic("eth0", "enicc21c2d7785", 254),
            nic("mNicIf1", "enia0b7655f3c9", 10101),
        ];
        let result = encode(
            &nics,
            "/run/netns/a",
            &pod(),
            DeviceIndex(0),
            ResultEncoding::Upstream,
        );
        let Previous::Ordinary(previous) = decode(&result, &pod(), &eth0()).unwrap() else {
            panic!("an ordinary pod")
        };
        let tables: Vec<_> = previous.iter().map(|nic| nic.table).collect();
        assert_eq!(
            tables,
            [Some(RouteTableId::MAIN), Some(RouteTableId(10101))]
        );
        assert_eq!(previous[1].index, 1);
    }

    #[test]
    fn results_of_three_generations_of_upstream_are_understood() {
        let ordinary = |pod_end: Value, dummy: Option<Value>| {
            let mut interfaces = vec![json!({ "name": "enicc21c2d7785" }), pod_end];
            interfaces.extend(dummy);
            table_of(&json!({
                "interfaces": interfaces, "ips": [{ "interface": 1, "address": "10.0.1.15/32" }]
            }))
        };
        let bare = json!({ "name": "eth0", "sandbox": "/x" });
        let dummy = |device: &str| {
            Some(json!({ "name": "dummycc21c2d7785", "mac": "0", "sandbox": device }))
        };
        // Up to 1.12.
        assert_eq!(ordinary(bare.clone(), None), None);
        // 1.12.1 to 1.19.
        assert_eq!(ordinary(bare.clone(), dummy("0")), Some(RouteTableId::MAIN));
        assert_eq!(ordinary(bare.clone(), dummy("5")), Some(RouteTableId(6)));
        assert_eq!(ordinary(bare, dummy("?")), None);
        // From 1.20.
        let stated = json!({ "name": "eth0", "mac": "10101", "sandbox": "/x" });
        assert_eq!(ordinary(stated, dummy("1")), Some(RouteTableId(10101)));
        // A later plugin may have written a real MAC over it.
        let rewritten = json!({ "name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": "/x" });
        assert_eq!(ordinary(rewritten, dummy("5")), Some(RouteTableId(6)));
    }

    #[test]
    fn a_branch_pod_is_told_from_an_ordinary_one() {
        let result = parse(&json!({ "interfaces": [{ "name": "dummycc21c2d7785", "mac": "7" }] }));
        assert_eq!(
            decode(&result, &pod(), &eth0()),
            Ok(Previous::Branch { vlan: 7 })
        );
        let result = parse(&json!({ "interfaces": [{ "name": "dummycc21c2d7785", "mac": "x" }] }));
        assert!(matches!(
            decode(&result, &pod(), &eth0()),
            Err(DecodeError::Vlan { .. })
        ));
    }

    #[test]
    fn interfaces_of_plugins_further_down_the_chain_are_not_the_pods() {
        let previous = table_of(&json!({
            "interfaces": [
                { "name": "v4if0", "sandbox": "/x" }, { "name": "vethegress" },
                { "name": "enicc21c2d7785" }, { "name": "eth0", "mac": "3", "sandbox": "/x" },
                { "name": "dummycc21c2d7785", "mac": "0", "sandbox": "2" }
            ],
            "ips": [
                { "interface": 0, "address": "169.254.172.5/22" },
                { "interface": 3, "address": "10.0.1.15/32" }
            ]
        }));
        assert_eq!(previous, Some(RouteTableId(3)));
    }

    #[test]
    fn a_result_without_the_pods_address_says_so() {
        for result in [
            json!({}),
            json!({ "interfaces": [{ "name": "eth0" }] }),
            json!({ "interfaces": [{ "name": "eth0" }], "ips": [{ "interface": 0, "address": "fd00::1/128" }] }),
            json!({ "interfaces": [{ "name": "eth1" }], "ips": [{ "interface": 0, "address": "10.0.1.15/32" }] }),
        ] {
            let error = decode(&parse(&result), &pod(), &eth0()).unwrap_err();
            assert_eq!(error, DecodeError::NoAddress(eth0()), "{result}");
        }
    }

    fn table_of(result: &Value) -> Option<RouteTableId> {
        match decode(&parse(result), &pod(), &eth0()).unwrap() {
            Previous::Ordinary(nics) => {
                assert_eq!(nics.len(), 1);
                assert_eq!(nics[0].address, Ipv4Addr::new(10, 0, 1, 15));
                nics[0].table
            }
            Previous::Branch { vlan } => panic!("VLAN {vlan}"),
        }
    }

    fn parse(result: &Value) -> CniResult {
        CniResult::parse(&Object::root(result.as_object().unwrap())).unwrap()
    }

    fn nic(container_if: &str, host_veth: &str, table: u32) -> Nic {
        Nic {
            container_if: container_if.parse().unwrap(),
            host_veth: host_veth.parse().unwrap(),
            address: Ipv4Addr::new(10, 0, 1, 15),
            table: RouteTableId(table),
            mac: MacAddress([2, 0, 0, 0, 0, 1]),
        }
    }

    fn eth0() -> LinkName {
        "eth0".parse().unwrap()
    }

    fn pod() -> PodName {
        PodName {
            namespace: "default".to_owned(),
            name: "sample-pod".to_owned(),
        }
    }
}
