//! Client and server over a real socket.

#![allow(
    clippy::unwrap_used,
    reason = "in a test file helpers may fail the test too"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use vpc_rpc::client::{self, CallError, GET_NETWORK_POLICY_CONFIGS, Method};
use vpc_rpc::proto::{
    AddNetworkReply, AddNetworkRequest, DelNetworkReply, DelNetworkRequest, IpAllocationMetadata,
    NetworkPolicyAgentConfigReply,
};
use vpc_rpc::server::{self, Backend, BindError, PeerCredentials, ServeError};
use vpc_rpc::{Code, Health, Status, add_network, del_network, health};

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_request_and_its_reply_arrive_whole() {
    let daemon = Daemon::start();
    let reply = add_network(&daemon.socket, &add("web"), PATIENCE).unwrap();
    assert_eq!(reply.ip_allocation_metadata[0].ipv4_addr, "10.0.1.15");
    assert_eq!(reply.ip_allocation_metadata[0].route_table_id, 2);
    assert_eq!(
        reply.vpc_v4_cidrs.len(),
        20_000,
        "an answer of several HTTP/2 windows"
    );
}

#[test]
fn the_backend_learns_who_called() {
    let daemon = Daemon::start();
    let reply = client::call_blocking(&daemon.socket, GET_NETWORK_POLICY_CONFIGS, &(), PATIENCE);
    let region = reply.unwrap().region;
    let own = rustix::process::geteuid().as_raw();
    assert_eq!(region, format!("uid {own} pid {}", std::process::id()));
}

#[test]
fn a_refusal_carries_code_and_message() {
    let daemon = Daemon::start();
    let error = del_network(&daemon.socket, &DelNetworkRequest::default(), PATIENCE).unwrap_err();
    let status = error.status().unwrap();
    assert_eq!(status.code, Code::Unknown);
    assert!(status.is_unknown_pod(), "{status}");
    assert!(status.message.ends_with("naïve\n100 %"), "{status}");
}

#[test]
fn a_method_the_server_does_not_have_is_unimplemented() {
    let daemon = Daemon::start();
    for path in [
        "/rpc.CNIBackend/NoSuch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ] {
        let method = Method::<(), AddNetworkReply>::new(path);
        let error = client::call_blocking(&daemon.socket, method, &(), PATIENCE).unwrap_err();
        assert_eq!(error.status().unwrap().code, Code::Unimplemented);
    }
}

#[test]
fn health_follows_the_daemon_and_says_why() {
    let daemon = Daemon::start();
    assert_eq!(
        health::check(&daemon.socket, PATIENCE).unwrap(),
        Health::Serving
    );
    let waiting = Health::NotServing {
        reason: "no ENI yet: 100 % dry".to_owned(),
    };
    daemon.health.send(waiting.clone()).unwrap();
    assert_eq!(health::check(&daemon.socket, PATIENCE).unwrap(), waiting);
}

#[test]
fn a_server_that_never_answers_is_given_up_at_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("ipamd.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let error = add_network(&socket, &add("web"), Duration::from_millis(50)).unwrap_err();
    assert!(matches!(error, CallError::Deadline { .. }), "{error:?}");
}

#[test]
fn a_call_the_backend_does_not_finish_is_given_up_and_still_carried_out() {
    let daemon = Daemon::start();
    let error = add_network(&daemon.socket, &add("slow"), Duration::from_millis(50)).unwrap_err();
    let timed_out = matches!(&error, CallError::Deadline { .. })
        || error
            .status()
            .is_some_and(|status| matches!(status.code, Code::DeadlineExceeded | Code::Cancelled));
    assert!(timed_out, "{error:?}");
    daemon
        .finished
        .recv_timeout(PATIENCE)
        .expect("the backend finished the call");
}

#[test]
fn nobody_listening_is_a_connection_error_that_names_the_socket() {
    let error =
        add_network(Path::new("/nonexistent/ipamd.sock"), &add("web"), PATIENCE).unwrap_err();
    assert!(matches!(error, CallError::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains("/nonexistent/ipamd.sock"));
}

#[test]
fn a_peer_that_does_not_speak_http2_is_an_error_not_a_hang() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("ipamd.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let peer = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        let _ = stream.read(&mut [0; 512]);
    });
    let error = add_network(&socket, &add("web"), PATIENCE).unwrap_err();
    assert!(matches!(error, CallError::Transport { .. }), "{error:?}");
    peer.join().unwrap();
}

