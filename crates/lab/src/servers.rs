//! What answers in a lab: instance metadata, the EC2 API twice, and the cloud's own clock.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use tokio::task::JoinSet;
use vpc_sim::{IdentifyBy, Sim};

use crate::addresses::{EC2_API, EC2_API_PORT, METADATA, METADATA_PORT};
use crate::config::LabConfig;
use crate::fabric::serve::{self, HopLimit};

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot listen.
    #[error("cannot serve {what}")]
    Serve {
        /// What.
        what: &'static str,
        /// Why not.
        #[source]
        source: serve::Error,
    },
    /// The port of the EC2 API on this machine, when any free one was asked for.
    #[error("cannot learn the port of the EC2 API")]
    Port(#[source] io::Error),
}

/// Instance metadata and the EC2 API inside the lab, the EC2 API for this machine, the cloud's
/// own clock. Gives the port of the EC2 API on this machine.
pub(crate) fn start(
    tasks: &mut JoinSet<()>,
    sim: &Sim,
    router: &Path,
    config: &LabConfig,
) -> Result<u16, Error> {
    let failed = |what| move |source| Error::Serve { what, source };
    let metadata = SocketAddrV4::new(METADATA, METADATA_PORT);
    let hops = HopLimit::Exactly(config.imds_hop_limit);
    let metadata = serve::listen(router, metadata, hops).map_err(failed("instance metadata"))?;
    let inside = SocketAddrV4::new(EC2_API, EC2_API_PORT);
    let inside = serve::listen(router, inside, HopLimit::Standard)
        .map_err(failed("the EC2 API in the VPC"))?;
    let here = SocketAddrV4::new(Ipv4Addr::LOCALHOST, config.ec2_port.unwrap_or(0));
    let here = serve::listen_here(here).map_err(failed("the EC2 API on this machine"))?;
    let port = here.local_addr().map_err(Error::Port)?.port();
    let servers = [
        (metadata, sim.imds_router(IdentifyBy::PeerAddress)),
        (inside, sim.ec2_router()),
        (here, sim.ec2_router()),
    ];
    for (listener, router) in servers {
        tasks.spawn(async move {
            if let Err(error) = serve::serve(listener, router).await {
                tracing::error!(%error, "a server of the lab has ended");
            }
        });
    }
    let clock = sim.clone();
    tasks.spawn(async move { clock.run().await });
    Ok(port)
}
