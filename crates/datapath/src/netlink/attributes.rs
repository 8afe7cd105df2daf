//! Netlink's type-length-value attributes, written and read.
//!
//! An attribute is a 16-bit length (header included), a 16-bit kind, the value, and padding to a
//! multiple of four bytes (`struct nlattr`, linux/netlink.h). The reader takes what it knows and
//! skips the rest: kernels add attributes with every release.

use std::net::IpAddr;

/// `NLA_F_NESTED`: the value is itself a list of attributes.
const NESTED: u16 = 1 << 15;
/// `NLA_TYPE_MASK`: the kind without its two flag bits.
const KIND_MASK: u16 = 0x3fff;
const HEADER: usize = 4;

/// Appends attributes to a message.
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    /// Appends a value as it is. Values here are far below the 64 KiB the length field allows.
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(HEADER + value.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.pad();
        self
    }

    /// Appends a number in the machine's byte order, as rtnetlink has them.
    pub(crate) fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a number in network byte order, as nf_tables has them.
    pub(crate) fn big_endian(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends a text with the NUL the kernel wants at its end.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// Appends an IP address in network byte order, 4 or 16 bytes.
    pub(crate) fn address(&mut self, kind: u16, value: IpAddr) -> &mut Self {
        match value {
            IpAddr::V4(address) => self.bytes(kind, &address.octets()),
            IpAddr::V6(address) => self.bytes(kind, &address.octets()),
        }
    }

    /// Appends a list of attributes as the value of one.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Writer<'_>)) -> &mut Self {
        self.enclose(kind | NESTED, fill)
    }

    /// Appends what `fill` appends as the value of one attribute that is not marked as nested.
    pub(crate) fn enclose(&mut self, kind: u16, fill: impl FnOnce(&mut Writer<'_>)) -> &mut Self {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 2]);
        self.0.extend_from_slice(&kind.to_ne_bytes());
        fill(&mut Writer(self.0));
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    fn pad(&mut self) {
        let padded = self.0.len().next_multiple_of(4);
        self.0.resize(padded, 0);
    }
}

/// The attributes in `bytes`, as kind and value; ends early where the list is cut short.
pub(crate) fn read(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (length, kind) = (short(rest, 0)?, short(rest, 2)?);
        let value = rest.get(HEADER..usize::from(length))?;
        rest = rest
            .get(usize::from(length).next_multiple_of(4)..)
            .unwrap_or_default();
        Some((kind & KIND_MASK, value))
    })
}

/// The 16-bit number at `offset`, in the machine's byte order.
pub(crate) fn short(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes
        .get(offset..offset + 2)?
        .try_into()
        .ok()
        .map(u16::from_ne_bytes)
}

/// The 32-bit number at `offset`, in the machine's byte order.
pub(crate) fn number(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes
        .get(offset..offset + 4)?
        .try_into()
        .ok()
        .map(u32::from_ne_bytes)
}

/// The 32-bit number that is the whole value, in network byte order.
pub(crate) fn big_endian(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

/// The text of a value, without the NUL at its end.
pub(crate) fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value.split(|byte| *byte == 0).next()?).ok()
}

/// The IP address of a value of 4 or 16 bytes.
pub(crate) fn address(value: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Some(IpAddr::from(octets));
    }
    <[u8; 16]>::try_from(value).ok().map(IpAddr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut bytes = Vec::new();
        let mut writer = Writer(&mut bytes);
        writer.text(3, "eth0").number(4, 9001).nest(5, |inner| {
            inner.bytes(1, &[7]);
        });
        let found: Vec<(u16, &[u8])> = read(&bytes).collect();
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].0, text(found[0].1)), (3, Some("eth0")));
        assert_eq!((found[1].0, number(found[1].1, 0)), (4, Some(9001)));
        assert_eq!(read(found[2].1).collect::<Vec<_>>(), [(1, &[7u8][..])]);
    }

    #[test]
    fn a_list_that_is_cut_short_ends_where_it_is_cut() {
        let mut bytes = Vec::new();
        Writer(&mut bytes).number(1, 5).number(2, 6);
        for length in 0..bytes.len() {
            let whole = length / 8;
            assert_eq!(read(&bytes[..length]).count(), whole, "cut at {length}");
        }
        assert_eq!(
            read(&[0, 0, 0, 0]).count(),
            0,
            "a length shorter than its own header"
        );
    }
}
