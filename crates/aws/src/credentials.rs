//! Credentials for signing: who provides them, and how long they are used.
//!
//! AWS's own crate finds them (environment, shared files, web identity, container and pod
//! identity, instance role); here they are kept until shortly before they expire, so that an EC2
//! call costs no further call.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector, http_client_fn};
use tokio::sync::Mutex;

use crate::proxy::Proxy;
use crate::transport::{self, Trust};

/// Credentials are renewed this long before they expire. AWS offers the next ones of a role at
/// least five minutes before the old ones end.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// After a failed renewal, the old credentials are used at least this long, if they last.
const RENEW_AGAIN: Duration = Duration::from_secs(30);

/// A provider that has not answered after this long counts as failed. The services it asks are
/// next door or in the region; without a bound, a silent one would hold up every call.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where credentials come from, and the ones in use. Clones share both.
#[derive(Clone)]
pub struct CredentialSource {
    provider: SharedCredentialsProvider,
    held: Arc<Mutex<Option<Held>>>,
    patience: Duration,
}

struct Held {
    credentials: Credentials,
    renew_at: Option<SystemTime>,
}

/// No provider had credentials, or none could be reached.
#[derive(Debug, thiserror::Error)]
#[error("no provider gave credentials")]
pub struct NoCredentials(#[source] CredentialsError);

impl NoCredentials {
    /// The provider did not answer within the time that the caller had.
    pub(crate) fn not_within(time: Duration) -> Self {
        Self(CredentialsError::provider_timed_out(time))
    }

    /// Whether the provider may have credentials later: it is there, but failed or was silent.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self.0,
            CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_)
        )
    }
}

/// AWS's default chain: environment variables, shared files, web identity (IAM roles for service
/// accounts), container credentials (EKS pod identity, ECS), the instance's role by IMDSv2. Reads
/// the environment; asks no service before the first use. `trust` and `proxy` count for the
/// services that are asked; an unreadable bundle is left to the EC2 client to report. STS is
/// reached through the proxy; the services next door (plain HTTP) are not.
pub async fn default_chain(region: &str, trust: &Trust, proxy: &Proxy) -> CredentialSource {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .http_client(http_client(trust, proxy))
        .load()
        .await;
    match config.credentials_provider() {
        Some(provider) => CredentialSource::new(provider),
        None => CredentialSource::new(Nobody),
    }
}

/// The HTTP client of AWS's crate, with our trust and our proxy.
fn http_client(trust: &Trust, proxy: &Proxy) -> SharedHttpClient {
    let tls = Provider::Rustls(CryptoMode::Ring);
    let context = tls_context(trust).unwrap_or_default();
    let proxied = proxy.rules().and_then(|(url, exceptions)| {
        let config = ProxyConfig::https(url).ok()?;
        Some(config.no_proxy(exceptions))
    });
    let Some(proxied) = proxied else {
        let builder = aws_smithy_http_client::Builder::new().tls_provider(tls);
        return builder.tls_context(context).build_https();
    };
    http_client_fn(move |settings, components| {
        let mut builder = Connector::builder()
            .connector_settings(settings.clone())
            .proxy_config(proxied.clone());
        builder.set_sleep_impl(components.sleep_impl());
        let builder = builder.tls_provider(tls.clone());
        SharedHttpConnector::new(builder.tls_context(context.clone()).build())
    })
}

fn tls_context(trust: &Trust) -> Option<TlsContext> {
    let pem = match trust {
        Trust::Bundle(path) if transport::bundle(path).is_ok() => std::fs::read(path).ok()?,
        Trust::Bundle(_) | Trust::System | Trust::Nobody => return None,
    };
    let store = TrustStore::empty().with_pem_certificate(pem);
    TlsContext::builder().with_trust_store(store).build().ok()
}

impl CredentialSource {
    /// Credentials of a provider.
    pub fn new(provider: impl ProvideCredentials + 'static) -> Self {
        Self {
            provider: SharedCredentialsProvider::new(provider),
            held: Arc::default(),
            patience: PATIENCE,
        }
    }

    /// The same long-term credentials always.
    #[must_use]
    pub fn fixed(access_key_id: &str, secret_access_key: &str) -> Self {
        Self::new(Credentials::from_keys(
            access_key_id,
            secret_access_key,
            None,
        ))
    }

    /// Credentials that are valid at `now`, from the provider if those held are about to expire.
    /// While the provider fails, held credentials are used until they expire.
    pub(crate) async fn current(&self, now: SystemTime) -> Result<Credentials, NoCredentials> {
        // The lock is kept during the renewal: others who need credentials wait for the result
        // instead of asking for their own.
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref()
            && held.renew_at.is_none_or(|at| now < at)
        {
            return Ok(held.credentials.clone());
        }
        match self.provided().await {
            Ok(credentials) => {
                *held = Some(Held::new(credentials.clone()));
                Ok(credentials)
            }
            Err(error) => {
                let usable = held
                    .as_mut()
                    .filter(|held| held.credentials.expiry().is_none_or(|expiry| now < expiry));
                let Some(held) = usable else {
                    return Err(NoCredentials(error));
                };
                held.renew_at = Some(now + RENEW_AGAIN);
                Ok(held.credentials.clone())
            }
        }
    }

