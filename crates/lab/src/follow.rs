//! The fabric follows the simulated cloud: whatever changes there is changed in the kernel.

use std::sync::Arc;

use vpc_sim::{FabricView, Sim};

use crate::fabric::{self, Fabric};
use crate::gate::Gate;
use crate::names::{NODES, node_name};
use crate::state::{EniRecord, LabFolder};
use crate::teardown::Complaints;

/// The one that makes it follow.
pub(crate) struct Follower {
    pub(crate) sim: Sim,
    pub(crate) fabric: Fabric,
    pub(crate) folder: LabFolder,
    pub(crate) gate: Arc<Gate>,
    pub(crate) complaints: Complaints,
}

impl Follower {
    /// Follows until the cloud is gone or the gate is closed.
    pub(crate) async fn run(mut self) {
        let mut changes = self.sim.changes();
        loop {
            changes.mark_unchanged();
            let (revision, view) = self.sim.with(|world, _| (world.revision(), world.fabric()));
            let work = tokio::task::spawn_blocking(move || {
                self.follow(&view);
                self
            });
            match work.await {
                Ok(back) => {
                    self = back;
                    self.sim.followed(revision);
                }
                Err(_) => return,
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn follow(&mut self, view: &FabricView) {
        // Whoever takes the lab down waits for this to be over, and it is not begun again.
        let Ok(_pass) = self.gate.enter() else {
            return;
        };
        if let Err(error) = self.fabric.sync(view) {
            self.complaints.add(crate::text::chain(&error));
        }
        let written = eni_records(view).and_then(|records| {
            let write = self.folder.write_enis(&records);
            write.map_err(|error| crate::text::chain(&error))
        });
        if let Err(complaint) = written {
            self.complaints.add(complaint);
        }
    }
}

fn eni_records(view: &FabricView) -> Result<Vec<EniRecord>, String> {
    let numbered = (1..=NODES).flat_map(|number| {
        let name = node_name(number);
        let instances = view.instances.iter().filter(move |one| one.name == name);
        instances.flat_map(move |instance| instance.enis.iter().map(move |eni| (number, eni)))
    });
    numbered
        .map(|(node, eni)| {
            Ok(EniRecord {
                node,
                id: eni.id.clone(),
                link: fabric::link_name(eni.card, eni.device).map_err(|error| error.to_string())?,
                mac: eni.mac,
                primary: eni.primary,
                secondary_addresses: eni.addresses.len().saturating_sub(1),
                prefixes: eni.prefixes.len(),
            })
        })
        .collect()
}
