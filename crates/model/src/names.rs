//! Names both the plugin and the daemon must derive alike, on both sides of an upgrade from or to
//! upstream: other software (Calico, the network-policy agent) computes them too.

use sha1::{Digest, Sha1};

use crate::link::{LinkName, VethPrefix};
use crate::pod::PodName;

/// The part of a host veth's name that identifies the pod: the first 11 hexadecimal digits of
/// SHA-1 over `<namespace>.<name>`, or `<namespace>.<name>.<index>` for further interfaces
/// (upstream's rule).
#[must_use]
pub fn veth_suffix(pod: &PodName, index: u8) -> String {
    let text = if index == 0 {
        format!("{}.{}", pod.namespace, pod.name)
    } else {
        format!("{}.{}.{index}", pod.namespace, pod.name)
    };
    let digest = Sha1::digest(text.as_bytes());
    let mut suffix: String = digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    suffix.truncate(11);
    suffix
}

/// The host end of a pod's veth: prefix and [`veth_suffix`]. Always fits: 4 + 11 bytes at most.
#[must_use]
pub fn host_veth(prefix: &VethPrefix, pod: &PodName, index: u8) -> LinkName {
    let name = format!("{prefix}{}", veth_suffix(pod, index));
    match name.parse() {
        Ok(link) => link,
        Err(_) => unreachable!("a veth prefix of at most 4 alphanumerics and 11 digits fit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(namespace: &str, name: &str) -> PodName {
        PodName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn suffixes_equal_upstreams_golden_vectors() {
        let vectors = [
            ("kube-system", "coredns-57ff979f67-qqbdh", 0, "b5faff8a083"),
            ("kube-system", "coredns-57ff979f67-8ns9b", 0, "9571956a6cc"),
            ("default", "sample-pod", 0, "cc21c2d7785"),
            ("", "", 0, "3a52ce78095"),
            ("", "", 1, "ce799470a46"),
            ("default", "sample-pod", 1, "a0b7655f3c9"),
        ];
        for (namespace, name, index, suffix) in vectors {
            assert_eq!(veth_suffix(&pod(namespace, name), index), suffix);
        }
    }

    #[test]
    fn a_host_veth_is_prefix_and_suffix() {
        let link = host_veth(&VethPrefix::default(), &pod("default", "sample-pod"), 0);
        assert_eq!(link.as_str(), "enicc21c2d7785");
    }
}
