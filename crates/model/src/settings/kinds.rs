//! The kinds of values: text to type, with the words for what is allowed.
//!
//! Nothing is trimmed and nothing is guessed. A kind whose variable has no default text
//! ([`Fallback::Unset`](super::Fallback::Unset)) parses the empty text to `None`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::key::Kind;
use super::types::{
    BindAddress, LogDestination, LogFormat, LogLevel, NetworkPolicyMode, PodSecurityGroupMode,
    SnatRandomization,
};
use crate::kernel::{Connmark, Mtu, PortRange};
use crate::link::VethPrefix;

/// The words of Go's `strconv.ParseBool`, which upstream's manifests and charts are written for.
pub(crate) const SWITCH: Kind<bool> = Kind {
    allowed: "true or false",
    parse: |text| match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    },
};

/// An optional sign and decimal digits, as Go's `strconv.Atoi` takes them.
fn whole(text: &str, range: std::ops::RangeInclusive<i64>) -> Option<u32> {
    let number: i64 = text.parse().ok()?;
    if range.contains(&number) {
        u32::try_from(number.max(0)).ok()
    } else {
        None
    }
}

const ANY: std::ops::RangeInclusive<i64> = 0..=u32::MAX as i64;

fn seconds(text: &str, range: std::ops::RangeInclusive<i64>) -> Option<Duration> {
    whole(text, range).map(|number| Duration::from_secs(u64::from(number)))
}

pub(crate) const COUNT: Kind<u32> = Kind {
    allowed: "a whole number, 0 or more",
    parse: |text| whole(text, ANY),
};

/// A count whose zero means that the target is not set.
pub(crate) const TARGET: Kind<Option<u32>> = Kind {
    allowed: "a whole number, 0 or more",
    parse: |text| match text {
        "" => Some(None),
        text => whole(text, ANY).map(|number| (number > 0).then_some(number)),
    },
};

pub(crate) const CAP: Kind<Option<u32>> = Kind {
    allowed: "a whole number, 1 or more; 0 or -1 for no limit of its own",
    parse: |text| match text {
        "" => Some(None),
        text => whole(text, -1..=i64::from(u32::MAX)).map(|number| (number > 0).then_some(number)),
    },
};

pub(crate) const SECONDS: Kind<Duration> = Kind {
    allowed: "whole seconds, 0 or more",
    parse: |text| seconds(text, ANY),
};

pub(crate) const INTERVAL: Kind<Duration> = Kind {
    allowed: "whole seconds, 10 or more",
    parse: |text| seconds(text, 10..=*ANY.end()),
};

pub(crate) const WAIT: Kind<Duration> = Kind {
    allowed: "whole milliseconds, 0 to 30000",
    parse: |text| whole(text, 0..=30_000).map(|number| Duration::from_millis(u64::from(number))),
};

pub(crate) const MTU: Kind<Mtu> = Kind {
    allowed: "bytes, 576 to 9001",
    parse: |text| whole(text, ANY).and_then(|bytes| Mtu::try_from(bytes).ok()),
};

/// Go's `strconv.ParseInt` with base 0: the base follows from the beginning of the text.
pub(crate) const MARK: Kind<Connmark> = Kind {
    allowed: "a whole number, 1 to 4294967295, decimal or with 0x, 0o or 0b before it",
    parse: |text| {
        let lower = text.to_ascii_lowercase();
        let (digits, radix) = match lower.split_at_checked(2) {
            Some(("0x", digits)) => (digits, 16),
            Some(("0o", digits)) => (digits, 8),
            Some(("0b", digits)) => (digits, 2),
            _ if lower.starts_with('0') => (lower.as_str(), 8),
            _ => (lower.as_str(), 10),
        };
        if radix != 10 && digits.starts_with('+') {
            return None;
        }
        let number = u32::from_str_radix(digits, radix).ok()?;
        (number > 0).then_some(Connmark(number))
    },
};

pub(crate) const VETH_PREFIX: Kind<VethPrefix> = Kind {
    allowed: "1 to 4 letters or digits, not eth, lo or vlan",
    parse: |text| text.parse().ok(),
};

fn path(text: &str) -> Option<PathBuf> {
    (text.starts_with('/') && !text.contains('\0')).then(|| PathBuf::from(text))
}

pub(crate) const PATH: Kind<PathBuf> = Kind {
    allowed: "an absolute path",
    parse: path,
};

/// The longest path a unix socket can have: `sun_path` of unix(7) less its final zero byte.
const LONGEST_SOCKET_PATH: usize = 107;

pub(crate) const SOCKET: Kind<PathBuf> = Kind {
    allowed: "an absolute path of at most 107 bytes",
    parse: |text| path(text).filter(|_| text.len() <= LONGEST_SOCKET_PATH),
};

pub(crate) const TEXT: Kind<Option<String>> = Kind {
    allowed: "any text",
    parse: |text| {
        Some(if text.is_empty() {
            None
        } else {
            Some(text.to_owned())
        })
    },
};

pub(crate) const URL: Kind<Option<String>> = Kind {
    allowed: "a URL that begins with http:// or https://",
    parse: |text| {
        if text.is_empty() {
            return Some(None);
        }
        let host = text
            .strip_prefix("http://")
            .or_else(|| text.strip_prefix("https://"))?;
        let whole =
            !host.is_empty() && !host.starts_with('/') && !host.contains(char::is_whitespace);
        whole.then(|| Some(text.to_owned()))
    },
};

