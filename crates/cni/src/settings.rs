//! The fields of the network configuration that are this plugin's own: upstream's,
//! `ipamdSocket` and `resultEncoding`.

use std::path::{Path, PathBuf};

use vpc_model::{Mtu, VethPrefix};

use crate::error::Error;
use crate::log::{Level, LogSettings, Target};
use crate::spec::NetConf;
use crate::spec::json::shortened;

/// The pod annotation that asks for an interface on every network card, and its value.
const MULTI_NIC: (&str, &str) = ("k8s.amazonaws.com/nicConfig", "multi-nic-attachment");

/// Where runtimes that know the capability put a pod's annotations.
const ANNOTATIONS: &str = "io.kubernetes.cri.pod-annotations";

/// How a pod with security groups of its own is cut off from the rest of the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EnforcingMode {
    /// All its traffic goes through its branch ENI, traffic within the node too.
    Strict,
    /// Traffic within the node does not.
    Standard,
}

/// What a result carries besides what the specification has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResultEncoding {
    /// What upstream's DEL needs, in fields that mean something else.
    Upstream,
    /// Nothing, for runtimes that read those fields (podman does).
    Plain,
}

/// How many interfaces the pod asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attachment {
    /// One.
    Single,
    /// One on every network card of the instance.
    EveryCard,
}

/// What wiring a pod depends on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PodSettings {
    /// `vethPrefix`: what names of host veths begin with.
    pub veth_prefix: VethPrefix,
    /// `mtu`: text in the configuration.
    pub mtu: Mtu,
    /// `podSGEnforcingMode`.
    pub enforcing_mode: EnforcingMode,
    /// `resultEncoding`, ours.
    pub result_encoding: ResultEncoding,
    /// From the pod's annotations, where the runtime passes them.
    pub attachment: Attachment,
}

impl PodSettings {
    /// Reads the fields.
    ///
    /// # Errors
    /// Names the first that is not allowed. Upstream takes an MTU it does not understand for
    /// 9001, and an unknown mode for one without any rules; both are refused here.
    pub fn read(conf: &NetConf) -> Result<Self, Error> {
        Ok(Self {
            veth_prefix: veth_prefix(conf)?,
            mtu: mtu(conf)?,
            enforcing_mode: enforcing_mode(conf)?,
            result_encoding: result_encoding(conf)?,
            attachment: attachment(conf)?,
        })
    }
}

/// `vethPrefix`, `eni` when there is none.
///
/// # Errors
/// It is not allowed.
pub fn veth_prefix(conf: &NetConf) -> Result<VethPrefix, Error> {
    let field = "vethPrefix";
    let Some(text) = conf.root().text(field)? else {
        return Ok(VethPrefix::default());
    };
    let allowed = "1 to 4 letters or digits, not eth, lo or vlan";
    text.parse().map_err(|_| invalid(field, text, allowed))
}

/// `ipamdSocket`: where ipamd listens, upstream's path when it is not set.
///
/// # Errors
/// It is not an absolute path.
pub fn socket(conf: &NetConf) -> Result<PathBuf, Error> {
    let field = "ipamdSocket";
    match conf.root().text(field)?.filter(|text| !text.is_empty()) {
        None => Ok(PathBuf::from(vpc_rpc::DEFAULT_SOCKET)),
        Some(text) if Path::new(text).is_absolute() => Ok(PathBuf::from(text)),
        Some(text) => Err(invalid(field, text, "an absolute path")),
    }
}

/// `pluginLogFile` and `pluginLogLevel`.
///
/// # Errors
/// The log would go to standard output, where the result belongs.
pub fn log(conf: &NetConf) -> Result<LogSettings, Error> {
    let root = conf.root();
    let field = "pluginLogFile";
    let target = match root.text(field)?.unwrap_or_default() {
        text if text.is_empty() || text.eq_ignore_ascii_case("stderr") => Target::Stderr,
        text if text.eq_ignore_ascii_case("stdout") => {
            return Err(invalid(
                field,
                text,
                "stderr or a file; stdout is for the result",
            ));
        }
        text => Target::File(PathBuf::from(text)),
    };
    let level = match root
        .text("pluginLogLevel")?
        .unwrap_or_default()
        .to_ascii_lowercase()
        .as_str()
    {
        "error" | "fatal" => Level::Error,
        "warn" => Level::Warn,
        // Upstream takes what it does not know for debug.
        _ => Level::Info,
    };
    Ok(LogSettings { target, level })
}

