//! Servers on real sockets: an ipamd that gives out addresses and remembers who has them, and a
//! network-policy agent that counts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::sync::{oneshot, watch};
use vpc_rpc::proto::node::{CollectGarbageReply, CollectGarbageRequest, Freed};
use vpc_rpc::proto::np_backend_server::{NpBackend, NpBackendServer};
use vpc_rpc::proto::{
    AddNetworkReply, AddNetworkRequest, DelNetworkReply, DelNetworkRequest, DeleteNpReply,
    DeleteNpRequest, EnforceNpReply, EnforceNpRequest, IpAllocationMetadata,
    NetworkPolicyAgentConfigReply,
};
use vpc_rpc::server::{self, Backend, PeerCredentials};
use vpc_rpc::{Code, Health, Status};

/// How the fake behaves.
#[derive(Clone, Default)]
pub struct Manner {
    /// ADD is refused with this.
    pub refuses: Option<Status>,
    /// ADD says `success: false`.
    pub has_nothing: bool,
    /// ADD gives this instead of an address of its own.
    pub gives: Option<IpAllocationMetadata>,
    /// Interfaces a pod gets.
    pub interfaces: usize,
    /// The network policy mode in replies.
    pub policy_mode: &'static str,
    /// It does not know GC, as upstream's does not.
    pub is_upstream: bool,
    /// STATUS: why it is not ready.
    pub not_ready: Option<&'static str>,
}

#[derive(Default)]
struct Book {
    holders: BTreeMap<(String, String, String), Vec<IpAllocationMetadata>>,
    given: u8,
    reasons: Vec<String>,
}

