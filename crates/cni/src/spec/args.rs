//! `CNI_ARGS`: `KEY=value` pairs between semicolons.

use vpc_model::PodName;

use super::json::shortened;
use crate::error::Error;

const NAME: &str = "CNI_ARGS";

/// The longest value: Kubernetes' longest name.
const LONGEST: usize = 253;

/// The keys this plugin knows. A key it does not know is an error unless `IgnoreUnknown` is set,
/// as the CNI library has it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CniArgs {
    /// `K8S_POD_NAMESPACE` and `K8S_POD_NAME`; empty outside Kubernetes.
    pub pod: PodName,
    /// `K8S_POD_INFRA_CONTAINER_ID`; for logs.
    pub infra_container_id: String,
    /// `K8S_POD_UID`.
    pub pod_uid: String,
}

impl CniArgs {
    /// Parses the variable; nothing set is nothing given.
    ///
    /// # Errors
    /// A pair without exactly one `=`, a value no name can have, a value of `IgnoreUnknown` that is no boolean, or a key
    /// that is not known and not to be ignored.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut args = Self::default();
        let mut ignore_unknown = false;
        let mut unknown = None;
        for pair in text.split(';').filter(|_| !text.is_empty()) {
            let (key, value) = split(pair)?;
            match key {
                "IgnoreUnknown" => ignore_unknown = boolean(value)?,
                "K8S_POD_NAME" => args.pod.name = name(pair, value)?,
                "K8S_POD_NAMESPACE" => args.pod.namespace = name(pair, value)?,
                "K8S_POD_INFRA_CONTAINER_ID" => args.infra_container_id = name(pair, value)?,
                "K8S_POD_UID" => args.pod_uid = name(pair, value)?,
                _ => unknown = unknown.or(Some(pair)),
            }
        }
        match unknown {
            Some(pair) if !ignore_unknown => Err(invalid(
                pair,
                "IgnoreUnknown, K8S_POD_NAME, K8S_POD_NAMESPACE, K8S_POD_INFRA_CONTAINER_ID, \
                 K8S_POD_UID; others with IgnoreUnknown=1",
            )),
            Some(_) | None => Ok(args),
        }
    }
}

fn split(pair: &str) -> Result<(&str, &str), Error> {
    match pair.split_once('=') {
        Some((key, value)) if !value.contains('=') => Ok((key, value)),
        Some(_) | None => Err(invalid(
            pair,
            "KEY=value pairs between semicolons, one equals sign in each",
        )),
    }
}

fn name(pair: &str, value: &str) -> Result<String, Error> {
    if value.len() > LONGEST || value.chars().any(char::is_control) {
        return Err(invalid(
            pair,
            "values of at most 253 bytes without control characters",
        ));
    }
    Ok(value.to_owned())
}

fn boolean(value: &str) -> Result<bool, Error> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(invalid(
            &format!("IgnoreUnknown={value}"),
            "IgnoreUnknown=1, true, 0 or false",
        )),
    }
}

fn invalid(shown: &str, allowed: &'static str) -> Error {
    Error::Environment {
        name: NAME,
        value: shortened(shown),
        allowed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kubelet_passes_is_read() {
        let args = CniArgs::parse(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;\
             K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=1-2",
        );
        let pod = PodName {
            namespace: "default".to_owned(),
            name: "web".to_owned(),
        };
        let (infra_container_id, pod_uid) = ("abc".to_owned(), "1-2".to_owned());
        assert_eq!(
            args.unwrap(),
            CniArgs {
                pod,
                infra_container_id,
                pod_uid
            }
        );
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(CniArgs::parse("").unwrap(), CniArgs::default());
    }

    #[test]
    fn unknown_keys_are_ignored_only_on_request_wherever_it_stands() {
        for good in ["A=b;IgnoreUnknown=1", "IgnoreUnknown=TRUE;A=b"] {
            assert!(CniArgs::parse(good).is_ok(), "{good}");
        }
        for bad in ["A=b", "A=b;IgnoreUnknown=0"] {
            assert!(CniArgs::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn malformed_pairs_are_errors_also_when_unknown_keys_are_ignored() {
        for bad in [
            "K8S_POD_NAME",
            "K8S_POD_NAME=a=b",
            ";",
            "K8S_POD_NAME=a;",
            "IgnoreUnknown=yes",
        ] {
            let text = format!("IgnoreUnknown=1;{bad}");
            assert!(CniArgs::parse(&text).is_err(), "{text}");
        }
    }
}
