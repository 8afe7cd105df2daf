//! Who is at the other end, and whether they may speak.

use std::io;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

/// Accepted connections that may wait for the server. It takes them at once.
const QUEUE: usize = 16;

/// How long to leave the listener alone when the process has run out of descriptors: the waiting
/// connection keeps it readable, so trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The process that opened a connection, as the kernel vouches for it (`SO_PEERCRED`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerCredentials {
    /// Its effective user when it connected.
    pub uid: u32,
    /// Its process id, 0 where it is outside this pid namespace.
    pub pid: i32,
}

/// Whether a caller may speak: root, whose pods these are, and the daemon's own user, which is
/// somebody else only in tests.
fn may_call(caller: u32, own: u32) -> bool {
    caller == 0 || caller == own
}

/// The connections of callers that may speak. Others are closed before a byte is read. Ends when
/// the stream is dropped.
pub(super) fn admitted(listener: UnixListener) -> impl Stream<Item = io::Result<UnixStream>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = sender.closed() => return,
            };
            match accepted {
                Ok((stream, _)) if is_admitted(&stream) => {
                    if sender.send(Ok(stream)).await.is_err() {
                        return;
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
    ReceiverStream::new(receiver)
}

fn is_admitted(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    match stream.peer_cred() {
        Ok(caller) if may_call(caller.uid(), own) => true,
        Ok(caller) => {
            let (uid, pid) = (caller.uid(), caller.pid());
            tracing::warn!(
                uid,
                ?pid,
                "refused a caller that is neither root nor this user"
            );
            false
        }
        Err(error) => {
            tracing::warn!(%error, "refused a caller whose credentials cannot be read");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_daemons_own_user_may_call_and_nobody_else() {
        let cases = [
            (0, 0, true),
            (0, 1000, true),
            (1000, 1000, true),
            (1000, 0, false),
            (1001, 1000, false),
        ];
        for (caller, own, may) in cases {
            assert_eq!(may_call(caller, own), may, "caller {caller}, own {own}");
        }
    }
}
