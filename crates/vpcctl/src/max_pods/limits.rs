//! The limits of a type: those of this version's table, or what EC2 says of a newer type.

use std::time::Duration;

use vpc_aws::ec2::{Client, ClientConfig, Endpoint};
use vpc_model::InstanceType;
use vpc_model::instance_types::{InstanceLimits, InstanceTypes};

use crate::failure::Failure;

/// Whoever waits for an answer at a terminal does not wait longer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Each of these says where credentials are. Without any, EC2 is not asked: the program runs on
/// laptops and in pipelines, where a search for an instance's role would only be a long wait.
const CREDENTIALS: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_SHARED_CREDENTIALS_FILE",
];

/// A type with its limits.
///
/// # Errors
/// Neither this version's table nor EC2 knows it.
pub(super) fn of(name: &str) -> Result<(InstanceType, InstanceLimits), Failure> {
    let types = InstanceTypes::builtin();
    let near = || types.near(name, 3).into_iter().map(str::to_owned).collect();
    let unknown = || Failure::UnknownType {
        value: name.to_owned(),
        near: near(),
    };
    let instance_type: InstanceType = name.parse().map_err(|_| unknown())?;
    if let Some(limits) = types.get(&instance_type) {
        return Ok((instance_type, limits.clone()));
    }
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let has_credentials = CREDENTIALS.iter().any(|name| variable(name).is_some());
    let Some(region) = region.filter(|_| has_credentials) else {
        return Err(unknown());
    };
    match ask(&instance_type, &region) {
        Ok(limits) => Ok((instance_type, limits)),
        Err(source) => Err(Failure::NewType {
            value: name.to_owned(),
            near: near(),
            source,
        }),
    }
}

fn ask(
    instance_type: &InstanceType,
    region: &str,
) -> Result<InstanceLimits, Box<dyn std::error::Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let endpoint = Endpoint::choose(variable, region)?;
        let trust = vpc_aws::Trust::from_vars(variable);
        let proxy = vpc_aws::Proxy::from_vars(variable)?;
        let credentials = vpc_aws::credentials::default_chain(region, &trust, &proxy).await;
        let mut config = ClientConfig::new(endpoint, region, credentials);
        config.timeout = TIMEOUT;
        config.trust = trust;
        config.proxy = proxy;
        let client = Client::new(config)?;
        Ok(client.describe_instance_type(instance_type).await?)
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
