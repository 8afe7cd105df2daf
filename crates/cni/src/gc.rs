//! GC: ipamd is told which sandboxes the runtime knows, and frees what the others hold, if the
//! kernel agrees that they are gone.

use std::path::Path;
use std::time::Duration;

use vpc_rpc::client::{self, COLLECT_GARBAGE};
use vpc_rpc::proto::node::{Attachment, CollectGarbageRequest};
use vpc_rpc::{CallError, Code};

use crate::error::Error;
use crate::log::Record;
use crate::spec::NetConf;

/// The sandboxes that are to be kept. The second name is the one the CNI library writes besides,
/// and the only one some of its versions read.
const VALID: [&str; 2] = ["cni.dev/valid-attachments", "cni.dev/attachments"];

/// Has ipamd free what belongs to no sandbox in the list.
pub(crate) fn gc(
    conf: &NetConf,
    socket: &Path,
    deadline: Duration,
    record: &mut Record,
) -> Result<(), Error> {
    let request = CollectGarbageRequest {
        network_name: conf.name.clone(),
        valid_attachments: valid_attachments(conf)?,
    };
    record.field("listed", request.valid_attachments.len());
    let answer = record.stage("ipamd", || {
        client::call_blocking(socket, COLLECT_GARBAGE, &request, deadline)
    });
    match answer {
        Ok(reply) => {
            let freed: Vec<_> = reply.freed.into_iter().map(|one| one.address).collect();
            let spared = reply.spared.into_iter();
            let spared: Vec<_> = spared
                .map(|one| format!("{}: {}", one.address, one.reason))
                .collect();
            record.field("freed", freed);
            record.field("spared", spared);
            Ok(())
        }
        // Upstream's ipamd. It looks for lost sandboxes by itself when it starts.
        Err(error) if is_unknown_to_ipamd(&error) => {
            record.warn("this ipamd does not know GC; nothing was freed".to_owned());
            Ok(())
        }
        Err(error) => Err(Error::Garbage(error)),
    }
}

/// The runtime's list. An empty one is a list; none at all is a runtime's mistake.
fn valid_attachments(conf: &NetConf) -> Result<Vec<Attachment>, Error> {
    let root = conf.root();
    let Some(field) = VALID.into_iter().find(|name| root.has(name)) else {
        return Err(Error::MissingField {
            field: VALID[0].to_owned(),
            needed: "the list of containers that are to be kept",
        });
    };
    let mut attachments = Vec::new();
    for attachment in root.list(field)? {
        let attachment = attachment.object()?;
        let text = |name| match attachment.text(name)?.unwrap_or_default() {
            "" => Err(Error::MissingField {
                field: attachment.path_of(name),
                needed: "text that is not empty",
            }),
            text => Ok(text.to_owned()),
        };
        attachments.push(Attachment {
            container_id: text("containerID")?,
            if_name: text("ifname")?,
        });
    }
    Ok(attachments)
}

fn is_unknown_to_ipamd(error: &CallError) -> bool {
    error
        .status()
        .is_some_and(|status| status.code == Code::Unimplemented)
}
