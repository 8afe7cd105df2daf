//! The daemon from start to end: named parts, in a stated order.
//!
//! Journal, socket, pool task; then, while known pods are served already: instance metadata, host
//! network, attached ENIs; then the pool grows, and when it can serve, the conflist is written. A
//! part that ends unasked ends the daemon, by name.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use vpc_aws::ec2;
use vpc_aws::imds::{self, InstanceIdentity};
use vpc_ipam::classify::Exclusion;
use vpc_ipam::journal::Replay;
use vpc_ipam::plan::Provisioning;
use vpc_ipam::subnets::Candidate;
use vpc_kube_api::Election;
use vpc_model::settings::Settings;
use vpc_rpc::Health;

use crate::checkpoint_file::{CheckpointFile, CheckpointFileError};
use crate::clock;
use crate::cluster::{self, Teller};
use crate::eni_life::Cloud;
use crate::executor::Executor;
use crate::garbage::ThisNode;
use crate::introspection::Introspection;
use crate::journal_file::{JournalFile, JournalFileError};
use crate::kernel::{Keeper, Listener};
use crate::learn::{self, Attached, LearnError};
use crate::maintain;
use crate::pool_task::{
    Discovery, Ends, Follows, Learned, Notice, Patience, PoolHandle, PoolTask, Published,
};
use crate::publish;
use crate::readiness::Stage;
use crate::reconcile_task::Reconciler;
use crate::rpc_service::{NodeAnswer, RpcService};
use crate::shown::{self, Shown};
use crate::sweep::{self, Sweep};

