//! Why a request was not granted, as the `Status` object that the answer carries.

use serde_json::{Value, json};

use super::kinds::Kind;

/// Why a request was not granted. Reasons and codes are those of the API conventions of
/// Kubernetes (`metav1.StatusReason`).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// One word for programs.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
    /// Which object, which fields.
    pub details: Option<Value>,
    /// How many seconds the caller should wait before it tries again.
    pub retry_after: Option<u32>,
    /// Where a list can be continued, if not consistently.
    pub resume: Option<String>,
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Refusal {
        Refusal {
            code,
            reason,
            message: message.into(),
            details: None,
            retry_after: None,
            resume: None,
        }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Refusal {
        self.details = Some(json!({"name": name, "group": kind.group, "kind": kind.plural}));
        self
    }

    /// There is no such object.
    #[must_use]
    pub fn not_found(kind: &Kind, name: &str) -> Refusal {
        let message = format!("{} {name:?} not found", kind.resource());
        Refusal::new(404, "NotFound", message).about(kind, name)
    }

    /// There is one of this name.
    #[must_use]
    pub fn already_exists(kind: &Kind, name: &str) -> Refusal {
        let message = format!("{} {name:?} already exists", kind.resource());
        Refusal::new(409, "AlreadyExists", message).about(kind, name)
    }

    /// The object is no longer what the caller has seen.
    #[must_use]
    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Refusal {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            kind.resource()
        );
        Refusal::new(409, "Conflict", message).about(kind, name)
    }

    /// [`Refusal::conflict`] because of the version.
    #[must_use]
    pub fn modified(kind: &Kind, name: &str) -> Refusal {
        let why = "the object has been modified; please apply your changes to the latest version \
                   and try again";
        Refusal::conflict(kind, name, why)
    }

    /// A field does not hold what it may hold. `cause` is a reason of Kubernetes, such as
    /// `FieldValueInvalid`.
    #[must_use]
    pub fn invalid(kind: &Kind, name: &str, field: &str, cause: &str, why: &str) -> Refusal {
        let message = format!("{} {name:?} is invalid: {field}: {why}", kind.kind);
        let mut refusal = Refusal::new(422, "Invalid", message);
        refusal.details = Some(json!({
            "name": name,
            "group": kind.group,
            "kind": kind.kind,
            "causes": [{"reason": cause, "message": why, "field": field}],
        }));
        refusal
    }

    /// A parameter of a list or watch may not be used.
    #[must_use]
    pub fn list_option(field: &str, why: &str) -> Refusal {
        let message = format!("ListOptions.meta.k8s.io \"\" is invalid: {field}: Forbidden: {why}");
        let mut refusal = Refusal::new(422, "Invalid", message);
        let cause = json!({
            "reason": "FieldValueForbidden",
            "message": format!("Forbidden: {why}"),
            "field": field,
        });
        refusal.details =
            Some(json!({"group": "meta.k8s.io", "kind": "ListOptions", "causes": [cause]}));
        refusal
    }

    /// The request makes no sense.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Refusal {
        Refusal::new(400, "BadRequest", message)
    }

    /// The history that was asked for is gone.
    #[must_use]
    pub fn expired(asked: u64, oldest: u64) -> Refusal {
        let message = format!("too old resource version: {asked} ({oldest})");
        Refusal::new(410, "Expired", message)
    }

    /// The page that was asked for is of a state that is gone; `resume` continues in another.
    #[must_use]
    pub fn page_expired(resume: String) -> Refusal {
        let message = "The provided continue parameter is too old to display a consistent list \
                       result. Start a new list without it, or continue with the token in this \
                       answer and accept that the list is not of one moment.";
        let mut refusal = Refusal::new(410, "Expired", message);
        refusal.resume = Some(resume);
        refusal
    }

    /// The version asked for has not been given out yet.
    #[must_use]
    pub fn from_the_future(asked: u64, current: u64) -> Refusal {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let mut refusal = Refusal::new(504, "Timeout", message);
        let cause = json!({
            "reason": "ResourceVersionTooLarge",
            "message": "Too large resource version",
        });
        refusal.details = Some(json!({"causes": [cause], "retryAfterSeconds": 1}));
        refusal.retry_after = Some(1);
        refusal
    }

    /// The caller did not say who it is.
    #[must_use]
    pub fn unauthorized() -> Refusal {
        Refusal::new(401, "Unauthorized", "Unauthorized")
    }

    /// The caller may not do this.
    #[must_use]
    pub fn forbidden(verb: &str, kind: &Kind) -> Refusal {
        let message = format!(
            "{} is forbidden: User \"system:serviceaccount:kube-system:aws-node\" cannot {verb} \
             resource {:?} in API group {:?} at the cluster scope",
            kind.resource(),
            kind.plural,
            kind.group
        );
        let mut refusal = Refusal::new(403, "Forbidden", message);
        refusal.details = Some(json!({"group": kind.group, "kind": kind.plural}));
        refusal
    }

    /// The server has too much to do.
    #[must_use]
    pub fn too_many_requests() -> Refusal {
        let message = "too many requests, please try again later";
        Refusal::new(429, "TooManyRequests", message).retry(1)
    }

    /// Something behind the server is away.
    #[must_use]
    pub fn unavailable() -> Refusal {
        let message = "the server is currently unable to handle the request";
        Refusal::new(503, "ServiceUnavailable", message).retry(1)
    }

    /// Nothing can be done about it.
    #[must_use]
    pub fn internal() -> Refusal {
        let message = "Internal error occurred: etcdserver: request timed out";
        Refusal::new(500, "InternalError", message)
    }

    /// There is a thing at this path, and this cannot be done to it.
    #[must_use]
    pub fn method_not_allowed() -> Refusal {
        let message = "the server does not allow this method on the requested resource";
        Refusal::new(405, "MethodNotAllowed", message)
    }

    /// The body is of a type that is not accepted here.
    #[must_use]
    pub fn unsupported_media_type(accepted: &[&str]) -> Refusal {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Refusal::new(415, "UnsupportedMediaType", message)
    }

    /// The body is larger than the server takes.
    #[must_use]
    pub fn too_large(limit: usize) -> Refusal {
        let message = format!("limit is {limit}");
        Refusal::new(413, "RequestEntityTooLarge", message)
    }

    fn retry(mut self, seconds: u32) -> Refusal {
        self.retry_after = Some(seconds);
        self.details = Some(json!({"retryAfterSeconds": seconds}));
        self
    }

    /// As a `Status` object.
    #[must_use]
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        });
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        if let Some(resume) = &self.resume {
            status["metadata"]["continue"] = resume.as_str().into();
        }
        status
    }
}