/// An ipamd on a thread of its own.
pub struct FakeIpamd {
    book: Arc<Mutex<Book>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl FakeIpamd {
    pub fn start(socket: &Path, manner: Manner) -> Self {
        let book = Arc::new(Mutex::new(Book::default()));
        let health = match manner.not_ready {
            Some(reason) => Health::NotServing {
                reason: reason.to_owned(),
            },
            None => Health::Serving,
        };
        let backend = Fake {
            book: Arc::clone(&book),
            manner,
        };
        let path = socket.to_owned();
        let (stop, thread) = on_a_thread(move |ready, stopped| async move {
            let (_keep, health) = watch::channel(health);
            let bound = server::bind(&path).unwrap();
            ready.send(()).unwrap();
            bound
                .serve(backend, health, async { drop(stopped.await) })
                .await
                .unwrap();
        });
        Self {
            book,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// How many sandboxes hold addresses.
    pub fn holders(&self) -> usize {
        self.book.lock().unwrap().holders.len()
    }

    /// The reasons of the releases so far.
    pub fn reasons(&self) -> Vec<String> {
        self.book.lock().unwrap().reasons.clone()
    }

    /// Forgets every allocation, as after losing its state.
    pub fn forget(&self) {
        self.book.lock().unwrap().holders.clear();
    }
}

impl Drop for FakeIpamd {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn on_a_thread<F: Future<Output = ()>>(
    serve: impl FnOnce(std::sync::mpsc::Sender<()>, oneshot::Receiver<()>) -> F + Send + 'static,
) -> (oneshot::Sender<()>, std::thread::JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(serve(ready, stopped));
    });
    is_ready.recv().unwrap();
    (stop, thread)
}

struct Fake {
    book: Arc<Mutex<Book>>,
    manner: Manner,
}

impl Backend for Fake {
    async fn add_network(
        &self,
        _: PeerCredentials,
        request: AddNetworkRequest,
    ) -> Result<AddNetworkReply, Status> {
        assert_eq!(
            request.client_version, "",
            "upstream's daemon takes no other"
        );
        if let Some(status) = &self.manner.refuses {
            return Err(status.clone());
        }
        if self.manner.has_nothing {
            return Ok(AddNetworkReply::default());
        }
        let key = (request.network_name, request.container_id, request.if_name);
        let book = &mut *self.book.lock().unwrap();
        let given = &mut book.given;
        let new = || {
            let one = || {
                *given += 1;
                self.manner.gives.clone().unwrap_or_else(|| address(*given))
            };
            std::iter::repeat_with(one)
                .take(self.manner.interfaces.max(1))
                .collect()
        };
        Ok(AddNetworkReply {
            success: true,
            ip_allocation_metadata: book.holders.entry(key).or_insert_with(new).clone(),
            network_policy_mode: self.manner.policy_mode.to_owned(),
            ..Default::default()
        })
    }

    async fn del_network(
        &self,
        _: PeerCredentials,
        request: DelNetworkRequest,
    ) -> Result<DelNetworkReply, Status> {
        let key = (request.network_name, request.container_id, request.if_name);
        let mut book = self.book.lock().unwrap();
        let held = book
            .holders
            .remove(&key)
            .ok_or_else(|| Status::unknown_pod(&key.1))?;
        book.reasons.push(request.reason);
        Ok(DelNetworkReply {
            success: true,
            ip_allocation_metadata: held,
            network_policy_mode: self.manner.policy_mode.to_owned(),
            ..Default::default()
        })
    }

    async fn collect_garbage(
        &self,
        _: PeerCredentials,
        request: CollectGarbageRequest,
    ) -> Result<CollectGarbageReply, Status> {
        if self.manner.is_upstream {
            return Err(Status::new(Code::Unimplemented, ""));
        }
        let mut book = self.book.lock().unwrap();
        let is_listed = |key: &(String, String, String)| {
            let valid = &request.valid_attachments;
            valid
                .iter()
                .any(|one| (&one.container_id, &one.if_name) == (&key.1, &key.2))
        };
        let network = &request.network_name;
        let gone = |key: &(String, String, String)| key.0 == *network && !is_listed(key);
        let mut reply = CollectGarbageReply::default();
        book.holders.retain(|key, held| {
            if gone(key) {
                reply.freed.push(Freed {
                    attachment: None,
                    address: held[0].ipv4_addr.clone(),
                });
            }
            !gone(key)
        });
        Ok(reply)
    }

    async fn get_network_policy_configs(
        &self,
        _: PeerCredentials,
    ) -> Result<NetworkPolicyAgentConfigReply, Status> {
        Ok(NetworkPolicyAgentConfigReply::default())
    }
}

/// 10.0.1.20 and up, from the second ENI.
fn address(number: u8) -> IpAllocationMetadata {
    IpAllocationMetadata {
        ipv4_addr: format!("10.0.1.{}", 19 + number),
        ipv6_addr: String::new(),
        device_number: 1,
        route_table_id: 2,
    }
}

/// A network-policy agent on a thread of its own.
pub struct FakeAgent {
    calls: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl FakeAgent {
    pub fn start(socket: &Path) -> Self {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (path, agent) = (socket.to_owned(), Agent(Arc::clone(&calls)));
        let (stop, thread) = on_a_thread(move |ready, stopped| async move {
            let listener = tokio::net::UnixListener::bind(path).unwrap();
            ready.send(()).unwrap();
            let incoming = tokio_stream::wrappers::UnixListenerStream::new(listener);
            let server =
                tonic::transport::Server::builder().add_service(NpBackendServer::new(agent));
            let stopped = async { drop(stopped.await) };
            server
                .serve_with_incoming_shutdown(incoming, stopped)
                .await
                .unwrap();
        });
        Self {
            calls,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

impl Drop for FakeAgent {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Agent(Arc<Mutex<Vec<String>>>);

#[tonic::async_trait]
impl NpBackend for Agent {
    async fn enforce_np_to_pod(
        &self,
        request: tonic::Request<EnforceNpRequest>,
    ) -> Result<tonic::Response<EnforceNpReply>, tonic::Status> {
        let EnforceNpRequest {
            k8s_pod_name,
            network_policy_mode,
            interface_count,
            ..
        } = request.into_inner();
        let call = format!("enforce {k8s_pod_name} {network_policy_mode} {interface_count}");
        self.0.lock().unwrap().push(call);
        Ok(tonic::Response::new(EnforceNpReply { success: true }))
    }

    async fn delete_pod_np(
        &self,
        request: tonic::Request<DeleteNpRequest>,
    ) -> Result<tonic::Response<DeleteNpReply>, tonic::Status> {
        self.0
            .lock()
            .unwrap()
            .push(format!("delete {}", request.into_inner().k8s_pod_name));
        Ok(tonic::Response::new(DeleteNpReply { success: true }))
    }
}