#[test]
fn socket_and_directory_are_for_their_owner_only() {
    let daemon = Daemon::start();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&daemon.socket), 0o600);
    assert_eq!(mode(daemon.socket.parent().unwrap()), 0o700);
}

#[test]
fn an_existing_directory_keeps_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let daemon = Daemon::at(folder.path().join("ipamd.sock"));
    let mode = fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o755);
    drop(daemon);
}

#[test]
fn a_socket_nobody_answers_on_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("ipamd.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let daemon = Daemon::at(socket);
    add_network(&daemon.socket, &add("web"), PATIENCE).unwrap();
}

#[test]
fn a_socket_somebody_answers_on_is_left_alone() {
    let daemon = Daemon::start();
    let error = bind(&daemon.socket).unwrap_err();
    assert!(
        matches!(
            error,
            ServeError::Bind {
                source: BindError::InUse,
                ..
            }
        ),
        "{error:?}"
    );
    add_network(&daemon.socket, &add("web"), PATIENCE).unwrap();
}

#[test]
fn a_file_that_is_not_a_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("ipamd.sock");
    fs::write(&socket, "precious").unwrap();
    let error = bind(&socket).unwrap_err();
    assert!(
        matches!(
            error,
            ServeError::Bind {
                source: BindError::NotASocket,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

#[test]
fn a_stopped_server_leaves_no_socket_but_never_removes_its_successors() {
    let mut daemon = Daemon::start();
    daemon.stop();
    assert!(!daemon.socket.exists());

    let mut daemon = Daemon::start();
    fs::remove_file(&daemon.socket).unwrap();
    let _successor = UnixListener::bind(&daemon.socket).unwrap();
    daemon.stop();
    assert!(daemon.socket.exists());
}

fn bind(socket: &Path) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    server::bind(socket).map(|_| ())
}

fn add(pod: &str) -> AddNetworkRequest {
    AddNetworkRequest {
        k8s_pod_name: pod.to_owned(),
        ..Default::default()
    }
}

/// A server on a thread of its own.
struct Daemon {
    socket: PathBuf,
    health: watch::Sender<Health>,
    finished: std::sync::mpsc::Receiver<()>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    _folder: Option<tempfile::TempDir>,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Self::at(folder.path().join("aws-node/ipamd.sock"));
        Self {
            _folder: Some(folder),
            ..daemon
        }
    }

    fn at(socket: PathBuf) -> Self {
        let (health, health_seen) = watch::channel(Health::Serving);
        let (finish, finished) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let path = socket.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let bound = server::bind(&path).unwrap();
                ready.send(()).unwrap();
                let stopped = async { drop(stopped.await) };
                bound
                    .serve(Fixed(Mutex::new(finish)), health_seen, stopped)
                    .await
                    .unwrap();
            });
        });
        is_ready.recv().unwrap();
        Self {
            socket,
            health,
            finished,
            stop: Some(stop),
            thread: Some(thread),
            _folder: None,
        }
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Gives everybody the same address; slowly to the pod named `slow`.
struct Fixed(Mutex<std::sync::mpsc::Sender<()>>);

impl Backend for Fixed {
    async fn add_network(
        &self,
        _: PeerCredentials,
        request: AddNetworkRequest,
    ) -> Result<AddNetworkReply, Status> {
        if request.k8s_pod_name == "slow" {
            tokio::time::sleep(Duration::from_millis(300)).await;
            self.0.lock().unwrap().send(()).unwrap();
        }
        let address = IpAllocationMetadata {
            ipv4_addr: "10.0.1.15".to_owned(),
            device_number: 1,
            route_table_id: 2,
            ..Default::default()
        };
        Ok(AddNetworkReply {
            success: true,
            ip_allocation_metadata: vec![address],
            vpc_v4_cidrs: vec!["10.0.0.0/16".to_owned(); 20_000],
            ..Default::default()
        })
    }

    async fn del_network(
        &self,
        _: PeerCredentials,
        _: DelNetworkRequest,
    ) -> Result<DelNetworkReply, Status> {
        Err(Status::unknown_pod("naïve\n100 %"))
    }

    async fn get_network_policy_configs(
        &self,
        peer: PeerCredentials,
    ) -> Result<NetworkPolicyAgentConfigReply, Status> {
        let region = format!("uid {} pid {}", peer.uid, peer.pid);
        Ok(NetworkPolicyAgentConfigReply {
            region,
            ..Default::default()
        })
    }
}
