//! One of many, by a Lease: work that one node does for the whole cluster.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};

/// A Lease that whoever comes first holds, for as long as it renews it.
#[derive(Clone)]
pub struct Election {
    api: Api<Lease>,
    name: String,
    identity: String,
    duration: Duration,
}

impl std::fmt::Debug for Election {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Election")
            .field("name", &self.name)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Election {
    /// An election by the Lease of that namespace and name; `identity` is unique among those who
    /// stand for it. A holder that does not renew within `duration` has lost it.
    #[must_use]
    pub fn new(client: Client, lease: (&str, &str), identity: &str, duration: Duration) -> Self {
        Self {
            api: Api::namespaced(client, lease.0),
            name: lease.1.to_owned(),
            identity: identity.to_owned(),
            duration,
        }
    }

    /// Takes or renews the Lease if that is possible now; says whether it is held.
    ///
    /// # Errors
    /// The API server is away or does not allow it.
    pub async fn hold(&self) -> Result<bool, kube::Error> {
        let now = Timestamp::now();
        let held = self.api.get_opt(&self.name).await?;
        let params = PostParams::default();
        let result = match held {
            None => {
                let lease = Lease {
                    metadata: ObjectMeta {
                        name: Some(self.name.clone()),
                        ..ObjectMeta::default()
                    },
                    spec: Some(self.spec(None, now)),
                };
                self.api.create(&params, &lease).await
            }
            Some(lease) => {
                let spec = lease.spec.clone().unwrap_or_default();
                if !is_free(&spec, &self.identity, now) {
                    return Ok(false);
                }
                // The version that was read goes along: whoever was faster has it.
                let lease = Lease {
                    spec: Some(self.spec(Some(&spec), now)),
                    ..lease
                };
                self.api.replace(&self.name, &params, &lease).await
            }
        };
        match result {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn spec(&self, before: Option<&LeaseSpec>, now: Timestamp) -> LeaseSpec {
        let renewed = before.filter(|it| it.holder_identity.as_deref() == Some(&self.identity));
        let transitions = before.and_then(|it| it.lease_transitions).unwrap_or(0);
        LeaseSpec {
            acquire_time: Some(match renewed.and_then(|it| it.acquire_time.clone()) {
                Some(acquired) => acquired,
                None => MicroTime(now),
            }),
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.duration.as_secs()).ok(),
            lease_transitions: Some(transitions + i32::from(before.is_some() && renewed.is_none())),
            renew_time: Some(MicroTime(now)),
            ..LeaseSpec::default()
        }
    }
}

/// Whether a Lease is mine, nobody's, or of a holder that did not renew it in time.
fn is_free(spec: &LeaseSpec, me: &str, now: Timestamp) -> bool {
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    if holder.is_empty() || holder == me {
        return true;
    }
    let (Some(MicroTime(renewed)), Some(seconds)) = (&spec.renew_time, spec.lease_duration_seconds)
    else {
        return true;
    };
    now.duration_since(*renewed).as_secs() > i64::from(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(holder: &str, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(60),
            renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_is_free_when_it_is_mine_or_nobodys_or_was_not_renewed() {
        let free =
            |spec: &LeaseSpec, now| is_free(spec, "me", Timestamp::from_second(now).unwrap());
        assert!(free(&LeaseSpec::default(), 0));
        assert!(free(&spec("", 1_000), 1_000));
        assert!(free(&spec("me", 1_000), 1_000));
        assert!(!free(&spec("other", 1_000), 1_060));
        assert!(free(&spec("other", 1_000), 1_061));
    }
}
