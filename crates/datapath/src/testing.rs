//! Network namespaces for unit tests: one that lasts as long as a closure runs in it.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use rustix::thread::{UnshareFlags, gettid};

/// Moves the calling thread into a new network namespace. The function is deprecated since
/// flags we do not use could break the rules of memory safety.
#[allow(
    deprecated,
    reason = "the one flag given is sound, and its replacement is unsafe"
)]
fn leave() {
    rustix::thread::unshare(UnshareFlags::NEWNET).expect("needs root");
}

/// Runs `work` on a thread in a new network namespace.
pub(crate) fn in_new_namespace<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let run = || {
        leave();
        work()
    };
    thread::scope(|scope| scope.spawn(run).join().expect("the test failed inside"))
}

/// A network namespace for a pod, kept by a thread that sleeps in it.
pub(crate) struct PodNamespace {
    pub(crate) path: PathBuf,
    _end: mpsc::Sender<()>,
}

impl PodNamespace {
    pub(crate) fn new() -> Self {
        let (tell, told) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        thread::spawn(move || {
            leave();
            let task = gettid().as_raw_nonzero();
            tell.send(PathBuf::from(format!("/proc/self/task/{task}/ns/net")))
                .ok();
            ended.recv().ok();
        });
        Self {
            path: told.recv().expect("needs root"),
            _end: end,
        }
    }
}
