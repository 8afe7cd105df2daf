//! Which links of the node are the host ends of pods' veths.

use std::collections::BTreeSet;

use vpc_model::{LinkName, RouteTableId, RulePriority, VethPrefix};

use crate::error::Error;
use crate::netlink::Netlink;
use crate::state::{Link, Rule, Selector};

/// How many hexadecimal digits follow the prefix in a host veth's name.
const DIGITS: usize = 11;

/// What comes before the digits in the name of a host veth; `None` where the name is not made
/// like one. Prefix and digits are told apart by length alone.
pub(crate) fn prefix_of(name: &LinkName) -> Option<VethPrefix> {
    let name = name.as_str();
    let (prefix, digits) = name.split_at_checked(name.len().checked_sub(DIGITS)?)?;
    let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    digits
        .bytes()
        .all(hexadecimal)
        .then(|| prefix.parse().ok())?
}

/// What the host veths of pods begin with: `configured`, and what those of pods that were started
/// under another setting do. Theirs must be the way to an address that has a pod's rule: names
/// alone may be anybody's (Calico makes its own of as many digits).
pub(crate) fn prefixes(
    netlink: &mut Netlink,
    configured: &VethPrefix,
) -> Result<BTreeSet<VethPrefix>, Error> {
    let mut prefixes = BTreeSet::from([configured.clone()]);
    let mut others: Vec<(Link, VethPrefix)> = netlink
        .links()?
        .into_iter()
        .filter(|link| link.kind.as_deref() == Some("veth"))
        .filter_map(|link| prefix_of(&link.name).map(|prefix| (link, prefix)))
        .filter(|(_, prefix)| prefix != configured)
        .collect();
    if others.is_empty() {
        return Ok(prefixes);
    }
    let to_pods: Vec<Rule> = netlink.rules()?;
    let routes = netlink.routes(RouteTableId::MAIN)?;
    others.retain(|(link, _)| {
        routes.iter().any(|route| {
            let leads_here = route.dev.as_ref() == Some(&link.dev());
            leads_here
                && to_pods
                    .iter()
                    .any(|rule| is_to_pod(rule, route.destination))
        })
    });
    prefixes.extend(others.into_iter().map(|(_, prefix)| prefix));
    Ok(prefixes)
}

fn is_to_pod(rule: &Rule, net: ipnet::IpNet) -> bool {
    rule.priority == RulePriority::TO_POD && rule.selector == Selector::To(net)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_veth_is_told_by_its_digits() {
        let prefix = |name: &str| prefix_of(&name.parse().unwrap()).map(String::from);
        assert_eq!(prefix("enicc21c2d7785").as_deref(), Some("eni"));
        assert_eq!(prefix("a00000000000").as_deref(), Some("a"));
        for other in [
            "ens5",
            "cc21c2d7785",
            "vethab12cd3",
            "eniCC21C2D7785",
            "vlancc21c2d7785",
        ] {
            assert_eq!(prefix(other), None, "{other}");
        }
    }
}