/// A qualified name of Kubernetes' labels and annotations, not checked further than its bytes.
pub(crate) const LABEL: Kind<String> = Kind {
    allowed: "a label or annotation key, such as k8s.amazonaws.com/eniConfig",
    parse: |text| {
        let fits = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"./-_".contains(&b));
        (fits && !text.is_empty()).then(|| text.to_owned())
    },
};

pub(crate) const CIDRS: Kind<Vec<Ipv4Net>> = Kind {
    allowed: "IPv4 networks in CIDR form, separated by commas",
    parse: |text| {
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        let mut networks: Vec<Ipv4Net> = items
            .map(|item| item.parse().map(|net: Ipv4Net| net.trunc()).ok())
            .collect::<Option<_>>()?;
        networks.sort_unstable();
        networks.dedup();
        Some(networks)
    },
};

/// EC2's limits for tags: 50 a resource, keys of 1 to 128 and values of 0 to 256 characters, keys
/// that begin with `aws:` reserved (EC2 user guide, "Tag restrictions"). Six of the fifty are left
/// for the tags that ipamd itself writes.
pub(crate) const TAGS: Kind<BTreeMap<String, String>> = Kind {
    allowed: "a JSON object of at most 44 texts, such as {\"team\":\"network\"}; \
              keys of 1 to 128 characters, not beginning with aws:, values of at most 256",
    parse: |text| {
        let tags: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
        let key_fits =
            |key: &str| (1..=128).contains(&key.chars().count()) && !key.starts_with("aws:");
        let fits = tags
            .iter()
            .all(|(key, value)| key_fits(key) && value.chars().count() <= 256);
        (fits && tags.len() <= 44).then_some(tags)
    },
};

pub(crate) const RANDOMIZATION: Kind<SnatRandomization> = Kind {
    allowed: "prng, hashrandom or none",
    parse: |text| match text {
        "prng" => Some(SnatRandomization::Prng),
        "hashrandom" => Some(SnatRandomization::HashRandom),
        "none" => Some(SnatRandomization::None),
        _ => None,
    },
};

/// Ports above those that a process needs a privilege for; fewer than a thousand would run out at
/// once, since the choice is made for each destination.
pub(crate) const PORTS: Kind<Option<PortRange>> = Kind {
    allowed: "first and last port, such as 32768-60999, of at least 1000 ports above 1023",
    parse: |text| {
        if text.is_empty() {
            return Some(None);
        }
        let (first, last) = text.split_once('-')?;
        let range = PortRange::new(first.parse().ok()?, last.parse().ok()?)?;
        let fits = range.first() >= 1024 && range.last() - range.first() >= 999;
        fits.then_some(Some(range))
    },
};

pub(crate) const POLICY_MODE: Kind<Option<NetworkPolicyMode>> = Kind {
    allowed: "none, strict or standard, in any case",
    parse: |text| match text.to_ascii_lowercase().as_str() {
        "" => Some(None),
        "none" => Some(Some(NetworkPolicyMode::None)),
        "strict" => Some(Some(NetworkPolicyMode::Strict)),
        "standard" => Some(Some(NetworkPolicyMode::Standard)),
        _ => None,
    },
};

pub(crate) const SECURITY_GROUP_MODE: Kind<PodSecurityGroupMode> = Kind {
    allowed: "strict or standard",
    parse: |text| match text {
        "strict" => Some(PodSecurityGroupMode::Strict),
        "standard" => Some(PodSecurityGroupMode::Standard),
        _ => None,
    },
};

pub(crate) const LEVEL: Kind<LogLevel> = Kind {
    allowed: "debug, info, warn, error or fatal, in any case",
    parse: |text| match text.to_ascii_lowercase().as_str() {
        "debug" => Some(LogLevel::Debug),
        "info" => Some(LogLevel::Info),
        "warn" => Some(LogLevel::Warn),
        "error" => Some(LogLevel::Error),
        "fatal" => Some(LogLevel::Fatal),
        _ => None,
    },
};

pub(crate) const FORMAT: Kind<LogFormat> = Kind {
    allowed: "json or text",
    parse: |text| match text {
        "json" => Some(LogFormat::Json),
        "text" => Some(LogFormat::Text),
        _ => None,
    },
};

pub(crate) const MEBIBYTES: Kind<u32> = Kind {
    allowed: "whole MiB, 1 to 1024",
    parse: |text| whole(text, 1..=1024),
};

pub(crate) const FILES: Kind<u32> = Kind {
    allowed: "a whole number, 1 to 100",
    parse: |text| whole(text, 1..=100),
};

fn destination(text: &str) -> Option<LogDestination> {
    match text.to_ascii_lowercase().as_str() {
        "stdout" => Some(LogDestination::Stdout),
        "stderr" => Some(LogDestination::Stderr),
        _ => path(text).map(LogDestination::File),
    }
}

pub(crate) const DESTINATION: Kind<LogDestination> = Kind {
    allowed: "an absolute path, stdout or stderr",
    parse: destination,
};

/// A plugin's standard output is its result (CNI specification), so logs cannot go there.
pub(crate) const PLUGIN_DESTINATION: Kind<LogDestination> = Kind {
    allowed: "an absolute path or stderr",
    parse: |text| destination(text).filter(|to| *to != LogDestination::Stdout),
};

pub(crate) const BIND: Kind<BindAddress> = Kind {
    allowed: "an address and port such as 127.0.0.1:61679, or unix: and an absolute path",
    parse: |text| match text.strip_prefix("unix:") {
        Some(socket) => (SOCKET.parse)(socket).map(BindAddress::Unix),
        None => {
            let numeric = text.replacen("localhost:", "127.0.0.1:", 1);
            numeric.parse::<SocketAddr>().ok().map(BindAddress::Tcp)
        }
    },
};
