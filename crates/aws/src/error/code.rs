//! EC2's error codes (EC2 API reference, "Error codes") and what they mean to us.

use super::{Answer, ErrorKind};

/// Codes that mean "later". The SDKs' list of throttling codes (botocore `retries.standard`) and
/// EC2's own names.
const THROTTLED: &[&str] = &[
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];

const SERVER: &[&str] = &[
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServerInternal",
    "ServiceUnavailable",
    "Unavailable",
];

const NOT_AUTHENTICATED: &[&str] = &[
    "AuthFailure",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// `RequestExpired` is a clock that is wrong or credentials that have expired (EC2 API reference);
/// the former is told by the answer's `Date`.
const EXPIRED: &[&str] = &["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

const ACCOUNT: &[&str] = &["Blocked", "OptInRequired", "PendingVerification"];

const UNAUTHORIZED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "NotAuthorized",
    "UnauthorizedOperation",
];

/// Calls that `UnsupportedOperation` refuses because the instance type cannot have prefixes.
const WITH_PREFIXES: &[&str] = &[
    "AssignIpv6Addresses",
    "AssignPrivateIpAddresses",
    "AttachNetworkInterface",
];

const INVALID_PARAMETER: &[&str] = &[
    "InvalidAction",
    "InvalidParameter",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "InvalidParameterValueException",
    "InvalidQueryParameter",
    "InvalidRequest",
    "MalformedQueryString",
    "MissingAction",
    "MissingParameter",
    "UnknownParameter",
    "ValidationError",
];

impl ErrorKind {
    /// The kind of an error answer. `service` and `action` name the permission that is missing,
    /// unless the message names another (a creation with tags needs `ec2:CreateTags` too).
    pub(crate) fn of_answer(answer: &Answer, service: &str, action: &str) -> Self {
        let kind = Self::from_code(&answer.code, answer.status, action);
        if matches!(kind, ErrorKind::Unauthorized { .. }) {
            let asked = || format!("{service}:{action}");
            let action = permission(&answer.message).map_or_else(asked, str::to_owned);
            return ErrorKind::Unauthorized { action };
        }
        kind
    }

    /// The kind for an EC2 error code. `status` decides where the code is unknown or absent,
    /// `action` names the missing permission.
    #[must_use]
    pub fn from_code(code: &str, status: u16, action: &str) -> Self {
        // Some tools and proxies show the fault's side in front, as the SOAP API did.
        let bare = code
            .strip_prefix("Client.")
            .or_else(|| code.strip_prefix("Server."))
            .unwrap_or(code);
        match bare {
            "InsufficientFreeAddressesInSubnet" => ErrorKind::InsufficientAddresses,
            // The one resource whose absence has a code without the usual ending.
            "InvalidInstanceType" => ErrorKind::NotFound,
            "InsufficientCidrBlocks" => ErrorKind::InsufficientCidrBlocks,
            "PrivateIpAddressLimitExceeded" => ErrorKind::AddressLimit,
            "AttachmentLimitExceeded" => ErrorKind::AttachmentLimit,
            "NetworkInterfaceLimitExceeded" => ErrorKind::NetworkInterfaceLimit,
            "DryRunOperation" => ErrorKind::DryRun,
            "DependencyViolation" => ErrorKind::InUse,
            "IdempotentParameterMismatch" => ErrorKind::IdempotencyMismatch,
            "UnsupportedOperation" if WITH_PREFIXES.contains(&action) => ErrorKind::NotNitro,
            "UnsupportedOperation" | "Unsupported" => ErrorKind::Unsupported,
            // What EC2 really answers while an ENI is attached or being detached (API reference,
            // `InvalidNetworkInterface.InUse`); the call has no other value that could be wrong.
            "InvalidParameterValue" if action == "DeleteNetworkInterface" => ErrorKind::InUse,
            "IncorrectState" | "IncorrectInstanceState" => ErrorKind::WrongState,
            _ if UNAUTHORIZED.contains(&bare) => ErrorKind::Unauthorized {
                action: format!("ec2:{action}"),
            },
            _ if THROTTLED.contains(&bare) => ErrorKind::Throttled,
            _ if SERVER.contains(&bare) => ErrorKind::Server,
            _ if NOT_AUTHENTICATED.contains(&bare) => ErrorKind::NotAuthenticated,
            _ if EXPIRED.contains(&bare) => ErrorKind::ExpiredCredentials,
            _ if ACCOUNT.contains(&bare) => ErrorKind::Account,
            _ if INVALID_PARAMETER.contains(&bare) => ErrorKind::InvalidParameter,
            _ if bare.ends_with(".NotFound") => ErrorKind::NotFound,
            _ if bare.ends_with(".InUse") => ErrorKind::InUse,
            _ if bare.ends_with(".Malformed") => ErrorKind::InvalidParameter,
            _ => Self::from_status(code, status),
        }
    }

    fn from_status(code: &str, status: u16) -> Self {
        match status {
            429 => ErrorKind::Throttled,
            500..=599 => ErrorKind::Server,
            _ if code.is_empty() => ErrorKind::Other {
                code: format!("HTTP {status}"),
            },
            _ => ErrorKind::Other {
                code: code.to_owned(),
            },
        }
    }
}

/// The IAM action that a message says is not allowed: `… is not authorized to perform:
/// ec2:CreateTags on resource …`. Text for people, so anything that is not an action is passed by.
fn permission(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("not authorized to perform:")?;
    let action = rest.split_whitespace().next()?;
    let (service, name) = action.split_once(':')?;
    let fits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    (fits(service) && fits(name)).then_some(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(code: &str, status: u16) -> &'static str {
        ErrorKind::from_code(code, status, "CreateNetworkInterface").label()
    }

    #[test]
    fn codes_of_the_api_reference_have_their_kinds() {
        let table = [
            ("RequestLimitExceeded", 503, "throttled"),
            ("Client.RequestLimitExceeded", 503, "throttled"),
            (
                "InsufficientFreeAddressesInSubnet",
                400,
                "insufficient-addresses",
            ),
            ("InsufficientCidrBlocks", 400, "insufficient-cidr-blocks"),
            ("PrivateIpAddressLimitExceeded", 400, "address-limit"),
            ("AttachmentLimitExceeded", 400, "attachment-limit"),
            (
                "NetworkInterfaceLimitExceeded",
                400,
                "network-interface-limit",
            ),
            ("InvalidNetworkInterfaceID.NotFound", 400, "not-found"),
            ("InvalidAttachmentID.NotFound", 400, "not-found"),
            ("InvalidNetworkInterface.InUse", 400, "in-use"),
            ("IncorrectState", 400, "wrong-state"),
            ("AuthFailure", 401, "not-authenticated"),
            ("RequestExpired", 400, "expired-credentials"),
            ("ExpiredToken", 403, "expired-credentials"),
            ("IdempotentParameterMismatch", 400, "idempotency-mismatch"),
            ("OptInRequired", 401, "account"),
            ("UnsupportedOperation", 400, "unsupported"),
            ("InvalidParameterValue", 400, "invalid-parameter"),
            (
                "InvalidNetworkInterfaceId.Malformed",
                400,
                "invalid-parameter",
            ),
            ("DryRunOperation", 412, "dry-run"),
            ("InternalError", 500, "server"),
            ("Unavailable", 503, "server"),
        ];
        for (code, status, kind) in table {
            assert_eq!(label(code, status), kind, "{code}");
        }
    }

    #[test]
    fn the_status_decides_where_the_code_is_unknown() {
        assert_eq!(label("", 503), "server");
        assert_eq!(label("", 429), "throttled");
        assert_eq!(label("Novelty", 500), "server");
        let other = ErrorKind::from_code("Novelty", 400, "X");
        assert!(matches!(other, ErrorKind::Other { code } if code == "Novelty"));
        let none = ErrorKind::from_code("", 418, "X");
        assert_eq!(none.to_string(), "AWS answered HTTP 418");
    }

    #[test]
    fn an_eni_that_cannot_be_deleted_yet_is_in_use() {
        let kind = ErrorKind::from_code("InvalidParameterValue", 400, "DeleteNetworkInterface");
        assert!(matches!(kind, ErrorKind::InUse), "{kind}");
    }

    #[test]
    fn prefixes_on_an_instance_that_cannot_have_them_are_told_from_other_refusals() {
        for action in ["AssignPrivateIpAddresses", "AttachNetworkInterface"] {
            let kind = ErrorKind::from_code("UnsupportedOperation", 400, action);
            assert!(matches!(kind, ErrorKind::NotNitro), "{kind}");
        }
    }

    #[test]
    fn the_permission_is_the_one_the_message_names_if_it_names_one() {
        for (message, named) in [
            (
                "You are not authorized to perform this operation.",
                "ec2:CreateNetworkInterface",
            ),
            (
                "User: arn:aws:sts::1:assumed-role/n/i-1 is not authorized to perform: \
                 ec2:CreateTags on resource: arn:aws:ec2:x:1:network-interface/* because no \
                 identity-based policy allows the ec2:CreateTags action",
                "ec2:CreateTags",
            ),
            (
                "not authorized to perform: <b>",
                "ec2:CreateNetworkInterface",
            ),
            ("not authorized to perform:", "ec2:CreateNetworkInterface"),
        ] {
            let answer = Answer {
                status: 403,
                code: "UnauthorizedOperation".to_owned(),
                message: message.to_owned(),
                request_id: String::new(),
            };
            let kind = ErrorKind::of_answer(&answer, "ec2", "CreateNetworkInterface");
            assert!(matches!(kind, ErrorKind::Unauthorized { action } if action == named));
        }
    }

    #[test]
    fn a_missing_permission_is_named_as_iam_names_it() {
        let kind = ErrorKind::from_code("UnauthorizedOperation", 403, "CreateTags");
        assert!(kind.to_string().contains("ec2:CreateTags"), "{kind}");
    }
}
