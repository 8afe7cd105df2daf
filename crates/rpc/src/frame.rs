//! Messages on the wire: a byte that says whether the message is compressed, its length in four
//! bytes, most significant first, and the message (gRPC's "length-prefixed message").

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// The longest answer taken, 4 MiB: gRPC's usual limit. Answers here are a few hundred bytes.
pub(crate) const LONGEST: usize = 4 << 20;

const PREFIX: usize = 5;

/// The body of an answer is not one plain message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than the five bytes in front of a message, or than the length they state.
    #[error("the answer ends after {0} bytes, in the middle of a message")]
    Truncated(usize),
    /// More than one message where one is expected.
    #[error("the answer has {0} bytes behind its message")]
    Trailing(usize),
    /// Compressed, which was not offered.
    #[error("the answer is compressed (flag {0}), which was not asked for")]
    Compressed(u8),
    /// Longer than the limit.
    #[error("the answer is longer than {LONGEST} bytes")]
    TooLong,
    /// The message is not what the method returns.
    #[error("the answer is not the message the method returns")]
    Message(#[source] prost::DecodeError),
}

/// `message` with its prefix.
pub(crate) fn encode(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX + length);
    frame.put_u8(0);
    // Requests are built by this crate's callers from texts far shorter than 4 GiB.
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.put_slice(&message.encode_to_vec());
    frame.freeze()
}

/// The one message in `body`.
pub(crate) fn decode<M: Message + Default>(body: &[u8]) -> Result<M, FrameError> {
    let (prefix, rest) = body
        .split_first_chunk::<PREFIX>()
        .ok_or(FrameError::Truncated(body.len()))?;
    let [flag, length @ ..] = *prefix;
    if flag != 0 {
        return Err(FrameError::Compressed(flag));
    }
    let length = u32::from_be_bytes(length) as usize;
    match rest.len().checked_sub(length) {
        Some(0) => M::decode(rest).map_err(FrameError::Message),
        Some(trailing) => Err(FrameError::Trailing(trailing)),
        None => Err(FrameError::Truncated(body.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::IpAllocationMetadata;

    fn message() -> IpAllocationMetadata {
        IpAllocationMetadata {
            ipv4_addr: "10.0.1.15".to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn a_frame_is_flag_length_and_message() {
        let frame = encode(&message());
        assert_eq!(&frame[..7], [0, 0, 0, 0, 11, 0x0a, 9]);
        assert_eq!(decode::<IpAllocationMetadata>(&frame).unwrap(), message());
    }

    #[test]
    fn bodies_that_are_not_one_plain_message_are_refused() {
        let good = encode(&message()).to_vec();
        let refused = |body: &[u8]| decode::<IpAllocationMetadata>(body).unwrap_err();
        assert_eq!(refused(&[]), FrameError::Truncated(0));
        assert_eq!(refused(&good[..15]), FrameError::Truncated(15));
        assert_eq!(
            refused(&[good.clone(), vec![0]].concat()),
            FrameError::Trailing(1)
        );
        assert_eq!(
            refused(&[&[1], &good[1..]].concat()),
            FrameError::Compressed(1)
        );
        assert!(matches!(
            refused(&[0, 0, 0, 0, 1, 0x0a]),
            FrameError::Message(_)
        ));
    }
}
