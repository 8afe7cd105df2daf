//! Every setting: the value in use, where it comes from, and the default.

use serde::Serialize;
use vpc_model::settings::{Fallback, Settings, Source};

/// One setting.
#[derive(Debug, Serialize)]
pub(super) struct SettingInUse {
    name: &'static str,
    value: String,
    /// `environment` or `default`.
    source: String,
    /// What holds when it is not set; nothing where that is nothing.
    default: Option<String>,
    /// Whether the value differs from what holds by default.
    changed: bool,
}

/// All of them, in the order of docs/configuration.md.
pub(super) fn in_use(settings: &Settings) -> Vec<SettingInUse> {
    let rows = settings.rows().into_iter();
    rows.map(|used| {
        let default = match used.row.fallback {
            Fallback::Text(text) => Some(text.to_owned()),
            Fallback::SameAs(other) => Some(format!("as {other}")),
            Fallback::Unset => None,
        };
        let value = without_password(&used.value);
        let changed = used.source == Source::Environment && default.as_ref() != Some(&value);
        SettingInUse {
            name: used.row.name,
            value,
            source: used.source.to_string(),
            default,
            changed,
        }
    })
    .collect()
}

/// A URL may hold a user and a password, which are nobody's business.
fn without_password(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else {
        return value.to_owned();
    };
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}{path}"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_left_out() {
        for (value, shown) in [
            ("https://u:p@ec2.test/x@y", "https://***@ec2.test/x@y"),
            ("https://ec2.test:1/x@y", "https://ec2.test:1/x@y"),
            ("a@b", "a@b"),
        ] {
            assert_eq!(without_password(value), shown);
        }
    }

    #[test]
    fn each_setting_tells_where_its_value_is_from() {
        let vars = [("WARM_IP_TARGET", "5"), ("AWS_VPC_ENI_MTU", "9001")];
        let vars = vars.map(|(name, value)| (name.into(), value.into()));
        let (settings, _) = Settings::from_vars(vars).unwrap();
        let all = in_use(&settings);
        let of = |name| all.iter().find(|setting| setting.name == name).unwrap();
        let (warm, mtu, eni) = (
            of("WARM_IP_TARGET"),
            of("AWS_VPC_ENI_MTU"),
            of("WARM_ENI_TARGET"),
        );
        assert_eq!((warm.value.as_str(), warm.changed), ("5", true));
        assert_eq!((mtu.source.as_str(), mtu.changed), ("environment", false));
        assert_eq!((eni.value.as_str(), eni.source.as_str()), ("1", "default"));
    }
}
