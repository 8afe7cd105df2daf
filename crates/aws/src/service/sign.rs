//! A form as a signed request (Signature Version 4).

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http_body_util::Full;

use super::Service;

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

impl Service {
    /// The form as a request that AWS accepts around `now`.
    pub(super) fn signed(
        &self,
        body: Bytes,
        credentials: Credentials,
        now: SystemTime,
    ) -> Result<http::Request<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        let host = self.endpoint.authority();
        let identity = Identity::from(credentials);
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.api.prefix())
            .time(now)
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = [
            (CONTENT_TYPE.as_str(), FORM),
            (HOST.as_str(), host.as_str()),
        ];
        let signable = SignableRequest::new(
            "POST",
            self.endpoint.as_str(),
            headers.into_iter(),
            SignableBody::Bytes(&body),
        )?;
        let (instructions, _signature) = sign(signable, &params)?.into_parts();
        let mut request = http::Request::post(self.endpoint.as_str())
            .header(CONTENT_TYPE, FORM)
            .header(HOST, host)
            .header(USER_AGENT, crate::transport::USER_AGENT)
            .body(Full::new(body))?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}
