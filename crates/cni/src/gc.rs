//! GC: nothing of a sandbox that is listed may go, and of the others only ipamd knows what there
//! is.
//!
//! Which addresses are allocated to sandboxes that are gone is ipamd's to find out and to mend;
//! the messages between plugin and ipamd have no way to hand it the runtime's list. So the plugin
//! frees nothing here, which the specification allows; it checks that it was given a list it
//! would understand.

use crate::error::Error;
use crate::spec::NetConf;

/// The sandboxes that are to be kept.
const VALID: &str = "cni.dev/valid-attachments";

/// Checks the list of sandboxes to keep.
pub(crate) fn gc(conf: &NetConf) -> Result<(), Error> {
    for attachment in conf.root().list(VALID)? {
        let attachment = attachment.object()?;
        for name in ["containerID", "ifname"] {
            if attachment.text(name)?.unwrap_or_default().is_empty() {
                return Err(Error::MissingField {
                    field: attachment.path_of(name),
                    needed: "text that is not empty",
                });
            }
        }
    }
    Ok(())
}