/// `mtu`, 9001 when there is none.
///
/// # Errors
/// It is not allowed.
pub fn mtu(conf: &NetConf) -> Result<Mtu, Error> {
    let field = "mtu";
    let Some(text) = conf.root().text(field)?.filter(|text| !text.is_empty()) else {
        return Ok(Mtu::default());
    };
    let mtu = text
        .parse::<u32>()
        .ok()
        .and_then(|bytes| Mtu::try_from(bytes).ok());
    mtu.ok_or_else(|| {
        invalid(
            field,
            text,
            &format!("a whole number from {} to {}, as text", Mtu::MIN, Mtu::MAX),
        )
    })
}

fn enforcing_mode(conf: &NetConf) -> Result<EnforcingMode, Error> {
    let field = "podSGEnforcingMode";
    match conf.root().text(field)?.unwrap_or_default() {
        "" | "strict" => Ok(EnforcingMode::Strict),
        "standard" => Ok(EnforcingMode::Standard),
        other => Err(invalid(field, other, "strict or standard")),
    }
}

fn result_encoding(conf: &NetConf) -> Result<ResultEncoding, Error> {
    let field = "resultEncoding";
    match conf.root().text(field)?.unwrap_or_default() {
        "" | "upstream" => Ok(ResultEncoding::Upstream),
        "plain" => Ok(ResultEncoding::Plain),
        other => Err(invalid(field, other, "upstream or plain")),
    }
}

fn attachment(conf: &NetConf) -> Result<Attachment, Error> {
    let annotations = match conf.root().object("runtimeConfig")? {
        Some(runtime) => runtime.object(ANNOTATIONS)?,
        None => None,
    };
    let asked = match annotations {
        Some(annotations) => annotations.text(MULTI_NIC.0)?,
        None => None,
    };
    Ok(if asked == Some(MULTI_NIC.1) {
        Attachment::EveryCard
    } else {
        Attachment::Single
    })
}

fn invalid(field: &str, value: &str, allowed: &str) -> Error {
    Error::InvalidField {
        field: field.to_owned(),
        value: shortened(value),
        allowed: allowed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn nothing_set_is_upstreams_defaults() {
        let conf = conf(json!({}));
        let settings = PodSettings::read(&conf).unwrap();
        assert_eq!(settings.veth_prefix.as_str(), "eni");
        assert_eq!(settings.mtu.get(), 9001);
        assert_eq!(settings.enforcing_mode, EnforcingMode::Strict);
        assert_eq!(settings.attachment, Attachment::Single);
        assert_eq!(settings.result_encoding, ResultEncoding::Upstream);
        assert_eq!(
            socket(&conf).unwrap(),
            Path::new("/var/run/aws-node/ipamd.sock")
        );
        let stderr = LogSettings {
            target: Target::Stderr,
            level: Level::Info,
        };
        assert_eq!(log(&conf).unwrap(), stderr);
    }

    #[test]
    fn what_is_set_counts() {
        let conf = conf(json!({
            "vethPrefix": "ab1", "mtu": "1500", "podSGEnforcingMode": "standard",
            "resultEncoding": "plain",
            "ipamdSocket": "/run/x.sock", "pluginLogFile": "/var/log/p.log", "pluginLogLevel": "ERROR",
            "runtimeConfig": { "io.kubernetes.cri.pod-annotations": {
                "k8s.amazonaws.com/nicConfig": "multi-nic-attachment", "other": "x"
            } }
        }));
        let settings = PodSettings::read(&conf).unwrap();
        assert_eq!(settings.veth_prefix.as_str(), "ab1");
        assert_eq!(settings.mtu.get(), 1500);
        assert_eq!(settings.enforcing_mode, EnforcingMode::Standard);
        assert_eq!(settings.attachment, Attachment::EveryCard);
        assert_eq!(settings.result_encoding, ResultEncoding::Plain);
        assert_eq!(socket(&conf).unwrap(), Path::new("/run/x.sock"));
        let file = Target::File(PathBuf::from("/var/log/p.log"));
        assert_eq!(
            log(&conf).unwrap(),
            LogSettings {
                target: file,
                level: Level::Error
            }
        );
    }

    fn conf(mut fields: Value) -> NetConf {
        fields["name"] = Value::from("aws-cni");
        NetConf::read(&mut fields.to_string().as_bytes()).unwrap()
    }
}