    async fn provided(&self) -> Result<Credentials, CredentialsError> {
        let asked = self.provider.provide_credentials();
        let in_time = tokio::time::timeout(self.patience, asked).await;
        in_time.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(self.patience)))
    }

    /// Looks for other credentials than `refused`, which AWS does not accept: those that somebody
    /// else has fetched meanwhile, or the provider's. False if there are none; the next call asks
    /// the provider again then.
    pub(crate) async fn replace(&self, refused: &Credentials) -> bool {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref()
            && !same(&held.credentials, refused)
        {
            return true;
        }
        *held = None;
        match self.provided().await {
            Ok(credentials) if !same(&credentials, refused) => {
                *held = Some(Held::new(credentials));
                true
            }
            Ok(_) | Err(_) => false,
        }
    }
}

impl Held {
    fn new(credentials: Credentials) -> Self {
        Self {
            renew_at: credentials.expiry().map(|expiry| expiry - RENEW_BEFORE),
            credentials,
        }
    }
}

fn same(one: &Credentials, other: &Credentials) -> bool {
    one.access_key_id() == other.access_key_id()
        && one.secret_access_key() == other.secret_access_key()
        && one.session_token() == other.session_token()
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialSource")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// Stands in when the chain has no provider at all.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(
        &'a self,
    ) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let error = CredentialsError::not_loaded("the default chain has no provider");
        aws_credential_types::provider::future::ProvideCredentials::ready(Err(error))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;

    use aws_credential_types::provider::future;

    use super::*;

    #[tokio::test]
    async fn credentials_are_asked_for_once_until_shortly_before_they_expire() {
        let (source, provider) = source_with(&[Some(at(3600)), Some(at(7200))]);
        assert_eq!(key(&source, at(0)).await, "key-1");
        assert_eq!(key(&source, at(3299)).await, "key-1");
        assert_eq!(key(&source, at(3300)).await, "key-2");
        assert_eq!(key(&source, at(3400)).await, "key-2");
        assert_eq!(provider.asked(), 2);
    }

    #[tokio::test]
    async fn old_credentials_serve_while_renewal_fails_and_not_after_they_expire() {
        let (source, provider) = source_with(&[Some(at(3600)), None, None, None]);
        assert_eq!(key(&source, at(0)).await, "key-1");
        assert_eq!(key(&source, at(3300)).await, "key-1");
        assert_eq!(key(&source, at(3329)).await, "key-1");
        assert_eq!(provider.asked(), 2);
        assert_eq!(key(&source, at(3330)).await, "key-1");
        assert_eq!(provider.asked(), 3);
        assert!(source.current(at(3600)).await.is_err());
    }

    #[tokio::test]
    async fn refused_credentials_are_replaced_at_once_and_once_for_all_who_used_them() {
        let (source, provider) = source_with(&[Some(at(3600)), Some(at(3600))]);
        let refused = source.current(at(0)).await.unwrap();
        assert!(source.replace(&refused).await);
        assert!(source.replace(&refused).await);
        assert_eq!(key(&source, at(1)).await, "key-2");
        assert_eq!(provider.asked(), 2);
    }

    #[tokio::test]
    async fn refused_credentials_without_successors_are_not_tried_again() {
        let fixed = CredentialSource::fixed("AKIDEXAMPLE", "secret");
        let refused = fixed.current(at(0)).await.unwrap();
        assert!(!fixed.replace(&refused).await);

        let (source, provider) = source_with(&[Some(at(3600)), None, Some(at(3600))]);
        let refused = source.current(at(0)).await.unwrap();
        assert!(!source.replace(&refused).await);
        assert_eq!(key(&source, at(1)).await, "key-3");
        assert_eq!(provider.asked(), 3);
    }

    #[tokio::test]
    async fn a_silent_provider_counts_as_failed() {
        #[derive(Debug)]
        struct Silent;
        impl ProvideCredentials for Silent {
            fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
            where
                Self: 'a,
            {
                future::ProvideCredentials::new(std::future::pending())
            }
        }
        let mut source = CredentialSource::new(Silent);
        source.patience = Duration::from_millis(1);
        let error = source.current(at(0)).await.unwrap_err();
        assert!(error.may_pass(), "{error:?}");
        let nobody = CredentialSource::new(Nobody).current(at(0)).await;
        assert!(!nobody.unwrap_err().may_pass());
    }

    #[tokio::test]
    async fn secrets_do_not_show_in_debug_output() {
        let source = CredentialSource::fixed("AKIDEXAMPLE", "very-secret");
        source.current(at(0)).await.unwrap();
        assert!(!format!("{source:?}").contains("very-secret"));
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    async fn key(source: &CredentialSource, now: SystemTime) -> String {
        source
            .current(now)
            .await
            .unwrap()
            .access_key_id()
            .to_owned()
    }

    /// Answers with credentials of the given expiries in turn; `None` is a failure.
    #[derive(Debug, Clone)]
    struct Script(Arc<StdMutex<(usize, Vec<Option<SystemTime>>)>>);

    impl Script {
        fn asked(&self) -> usize {
            self.0.lock().unwrap().0
        }
    }

    impl ProvideCredentials for Script {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let mut script = self.0.lock().unwrap();
            script.0 += 1;
            let key = format!("key-{}", script.0);
            let result = match script.1[script.0 - 1] {
                Some(expiry) => Ok(Credentials::new(
                    key,
                    "secret",
                    None,
                    Some(expiry),
                    "script",
                )),
                None => Err(CredentialsError::provider_error("unreachable")),
            };
            future::ProvideCredentials::ready(result)
        }
    }

    fn source_with(expiries: &[Option<SystemTime>]) -> (CredentialSource, Script) {
        let script = Script(Arc::new(StdMutex::new((0, expiries.to_vec()))));
        (CredentialSource::new(script.clone()), script)
    }
}
