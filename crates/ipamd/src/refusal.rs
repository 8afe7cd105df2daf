//! What EC2's errors mean to the pool: which requests they stop.

use vpc_aws::ErrorKind;
use vpc_ipam::Refusal;

use crate::eni_life::{Cause, CreateError, Stage};

/// What a refused request for slots means. Without an answer it means nothing for the pool.
#[must_use]
pub(crate) fn of_assign(error: &vpc_aws::Error) -> Refusal {
    let answer = error.answer.as_deref();
    answer.map_or(Refusal::Other, |answer| Refusal::of_code(&answer.code))
}

/// What a failed creation means: it depends on how far it came. A subnet that does not exist is as
/// good as a full one, so that others are tried; at the attachment a wrong parameter is a place
/// that somebody else's ENI has taken.
#[must_use]
pub(crate) fn of_create(error: &CreateError) -> Refusal {
    let Cause::Ec2(cause) = &error.source else {
        return Refusal::Other;
    };
    match (error.stage, &cause.kind) {
        (Stage::Create, ErrorKind::NotFound) => Refusal::SubnetFull,
        (Stage::Attach, ErrorKind::InvalidParameter) => Refusal::PlaceTaken,
        (Stage::Create | Stage::Attach, _) => of_assign(cause),
        (Stage::DeleteOnTermination | Stage::Link | Stage::Wire, _) => Refusal::Other,
    }
}

#[cfg(test)]
mod tests {
    use vpc_aws::{Answer, Error};

    use super::*;

    fn error(code: &str) -> Error {
        let answer = Answer {
            status: 400,
            code: code.to_owned(),
            message: "as told".to_owned(),
            request_id: String::new(),
        };
        Error::from_answer("AssignPrivateIpAddresses", "memory", answer)
    }

    #[test]
    fn codes_become_what_they_stop() {
        for (code, refusal) in [
            ("InsufficientFreeAddressesInSubnet", Refusal::SubnetFull),
            ("InvalidParameterValue", Refusal::SubnetFull),
            ("InsufficientCidrBlocks", Refusal::NoBlock),
            ("PrivateIpAddressLimitExceeded", Refusal::EniFull),
            ("AttachmentLimitExceeded", Refusal::TooManyEnis),
            ("InvalidNetworkInterfaceID.NotFound", Refusal::NoSuchEni),
            ("RequestLimitExceeded", Refusal::Other),
            ("UnauthorizedOperation", Refusal::Other),
        ] {
            assert_eq!(of_assign(&error(code)), refusal, "{code}");
        }
    }

    #[test]
    fn the_same_code_means_different_things_at_different_stages() {
        let at = |stage, code| {
            of_create(&CreateError {
                stage,
                leftover: None,
                source: Cause::Ec2(error(code)),
            })
        };
        let wrong = "InvalidParameterValue";
        assert_eq!(at(Stage::Create, wrong), Refusal::SubnetFull);
        assert_eq!(at(Stage::Attach, wrong), Refusal::PlaceTaken);
        assert_eq!(at(Stage::DeleteOnTermination, wrong), Refusal::Other);
        let gone = "InvalidSubnetID.NotFound";
        assert_eq!(at(Stage::Create, gone), Refusal::SubnetFull);
    }
}
