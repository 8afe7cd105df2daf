//! Where AWS's APIs are.

use std::fmt;

use url::Url;

/// The address of an API: `http` or `https`, a host, no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// An address that no request can be sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin} is {value:?}; allowed: an http or https URL with a host and without a query")]
pub struct EndpointError {
    /// The environment variable the value is from, or `region`.
    pub origin: String,
    /// The value.
    pub value: String,
}

/// The APIs that the clients here talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Amazon EC2.
    Ec2,
    /// Amazon CloudWatch.
    CloudWatch,
}

impl Api {
    /// The variables that name an endpoint, strongest first: upstream's own, then the ones all AWS
    /// SDKs know (SDK reference guide, "Service-specific endpoints").
    fn variables(self) -> &'static [&'static str] {
        match self {
            Api::Ec2 => &[
                "AWS_EC2_ENDPOINT",
                "AWS_ENDPOINT_URL_EC2",
                "AWS_ENDPOINT_URL",
            ],
            Api::CloudWatch => &["AWS_ENDPOINT_URL_CLOUDWATCH", "AWS_ENDPOINT_URL"],
        }
    }

    /// The first part of the public host name, and the service in signatures (botocore
    /// `endpointPrefix`).
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Api::Ec2 => "ec2",
            Api::CloudWatch => "monitoring",
        }
    }
}

/// DNS suffixes of regions outside the main partition, by the beginning of the region's name
/// (partitions of the AWS SDKs' endpoint rules).
const SUFFIXES: [(&str, &str); 7] = [
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isof-", "csp.hci.ic.gov"),
];

impl Endpoint {
    /// The endpoint of EC2 that the variables name (`vars` looks one up; empty counts as unset), else
    /// the region's.
    ///
    /// # Errors
    /// A variable or a region that does not make a URL.
    pub fn choose(
        vars: impl Fn(&str) -> Option<String>,
        region: &str,
    ) -> Result<Self, EndpointError> {
        Self::of_api(Api::Ec2, vars, region)
    }

    /// The endpoint of an API that the variables name, else the region's.
    ///
    /// # Errors
    /// A variable or a region that does not make a URL.
    pub fn of_api(
        api: Api,
        vars: impl Fn(&str) -> Option<String>,
        region: &str,
    ) -> Result<Self, EndpointError> {
        let set = |name: &&'static str| -> Option<(&'static str, String)> {
            vars(name)
                .filter(|value| !value.is_empty())
                .map(|value| (*name, value))
        };
        match api.variables().iter().find_map(set) {
            Some((name, value)) => Self::parse(name, &value),
            None => Self::public(api, region),
        }
    }

    /// The public endpoint of an API in a region.
    ///
    /// # Errors
    /// A name that cannot be a region's.
    pub fn public(api: Api, region: &str) -> Result<Self, EndpointError> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if region.is_empty() || !region.bytes().all(fits) {
            return Err(EndpointError {
                origin: "region".to_owned(),
                value: region.to_owned(),
            });
        }
        let suffix = SUFFIXES
            .iter()
            .find(|(prefix, _)| region.starts_with(prefix))
            .map_or("amazonaws.com", |(_, suffix)| suffix);
        Self::parse(
            "region",
            &format!("https://{}.{region}.{suffix}", api.prefix()),
        )
    }

    fn parse(origin: &str, value: &str) -> Result<Self, EndpointError> {
        let error = || EndpointError {
            origin: origin.to_owned(),
            value: value.to_owned(),
        };
        let url = Url::parse(value).map_err(|_| error())?;
        let fits = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if fits { Ok(Self(url)) } else { Err(error()) }
    }

    /// The endpoint as a URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether the connection is encrypted.
    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// What the `Host` header says: the port only if it is not the scheme's own.
    pub(crate) fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(vars: &[(&str, &str)]) -> Result<String, EndpointError> {
        let look_up = |name: &str| {
            vars.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Endpoint::choose(look_up, "us-west-2").map(|endpoint| endpoint.to_string())
    }

    #[test]
    fn the_strongest_variable_wins_and_empty_ones_do_not_count() {
        let all = [
            ("AWS_ENDPOINT_URL", "http://c:1"),
            ("AWS_ENDPOINT_URL_EC2", "http://b:1"),
            ("AWS_EC2_ENDPOINT", "http://a:1"),
        ];
        assert_eq!(choose(&all).unwrap(), "http://a:1/");
        assert_eq!(choose(&all[..2]).unwrap(), "http://b:1/");
        assert_eq!(choose(&all[..1]).unwrap(), "http://c:1/");
        assert_eq!(
            choose(&[("AWS_EC2_ENDPOINT", ""), ("AWS_ENDPOINT_URL", "http://c:1")]).unwrap(),
            "http://c:1/"
        );
        assert_eq!(choose(&[]).unwrap(), "https://ec2.us-west-2.amazonaws.com/");
    }

    #[test]
    fn every_partition_has_its_own_suffix() {
        let of = |region| Endpoint::public(Api::Ec2, region).unwrap().authority();
        assert_eq!(of("cn-north-1"), "ec2.cn-north-1.amazonaws.com.cn");
        assert_eq!(of("us-gov-west-1"), "ec2.us-gov-west-1.amazonaws.com");
        assert_eq!(of("us-isob-east-1"), "ec2.us-isob-east-1.sc2s.sgov.gov");
        assert_eq!(of("eusc-de-east-1"), "ec2.eusc-de-east-1.amazonaws.eu");
    }

    #[test]
    fn cloudwatch_has_its_own_variable_and_host_name() {
        let of = |vars: &[(&str, &str)]| {
            let look_up = |name: &str| {
                let found = vars.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            Endpoint::of_api(Api::CloudWatch, look_up, "us-west-2").map(|e| e.to_string())
        };
        assert_eq!(
            of(&[]).unwrap(),
            "https://monitoring.us-west-2.amazonaws.com/"
        );
        let set = [
            ("AWS_EC2_ENDPOINT", "http://a:1"),
            ("AWS_ENDPOINT_URL", "http://b:1"),
        ];
        assert_eq!(of(&set).unwrap(), "http://b:1/");
        let own = [("AWS_ENDPOINT_URL_CLOUDWATCH", "http://c:1"), set[1]];
        assert_eq!(of(&own).unwrap(), "http://c:1/");
    }

    #[test]
    fn what_is_not_an_address_is_refused_by_name() {
        for bad in [
            "ec2.local",
            "ftp://x",
            "http://x/?a=b",
            "http://u:p@x",
            "http://",
            "://",
        ] {
            let error = choose(&[("AWS_ENDPOINT_URL_EC2", bad)]).unwrap_err();
            assert_eq!(
                (error.origin.as_str(), error.value.as_str()),
                ("AWS_ENDPOINT_URL_EC2", bad)
            );
        }
        assert!(Endpoint::public(Api::Ec2, "evil.example/").is_err());
        assert!(Endpoint::public(Api::Ec2, "").is_err());
    }

    #[test]
    fn the_host_header_names_only_unusual_ports() {
        let authority = |url| Endpoint::parse("test", url).unwrap().authority();
        assert_eq!(authority("http://127.0.0.1:8000"), "127.0.0.1:8000");
        assert_eq!(authority("http://127.0.0.1:80"), "127.0.0.1");
        assert_eq!(authority("https://[fd00::1]:8443/"), "[fd00::1]:8443");
    }
}
