//! The CNI network configuration list: what it says, and when it is there.
//!
//! The kubelet takes a node for ready for pods when a conflist exists, so it is written only when
//! the pool can serve. Content and file name are upstream's (`10-aws.conflist`, list name
//! `aws-cni`, version 0.4.0), with two differences: a plugin that would do nothing is left out of
//! the chain (each is a process start per pod and verb), and so is `portmap` where its binary is
//! not installed, since a conflist that names a missing plugin fails every pod.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vpc_model::{Mtu, VethPrefix};

use crate::atomic_file::{self, WriteError};

/// The file's name in the CNI configuration folder (upstream's).
pub const FILE_NAME: &str = "10-aws.conflist";

/// What the conflist depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflist {
    /// Where the plugin finds the daemon.
    pub socket: PathBuf,
    /// What host veth names begin with.
    pub veth_prefix: VethPrefix,
    /// The pods' MTU.
    pub pod_mtu: Mtu,
    /// `strict` or `standard`, for security groups for pods.
    pub pod_security_group_mode: String,
    /// The plugin's log file, or `stderr`.
    pub plugin_log_file: String,
    /// The plugin's log level.
    pub plugin_log_level: String,
    /// Whether to chain the port mapping plugin.
    pub port_mapping: PortMapping,
}

/// Whether host ports work: the CNI project's `portmap` plugin does that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortMapping {
    /// `portmap` is in the plugin folder and part of the chain.
    Chained,
    /// There is no `portmap` on this host.
    NotInstalled,
}

impl PortMapping {
    /// Looks for an executable `portmap` in the plugin folder.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        if folder.join("portmap").is_file() {
            Self::Chained
        } else {
            Self::NotInstalled
        }
    }
}

impl Conflist {
    /// The file's text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut aws = json!({
            "name": "aws-cni",
            "type": "aws-cni",
            "vethPrefix": self.veth_prefix.as_str(),
            // Text, not a number: upstream's field type.
            "mtu": self.pod_mtu.to_string(),
            "podSGEnforcingMode": self.pod_security_group_mode,
            "pluginLogFile": self.plugin_log_file,
            "pluginLogLevel": self.plugin_log_level,
            "capabilities": { "io.kubernetes.cri.pod-annotations": true },
        });
        if self.socket != Path::new(vpc_rpc::DEFAULT_SOCKET) {
            aws["ipamdSocket"] = Value::from(self.socket.to_string_lossy());
        }
        let mut plugins = vec![aws];
        if self.port_mapping == PortMapping::Chained {
            plugins.push(json!({
                "type": "portmap", "capabilities": { "portMappings": true }, "snat": true
            }));
        }
        let list = json!({
            "cniVersion": "0.4.0", "name": "aws-cni", "disableCheck": true, "plugins": plugins
        });
        format!("{list:#}\n")
    }

    /// Writes the file into `folder` unless it is there with the same text. Returns whether it
    /// was written.
    ///
    /// # Errors
    /// The file could not be replaced; an older one is as it was.
    pub fn install(&self, folder: &Path) -> Result<bool, WriteError> {
        let path = folder.join(FILE_NAME);
        let text = self.render();
        if fs::read_to_string(&path).is_ok_and(|present| present == text) {
            return Ok(false);
        }
        atomic_file::replace(&path, text.as_bytes(), 0o644)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflist() -> Conflist {
        Conflist {
            socket: PathBuf::from(vpc_rpc::DEFAULT_SOCKET),
            veth_prefix: VethPrefix::default(),
            pod_mtu: Mtu::default(),
            pod_security_group_mode: "strict".to_owned(),
            plugin_log_file: "/var/log/aws-routed-eni/plugin.log".to_owned(),
            plugin_log_level: "Debug".to_owned(),
            port_mapping: PortMapping::Chained,
        }
    }

    #[test]
    fn the_defaults_give_upstreams_fields() {
        let list: Value = serde_json::from_str(&conflist().render()).unwrap();
        assert_eq!(list["cniVersion"], "0.4.0");
        assert_eq!(list["name"], "aws-cni");
        assert_eq!(list["disableCheck"], true);
        let aws = &list["plugins"][0];
        assert_eq!(aws["type"], "aws-cni");
        assert_eq!(aws["mtu"], "9001");
        assert_eq!(aws["vethPrefix"], "eni");
        assert_eq!(aws.get("ipamdSocket"), None);
        assert_eq!(list["plugins"][1]["type"], "portmap");
    }

    #[test]
    fn a_plugin_that_is_not_installed_is_not_named() {
        let list = Conflist {
            port_mapping: PortMapping::NotInstalled,
            ..conflist()
        }
        .render();
        assert!(!list.contains("portmap"));
    }

    #[test]
    fn another_socket_is_told_to_the_plugin() {
        let list = Conflist {
            socket: PathBuf::from("/run/x/ipamd.sock"),
            ..conflist()
        }
        .render();
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list["plugins"][0]["ipamdSocket"], "/run/x/ipamd.sock");
    }

    #[test]
    fn it_is_written_once_and_again_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        assert!(conflist().install(folder.path()).unwrap());
        assert!(!conflist().install(folder.path()).unwrap());
        let other = Conflist {
            pod_mtu: Mtu::try_from(1500).unwrap(),
            ..conflist()
        };
        assert!(other.install(folder.path()).unwrap());
    }
}
