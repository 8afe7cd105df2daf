//! The kernel's own word about a namespace, read with `ip -j`: independent of the code under test.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Error;
use super::namespace::within;

/// A policy routing rule, as `ip -j rule` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Rule {
    /// Its place: lower is looked at first.
    pub priority: u32,
    /// The source it asks for, `all` when any.
    #[serde(default)]
    pub src: String,
    /// The destination it asks for, empty or `all` when any.
    #[serde(default)]
    pub dst: String,
    /// The packet mark it asks for, in hexadecimal.
    #[serde(default)]
    pub fwmark: Option<String>,
    /// The table it sends to: a name or a number.
    #[serde(default)]
    pub table: String,
}

/// A route, as `ip -j route show table all` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Route {
    /// Its destination, `default` for everything.
    pub dst: String,
    /// The link it leaves by.
    #[serde(default)]
    pub dev: String,
    /// The next hop, when there is one.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
    /// `link`, `host`, or empty for global.
    #[serde(default)]
    pub scope: String,
    /// The table it is in: a name or a number, empty for `main`.
    #[serde(default)]
    pub table: String,
}

/// A link, as `ip -j link` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Link {
    /// Its name.
    pub ifname: String,
    /// Its MAC address.
    #[serde(default)]
    pub address: String,
    /// Its largest packet in bytes.
    pub mtu: u32,
    /// `UP`, `DOWN`, `UNKNOWN`, …
    pub operstate: String,
}

impl Route {
    /// Whether it is in the main table.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.table.is_empty() || self.table == "main"
    }
}

/// Every IPv4 rule of the namespace, in order.
///
/// # Errors
/// [`Error::Ip`].
pub async fn rules(netns: &Path) -> Result<Vec<Rule>, Error> {
    read(netns, &["rule"]).await
}

/// Every IPv4 route of the namespace, of all tables.
///
/// # Errors
/// [`Error::Ip`].
pub async fn routes(netns: &Path) -> Result<Vec<Route>, Error> {
    read(netns, &["route", "show", "table", "all"]).await
}

/// Every link of the namespace.
///
/// # Errors
/// [`Error::Ip`].
pub async fn links(netns: &Path) -> Result<Vec<Link>, Error> {
    read(netns, &["link"]).await
}

/// Runs `ip -j -4 …` inside the namespace and decodes what it prints.
async fn read<T: DeserializeOwned>(
    netns: &Path,
    what: &'static [&'static str],
) -> Result<Vec<T>, Error> {
    let failed = |reason: String| Error::Ip {
        arguments: what.join(" "),
        reason,
    };
    // A process starts in the network namespace of the thread that starts it.
    let output = within(netns, move || {
        Command::new("ip").args(["-j", "-4"]).args(what).output()
    })
    .await?
    .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    if output.stdout.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}