/// The daemon cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The runtime did not start.
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
    /// Signals cannot be received.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// The journal.
    #[error("cannot open the journal of allocations in {}", folder.display())]
    Journal {
        /// The state folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: JournalFileError,
    },
    /// Upstream's checkpoint.
    #[error("cannot take over from the daemon that ran here before")]
    Checkpoint(#[from] CheckpointFileError),
    /// The node's links, by which stale entries of the checkpoint are told from live ones.
    #[error("cannot list the node's links")]
    Links(#[source] vpc_datapath::Error),
    /// The socket.
    #[error("cannot serve the plugin")]
    Socket(#[from] vpc_rpc::server::ServeError),
    /// A client could not be made.
    #[error("cannot make a client for {service}")]
    Client {
        /// `EC2` or `instance metadata`.
        service: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The node.
    #[error("cannot use this node")]
    Node(#[from] LearnError),
    /// A part ended.
    #[error("{0} ended unasked")]
    Ended(&'static str),
}

type End = Result<&'static str, RunError>;

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// What made it impossible to go on.
pub async fn run(settings: Settings) -> Result<(), RunError> {
    let started = Instant::now();
    let settings = Arc::new(settings);
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    let folder = &settings.state_dir;
    let journal_failed = |source| RunError::Journal {
        folder: folder.clone(),
        source,
    };
    let (mut journal, mut replay) = JournalFile::open(folder).map_err(journal_failed)?;
    let checkpoint = take_over(&settings, &mut journal, &mut replay)?;
    tracing::info!(
        allocated = replay.ledger.holders().count(),
        cooling = replay.ledger.cooling().count(),
        records = replay.records,
        "journal"
    );
    let past = Past::of(&replay);
    let patience = Patience {
        cooldown: settings.cooldown,
        add_wait: settings.add_wait,
        gc_min_age: settings.gc_min_age,
    };
    let (cluster, view, teller) = cluster::cluster(&settings, variable).await;
    let election = cluster.election(sweep::LEASE, sweep::LEASE_DURATION);
    let seen = view.clone();
    let (task, ends) = PoolTask::new(journal, replay, patience, (view, teller.clone()));
    let bound = vpc_rpc::server::bind(&settings.socket)?;
    tracing::info!(socket = %settings.socket.display(), "listening");

    let (stop, stopped) = watch::channel(false);
    let stopping = move || {
        let mut stopped = stopped.clone();
        async move {
            // The sender lives as long as the daemon; if it is gone, so is the reason to go on.
            let _ = stopped.wait_for(|stop| *stop).await;
        }
    };
    let mut parts: JoinSet<End> = JoinSet::new();
    let until = stopping();
    let at_the_end = Arc::clone(&checkpoint);
    parts.spawn(async move {
        let (ledger, version) = task.run(until).await;
        lock(&at_the_end).write_or_say(&ledger, version);
        Ok("pool task")
    });
    let Ends {
        handle,
        outcomes,
        notices,
        published,
    } = ends;
    maintain::drain(&settings.socket, &handle, &ThisNode).await;
    let allocations = published.allocations.clone();
    let upkeep = publish::checkpoint(checkpoint, handle.clone(), allocations);
    run_until(&mut parts, "checkpoint", upkeep, stopping());
    run_until(&mut parts, "Kubernetes", cluster.run(), stopping());
    let (health, health_answer) = watch::channel(Health::NotServing {
        reason: "starting".to_owned(),
    });
    parts.spawn({
        let readiness = published.readiness.clone();
        async move {
            publish::health(readiness, health).await;
            Ok("health")
        }
    });
    let introspection = Introspection {
        pool: handle.clone(),
        settings: Arc::clone(&settings),
        cluster: seen,
        readiness: published.readiness.clone(),
    };
    let shown = Shown::of(introspection, started);
    let budget = shown.budget.clone();
    let show = shown::show(Arc::clone(&settings), shown);
    run_until(&mut parts, "metrics and introspection", show, stopping());
    let (node, node_answer) = watch::channel(NodeAnswer::default());
    let until = stopping();
    let service = RpcService::new(handle.clone(), node_answer, settings.gc_min_age);
    parts.spawn(async move {
        bound.serve(service, health_answer, until).await?;
        Ok("socket")
    });
    let until = stopping();
    let readiness = published.readiness.clone();
    let for_conflist = Arc::clone(&settings);
    let then_until = stopping();
    parts.spawn(async move {
        publish::conflist(&for_conflist, readiness, until).await;
        then_until.await;
        Ok("conflist")
    });
    let until = stopping();
    parts.spawn(start(
        Arc::clone(&settings),
        Start {
            handle,
            outcomes,
            notices,
            node,
            budget,
            past,
            published,
            teller,
            election,
        },
        until,
    ));

    let ended = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        ended = parts.join_next() => ended,
    };
    let result = judge(ended);
    stop.send_replace(true);
    while parts.join_next().await.is_some() {}
    result
}

/// What it means that a part ended, or none did before a signal came.
fn judge(ended: Option<Result<End, tokio::task::JoinError>>) -> Result<(), RunError> {
    match ended {
        None => {
            tracing::info!("told to stop");
            Ok(())
        }
        Some(Ok(Ok(part))) => Err(RunError::Ended(part)),
        Some(Ok(Err(error))) => Err(error),
        Some(Err(_)) => Err(RunError::Ended("a part")),
    }
}

/// Runs a part that has nothing to finish when the daemon stops.
fn run_until(
    parts: &mut JoinSet<End>,
    name: &'static str,
    part: impl Future<Output = ()> + Send + 'static,
    until: impl Future<Output = ()> + Send + 'static,
) {
    parts.spawn(async move {
        tokio::select! {
            () = part => {}
            () = until => {}
        }
        Ok(name)
    });
}

/// What start-up needs of the rest.
struct Start {
    handle: PoolHandle,
    outcomes: tokio::sync::mpsc::UnboundedSender<crate::executor::Outcome>,
    notices: tokio::sync::mpsc::UnboundedSender<Notice<ec2::Client>>,
    node: watch::Sender<NodeAnswer>,
    budget: vpc_aws::Budget,
    past: Past,
    published: Published,
    teller: Teller,
    /// Among those nodes that can look for ENIs that were left behind.
    election: Option<Election>,
}

/// What the journal says about the daemons before this one.
struct Past {
    /// There was one on this node.
    any: bool,
    /// One ended while it created an ENI.
    unfinished: bool,
    /// The addresses that pods have.
    in_use: BTreeSet<Ipv4Addr>,
}

impl Past {
    fn of(replay: &Replay) -> Self {
        let holders = replay.ledger.holders();
        Self {
            unfinished: !replay.open_creations.is_empty(),
            any: replay.records > 0 || !replay.ledger.is_empty(),
            in_use: holders.map(|holder| holder.address).collect(),
        }
    }
}

/// Learns the node, tells the pool task, then looks after things until `until`.
async fn start(
    settings: Arc<Settings>,
    start: Start,
    until: impl Future<Output = ()> + Send,
) -> End {
    let work = async {
        // Before anything is looked at: what changes behind the look is heard.
        let listener = Listener::start();
        let state = learn_node(&settings, &start).await?;
        let releases = maintain::queued_releases(&settings.socket, &start.handle, &ThisNode);
        let wired = start.published.wired.clone();
        let keeper = Keeper {
            host: state.host,
            imds: &state.imds,
            interval: settings.reconcile_interval,
            mtu: settings.eni_mtu,
            enis: move || wired.borrow().clone(),
            pool: start.handle.clone(),
        };
        let reconciler = Reconciler {
            ec2: Arc::clone(&state.ec2),
            imds: &state.imds,
            pool: start.handle.clone(),
            attached: state.attached,
            mtu: settings.eni_mtu,
            interval: settings.reconcile_interval,
        };
        let sweep = async {
            match &state.sweep {
                Some(sweep) => sweep.run().await,
                None => std::future::pending().await,
            }
        };
        let reconcile = reconciler.run(&start.published.look);
        tokio::join!(releases, keeper.run(listener), reconcile, sweep);
        Ok("maintenance")
    };
    tokio::select! {
        ended = work => ended,
        () = until => Ok("start-up"),
    }
}

/// What was learned and is still needed.
struct LearnedState {
    imds: imds::Client,
    ec2: Arc<ec2::Client>,
    host: vpc_datapath::host::HostFacts,
    attached: Attached,
    sweep: Option<Sweep<ec2::Client>>,
}

/// Takes upstream's checkpoint over, if it is upstream's. What it says is in the journal before
/// anybody is answered.
fn take_over(
    settings: &Settings,
    journal: &mut JournalFile,
    replay: &mut Replay,
) -> Result<Arc<Mutex<CheckpointFile>>, RunError> {
    let mut checkpoint = CheckpointFile::new(&settings.upstream_checkpoint, &settings.state_dir);
    let links = vpc_datapath::links::names().map_err(RunError::Links)?;
    let taken = checkpoint.take_over(&replay.ledger, &links, clock::now(), settings.cooldown)?;
    if let Some(taken) = taken {
        let failed = |source| RunError::Journal {
            folder: settings.state_dir.clone(),
            source,
        };
        journal
            .compact(&taken.ledger, &replay.open_creations)
            .map_err(failed)?;
        tracing::info!(
            path = %settings.upstream_checkpoint.display(), pods = taken.imported,
            "took over from upstream's checkpoint"
        );
        replay.ledger = taken.ledger;
    }
    Ok(Arc::new(Mutex::new(checkpoint)))
}

async fn learn_node(settings: &Settings, start: &Start) -> Result<LearnedState, RunError> {
    let say = |notice| {
        // The pool task outlives start-up.
        let _ = start.notices.send(notice);
    };
    say(Notice::Stage(Stage::Metadata));
    let imds = imds_client()?;
    let mut metadata = learn::metadata(&imds).await;
    let identity = metadata.identity.clone();
    tracing::info!(
        instance = %identity.instance_id, instance_type = %identity.instance_type,
        zone = identity.availability_zone, enis = metadata.enis.len(), "this node"
    );
    start.node.send_replace(node_answer(settings, &identity));
    let ec2 = ec2_client(settings, &identity, &start.teller, start.budget.clone()).await?;
    let ec2 = Arc::new(ec2);
    let (mode, targets, refused) = learn::targets(settings, &identity.instance_type, &ec2).await?;
    if let Some(refused) = refused {
        tracing::warn!(instance_type = %identity.instance_type, "{refused}");
    }
    tracing::info!(
        ?mode, warm = ?targets.warm, max_enis = targets.max_enis, per_eni = targets.per_eni,
        max_pods = targets.max_pods, "targets"
    );

    say(Notice::Stage(Stage::HostNetwork));
    let host = learn::host_facts(settings, &metadata);
    learn::host_network(&host).await;
    learn::clear_of_upstreams_rules().await;

    say(Notice::Stage(Stage::Enis));
    // Metadata that lags behind EC2 may lack an ENI that a daemon before this one made.
    if start.past.unfinished || !metadata.shows_all(&start.past.in_use) {
        metadata = learn::metadata_with_attached(&*ec2, &imds, metadata).await;
    }
    let (primary, subnet_cidr) = metadata.primary()?;
    let node_subnet = Candidate {
        id: primary.subnet.clone(),
        cidr: subnet_cidr,
    };
    let node = Arc::new(learn::node_facts(settings, &metadata, primary));
    let attached = learn::attached_rules(settings, &metadata, &node_subnet);
    let in_use = &start.past.in_use;
    let learn::Found { mut enis, foreign } =
        learn::attached(&*ec2, &metadata, &attached, settings, in_use).await;
    for eni in &mut enis {
        if learn::is_ours_to_wire(eni.kind, eni.exclusion.as_ref())
            && !learn::wire(eni, settings.eni_mtu).await
        {
            eni.exclusion = Some(Exclusion::NotWired);
        }
    }
    let provisioning = Provisioning::from(settings.provisioning);
    say(Notice::Stage(Stage::Pool));
    let cloud = Cloud {
        ec2: Arc::clone(&ec2),
        node,
    };
    if start.past.any && provisioning == Provisioning::Enabled {
        let (cloud, notices) = (cloud.clone(), start.notices.clone());
        tokio::spawn(async move {
            learn::delete_leftovers(cloud).await;
            let _ = notices.send(Notice::NoLeftovers);
        });
    }
    let discovery = match settings.features.custom_networking {
        Some(_) => Discovery::by_eni_config(learn::subnet_query(settings, &metadata, &node_subnet)),
        None => Discovery::new(node_subnet, attached.subnets.clone()),
    };
    say(Notice::Learned(Box::new(Learned {
        mode,
        targets,
        follows: Follows {
            max_pods: settings.max_pods.is_none(),
            cordon: !settings.manage_enis_non_schedulable,
        },
        provisioning,
        discovery,
        enis,
        foreign,
        executor: Executor::new(cloud, start.outcomes.clone()),
    })));
    let sweeps = settings.leaked_eni_cleanup && provisioning == Provisioning::Enabled;
    let election = start.election.clone().filter(|_| sweeps);
    let sweep = election.map(|election| Sweep {
        ec2: Arc::clone(&ec2),
        vpc: identity.vpc.clone(),
        cluster: settings.cluster_name.clone(),
        instance: identity.instance_id.clone(),
        election,
    });
    Ok(LearnedState {
        imds,
        ec2,
        host,
        attached,
        sweep,
    })
}

fn node_answer(settings: &Settings, identity: &InstanceIdentity) -> NodeAnswer {
    NodeAnswer {
        node_ipv4: identity.local_ipv4.to_string(),
        instance_id: identity.instance_id.to_string(),
        region: identity.region.clone(),
        network_policy_mode: settings
            .network_policy_mode
            .map(|mode| mode.as_str().to_owned())
            .unwrap_or_default(),
    }
}

fn lock(checkpoint: &Mutex<CheckpointFile>) -> std::sync::MutexGuard<'_, CheckpointFile> {
    // What is behind the lock is either the old state or the new one: a panic spoils nothing.
    checkpoint
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn client_error<E>(service: &'static str) -> impl Fn(E) -> RunError
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |source| RunError::Client {
        service,
        source: Box::new(source),
    }
}

fn imds_client() -> Result<imds::Client, RunError> {
    let service = "instance metadata";
    let config = imds::ClientConfig::from_vars(variable).map_err(client_error(service))?;
    imds::Client::new(&config).map_err(client_error(service))
}

async fn ec2_client(
    settings: &Settings,
    identity: &InstanceIdentity,
    teller: &Teller,
    budget: vpc_aws::Budget,
) -> Result<ec2::Client, RunError> {
    let endpoint =
        ec2::Endpoint::choose(variable, &identity.region).map_err(client_error("EC2"))?;
    let trust = vpc_aws::Trust::from_vars(variable);
    let proxy = vpc_aws::Proxy::from_vars(variable).map_err(client_error("EC2"))?;
    let region = &identity.region;
    let credentials = vpc_aws::credentials::default_chain(region, &trust, &proxy).await;
    let mut config = ec2::ClientConfig::new(endpoint, &identity.region, credentials);
    config.timeout = settings.http_timeout;
    config.trust = trust;
    config.proxy = proxy;
    config.denied = Some(cluster::denied(teller));
    config.budget = budget;
    ec2::Client::new(config).map_err(client_error("EC2"))
}
