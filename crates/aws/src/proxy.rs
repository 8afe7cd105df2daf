//! The proxy between a node and AWS, and what is reached without it.
//!
//! Only connections that are encrypted end to end go through a proxy, as a tunnel (`CONNECT`).
//! What is plain HTTP is next door: the metadata services, an emulator. Those are also kept from
//! the proxy by address, so that nobody has to think of `NO_PROXY` for a node to start.

use std::fmt;
use std::sync::Arc;

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use url::Url;

/// The proxy's address, strongest variable first (curl's and the AWS CLI's rules; the lower-case
/// forms are older and as valid).
const PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Where no proxy is used.
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Never through a proxy: this machine, and link-local services of EC2 and EKS (IMDS at
/// 169.254.169.254 and fd00:ec2::254, the pod identity agent at 169.254.170.23 and fd00:ec2::23).
const NEXT_DOOR: &str = "localhost,127.0.0.0/8,::1,169.254.0.0/16,fd00:ec2::/32";

/// Which proxy is used for what. Clones share it.
#[derive(Clone, Default)]
pub struct Proxy(Option<Arc<Rules>>);

struct Rules {
    url: Url,
    exceptions: String,
    matcher: Matcher,
}

/// A proxy that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} does not name a usable proxy; allowed: http://[user:password@]host[:port]")]
pub struct ProxyError {
    /// The variable. Its value may hold a password and is not repeated.
    pub variable: &'static str,
}

impl Proxy {
    /// No proxy.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The proxy that `HTTPS_PROXY` (else `ALL_PROXY`) names, except for what `NO_PROXY` lists.
    /// `vars` looks a variable up; empty counts as unset, lower-case names count as well.
    ///
    /// # Errors
    /// An address that is not that of an HTTP proxy.
    pub fn from_vars(vars: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let set = |name: &&'static str| -> Option<(&'static str, String)> {
            let value = vars(name).filter(|value| !value.trim().is_empty());
            value.map(|value| (*name, value))
        };
        let Some((variable, value)) = PROXY.iter().find_map(set) else {
            return Ok(Self::none());
        };
        let url = address(value.trim()).ok_or(ProxyError { variable })?;
        let listed = EXCEPTIONS.iter().find_map(set);
        let exceptions = match listed {
            Some((_, listed)) => format!("{NEXT_DOOR},{listed}"),
            None => NEXT_DOOR.to_owned(),
        };
        let matcher = Matcher::builder()
            .https(url.as_str())
            .no(exceptions.as_str())
            .build();
        Ok(Self(Some(Arc::new(Rules {
            url,
            exceptions,
            matcher,
        }))))
    }

    /// The proxy for an address, if one is used.
    pub(crate) fn intercept(&self, destination: &http::Uri) -> Option<Intercept> {
        self.0.as_ref()?.matcher.intercept(destination)
    }

    /// The proxy's address and what is reached without it.
    pub(crate) fn rules(&self) -> Option<(&str, &str)> {
        let rules = self.0.as_ref()?;
        Some((rules.url.as_str(), rules.exceptions.as_str()))
    }
}

/// A proxy's address; `http://` may be left out.
fn address(value: &str) -> Option<Url> {
    let url = if value.contains("://") {
        Url::parse(value)
    } else {
        Url::parse(&format!("http://{value}"))
    };
    let fits = |url: &Url| {
        url.scheme() == "http"
            && url.has_host()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
    };
    url.ok().filter(fits)
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("Proxy");
        if let Some(rules) = &self.0 {
            // Without user and password.
            tuple.field(&rules.url.host_str()).field(&rules.exceptions);
        }
        tuple.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(vars: &[(&str, &str)]) -> Result<Proxy, ProxyError> {
        Proxy::from_vars(|name| {
            let found = vars.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn used(vars: &[(&str, &str)], destination: &str) -> Option<String> {
        let intercept = proxy(vars)
            .unwrap()
            .intercept(&destination.parse().unwrap());
        intercept.map(|intercept| intercept.uri().to_string())
    }

    const EC2: &str = "https://ec2.us-west-2.amazonaws.com/";
    const SET: (&str, &str) = ("HTTPS_PROXY", "http://proxy:3128");

    #[test]
    fn the_strongest_variable_wins_and_empty_ones_do_not_count() {
        assert_eq!(used(&[], EC2), None);
        assert_eq!(used(&[SET], EC2).unwrap(), "http://proxy:3128/");
        let all = [
            ("ALL_PROXY", "http://all:1"),
            ("https_proxy", "lower:2"),
            SET,
        ];
        assert_eq!(used(&all, EC2).unwrap(), "http://proxy:3128/");
        assert_eq!(used(&all[..2], EC2).unwrap(), "http://lower:2/");
        assert_eq!(used(&all[..1], EC2).unwrap(), "http://all:1/");
        assert_eq!(
            used(&[("HTTPS_PROXY", " "), all[0]], EC2).unwrap(),
            "http://all:1/"
        );
    }

    #[test]
    fn exceptions_are_names_with_their_subdomains_addresses_and_networks() {
        for (listed, reached) in [
            ("amazonaws.com", true),
            (".us-west-2.amazonaws.com", true),
            ("10.0.0.0/8, ec2.us-west-2.amazonaws.com", true),
            ("*", true),
            ("us-east-1.amazonaws.com", false),
            ("zonaws.com", false),
            ("", false),
        ] {
            let direct = used(&[SET, ("NO_PROXY", listed)], EC2).is_none();
            assert_eq!(direct, reached, "{listed}");
        }
        assert!(used(&[SET, ("no_proxy", "10.0.0.0/8")], "https://10.1.2.3/").is_none());
    }

    #[test]
    fn metadata_services_and_plain_http_are_reached_without() {
        for destination in [
            "http://169.254.169.254/",
            "https://169.254.170.23/",
            "https://[fd00:ec2::23]/",
            "https://127.0.0.1:8443/",
            "https://localhost/",
            "http://ec2.us-west-2.amazonaws.com/",
        ] {
            assert_eq!(used(&[SET], destination), None, "{destination}");
        }
    }

    #[test]
    fn what_is_not_an_http_proxy_is_refused_without_repeating_its_password() {
        for bad in [
            "https://u:secret@p",
            "socks5://u:secret@p",
            "http://",
            "http://p/path",
            "http://p?x",
        ] {
            let error = proxy(&[("https_proxy", bad)]).unwrap_err();
            assert_eq!(error.variable, "https_proxy", "{bad}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let shown = format!(
            "{:?}",
            proxy(&[("HTTPS_PROXY", "http://u:secret@p:1")]).unwrap()
        );
        assert!(shown.contains('p') && !shown.contains("secret"), "{shown}");
    }
}
