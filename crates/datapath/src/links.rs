//! The node's links: which there are, and when an ENI's appears.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use vpc_model::{LinkName, MacAddress};

use crate::error::Error;
use crate::netlink::socket::{Family, Heard, Reply, Socket};
use crate::netlink::{Netlink, link, pick_by_mac};
use crate::state::Link;

/// Waits until a link with this MAC address is there, by the kernel's notifications. Returns at
/// once when it is there already. The name may change once more when udev gets to it.
///
/// # Errors
/// [`Error::LinkDidNotAppear`] after `timeout`; otherwise the operation that failed.
pub fn wait_for_mac(mac: MacAddress, timeout: Duration) -> Result<LinkName, Error> {
    let doing = format!("wait for a link with MAC address {mac}");
    let deadline = Instant::now() + timeout;
    // Subscribed before the first look: what comes after the look is notified.
    let mut events = Socket::open(Family::Route)?;
    events.join(&[link::GROUP], &doing)?;
    if let Some(name) = by_mac(mac)? {
        return Ok(name);
    }
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let heard = if left.is_zero() {
            Heard::Nothing
        } else {
            events.wait(left, &doing)?
        };
        let found = match heard {
            Heard::Messages(messages) => pick_by_mac(new_links(&messages), mac).map(|l| l.name),
            Heard::Lost => by_mac(mac)?,
            Heard::Nothing => {
                return Err(Error::LinkDidNotAppear {
                    mac,
                    waited: timeout,
                });
            }
        };
        if let Some(name) = found {
            return Ok(name);
        }
    }
}

fn new_links(messages: &[Reply]) -> Vec<Link> {
    let new = messages
        .iter()
        .filter(|message| message.kind == link::RTM_NEWLINK);
    new.filter_map(|message| link::decode(&message.payload))
        .collect()
}

/// The link that has this MAC address, if there is one.
///
/// # Errors
/// The operation that failed.
pub fn by_mac(mac: MacAddress) -> Result<Option<LinkName>, Error> {
    Ok(Netlink::open()?.link_by_mac(mac)?.map(|link| link.name))
}

/// The names of all links of the calling thread's network namespace.
///
/// # Errors
/// The operation that failed.
pub fn names() -> Result<BTreeSet<LinkName>, Error> {
    Ok(Netlink::open()?
        .links()?
        .into_iter()
        .map(|link| link.name)
        .collect())
}
