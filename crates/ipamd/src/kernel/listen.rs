//! The kernel's notifications, on a thread of their own: they are waited for without end.

use std::time::Duration;

use tokio::sync::mpsc;
use vpc_datapath::drift::{Heard, Watch};

use crate::report::chain;

/// How long the thread waits before it looks whether anybody still listens.
const WAIT: Duration = Duration::from_secs(60);
/// How long after a failure it tries again.
const RETRY: Duration = Duration::from_secs(5);

/// What was heard and not yet asked for.
#[derive(Debug)]
pub struct Listener {
    heard: mpsc::UnboundedReceiver<Heard>,
}

impl Listener {
    /// Subscribes, and listens until dropped. What changes from now on is heard. Where that is not
    /// possible, the log says why, and nothing is heard until it is.
    #[must_use]
    pub fn start() -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        let watch = open();
        let listen = move || {
            let mut watch = watch;
            while !tell.is_closed() {
                if watch.is_none() {
                    std::thread::sleep(RETRY);
                    watch = open();
                    // Whatever happened meanwhile was missed.
                    let lost = watch.is_some();
                    let _ = tell.send(Heard {
                        lost,
                        ..Heard::default()
                    });
                    continue;
                }
                match watch.as_mut().map(|watch| watch.wait(WAIT)) {
                    Some(Ok(heard)) if heard.is_empty() => {}
                    Some(Ok(heard)) => {
                        let _ = tell.send(heard);
                    }
                    Some(Err(error)) => {
                        tracing::error!(error = chain(&error), "changes of the network");
                        watch = None;
                    }
                    None => {}
                }
            }
        };
        if let Err(error) = std::thread::Builder::new()
            .name("drift".to_owned())
            .spawn(listen)
        {
            tracing::error!(%error, "changes of the network are seen late: no thread");
        }
        Self { heard }
    }

    /// The next that was heard, with all that was heard meanwhile. Never comes back when nothing
    /// can be heard any more.
    pub async fn next(&mut self) -> Heard {
        let Some(mut heard) = self.heard.recv().await else {
            return std::future::pending().await;
        };
        self.add_waiting(&mut heard);
        heard
    }

    /// Adds what was heard meanwhile.
    pub fn add_waiting(&mut self, heard: &mut Heard) {
        while let Ok(more) = self.heard.try_recv() {
            heard.merge(more);
        }
    }
}

fn open() -> Option<Watch> {
    Watch::open()
        .inspect_err(|error| tracing::error!(error = chain(error), "changes of the network"))
        .ok()
}
