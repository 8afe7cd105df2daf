//! EC2 as far as the pool knows it: subnets with addresses, ENIs with slots, and its refusals.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use vpc_ipam::subnets::Candidate;
use vpc_ipam::{Ask, EniKind, NewEni, Refusal, Slots};
use vpc_model::{DeviceIndex, EniId, Ipv4Prefix, MacAddress, NetworkCard, SubnetId};

/// A subnet: a /24 or wider, of which EC2 keeps the first four addresses and the last.
#[derive(Debug, Clone)]
pub(crate) struct Subnet {
    pub(crate) place: Candidate,
    taken: BTreeSet<Ipv4Addr>,
}

/// What EC2 knows about an ENI.
#[derive(Debug, Clone)]
pub(crate) struct CloudEni {
    pub(crate) subnet: SubnetId,
    pub(crate) device: DeviceIndex,
    pub(crate) primary: Ipv4Addr,
    pub(crate) addresses: BTreeSet<Ipv4Addr>,
    pub(crate) prefixes: BTreeSet<Ipv4Prefix>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Cloud {
    pub(crate) subnets: Vec<Subnet>,
    pub(crate) enis: BTreeMap<EniId, CloudEni>,
    /// The slots of an ENI.
    pub(crate) per_eni: u32,
    /// The ENIs of the instance.
    pub(crate) max_enis: u32,
    /// Calls so far that could change something.
    pub(crate) calls: u32,
    /// Everything that was ever given back.
    pub(crate) handed_back: BTreeSet<Ipv4Addr>,
    next_eni: u32,
}

impl Subnet {
    fn new(cidr: &str) -> Self {
        let cidr: ipnet::Ipv4Net = cidr.parse().unwrap();
        let octets = cidr.network().octets();
        let first = u32::from(cidr.network());
        let mut taken: BTreeSet<_> = (first..first + 4).map(Ipv4Addr::from).collect();
        taken.insert(cidr.broadcast());
        Self {
            place: Candidate {
                id: format!("subnet-{}", octets[2]).parse().unwrap(),
                cidr,
            },
            taken,
        }
    }

    fn all(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let first = u32::from(self.place.cidr.network());
        let last = u32::from(self.place.cidr.broadcast());
        (first..=last).map(Ipv4Addr::from)
    }

    /// Takes that many addresses, or none.
    fn take(&mut self, count: u32) -> Result<Vec<Ipv4Addr>, Refusal> {
        let count = usize::try_from(count).unwrap();
        let free = self.all().filter(|address| !self.taken.contains(address));
        let found: Vec<_> = free.take(count).collect();
        if found.len() < count {
            return Err(Refusal::SubnetFull);
        }
        self.taken.extend(found.iter().copied());
        Ok(found)
    }

    /// Takes that many free /28 blocks, or none.
    fn take_blocks(&mut self, count: u32) -> Result<Vec<Ipv4Prefix>, Refusal> {
        let count = usize::try_from(count).unwrap();
        let blocks = self
            .all()
            .filter(|address| u32::from(*address) % 16 == 0)
            .map(Ipv4Prefix::containing)
            .filter(|block| {
                block
                    .addresses()
                    .all(|address| !self.taken.contains(&address))
            });
        let found: Vec<_> = blocks.take(count).collect();
        if found.len() < count {
            return Err(Refusal::NoBlock);
        }
        self.taken
            .extend(found.iter().flat_map(|block| block.addresses()));
        Ok(found)
    }

    /// How many addresses are free.
    pub(crate) fn available(&self) -> usize {
        self.all().count() - self.taken.len()
    }

    /// Somebody else takes all but that many addresses, the highest of each block first, so that
    /// no block stays whole for long. Returns what was taken.
    pub(crate) fn run_dry(&mut self, leave: usize) -> Vec<Ipv4Addr> {
        let mut free: Vec<_> = self
            .all()
            .filter(|address| !self.taken.contains(address))
            .collect();
        free.sort_by_key(|address| (15 - u32::from(*address) % 16, *address));
        let take = free.len().saturating_sub(leave);
        let gone: Vec<_> = free.into_iter().take(take).collect();
        self.taken.extend(gone.iter().copied());
        gone
    }

    /// Somebody else gives addresses back.
    pub(crate) fn give_back(&mut self, addresses: &[Ipv4Addr]) {
        for address in addresses {
            self.taken.remove(address);
        }
    }
}

impl Cloud {
    pub(crate) fn new((max_enis, per_eni): (u32, u32), cidrs: &[&str]) -> Self {
        Self {
            subnets: cidrs.iter().map(|cidr| Subnet::new(cidr)).collect(),
            per_eni,
            max_enis,
            ..Self::default()
        }
    }

    fn subnet(&mut self, id: &SubnetId) -> &mut Subnet {
        let found = self
            .subnets
            .iter_mut()
            .find(|subnet| subnet.place.id == *id);
        found.unwrap()
    }

    fn take(&mut self, subnet: &SubnetId, ask: Ask) -> Result<Slots, Refusal> {
        let subnet = self.subnet(subnet);
        Ok(match ask {
            Ask::Addresses(count) => Slots::of_addresses(subnet.take(count)?),
            Ask::Prefixes(count) => Slots::of_prefixes(subnet.take_blocks(count)?),
        })
    }

    pub(crate) fn create(
        &mut self,
        kind: EniKind,
        subnet: &Candidate,
        device: DeviceIndex,
        ask: Ask,
    ) -> Result<NewEni, Refusal> {
        self.calls += 1;
        if u32::try_from(self.enis.len()).unwrap() >= self.max_enis {
            return Err(Refusal::TooManyEnis);
        }
        if self.enis.values().any(|eni| eni.device == device) {
            return Err(Refusal::PlaceTaken);
        }
        let primary = self.subnet(&subnet.id).take(1)?[0];
        let slots = match self.take(&subnet.id, ask) {
            Ok(slots) => slots,
            Err(refusal) => {
                self.subnet(&subnet.id).taken.remove(&primary);
                return Err(refusal);
            }
        };
        self.next_eni += 1;
        let id: EniId = format!("eni-{:04x}", self.next_eni).parse().unwrap();
        let known = CloudEni {
            subnet: subnet.id.clone(),
            device,
            primary,
            addresses: slots.addresses.iter().copied().collect(),
            prefixes: slots.prefixes.iter().copied().collect(),
        };
        assert!(slots_of(&known) <= self.per_eni, "{ask:?} on a new ENI");
        self.enis.insert(id.clone(), known);
        Ok(NewEni {
            id,
            kind,
            exclusion: None,
            mac: MacAddress([2, 0, 0, 0, 0, device.0]),
            card: NetworkCard(0),
            device,
            subnet: subnet.id.clone(),
            subnet_cidr: subnet.cidr,
            primary,
            slots,
            attached_at: None,
        })
    }

    pub(crate) fn assign(&mut self, id: &EniId, ask: Ask) -> Result<Slots, Refusal> {
        self.calls += 1;
        let eni = self.enis.get(id).ok_or(Refusal::NoSuchEni)?;
        if slots_of(eni) + ask.slots() > self.per_eni {
            return Err(Refusal::EniFull);
        }
        let subnet = eni.subnet.clone();
        let slots = self.take(&subnet, ask)?;
        let eni = self.enis.get_mut(id).unwrap();
        eni.addresses.extend(slots.addresses.iter().copied());
        eni.prefixes.extend(slots.prefixes.iter().copied());
        Ok(slots)
    }

    /// Gives slots back; those that the ENI has not are passed over.
    pub(crate) fn unassign(&mut self, id: &EniId, slots: &Slots) {
        self.calls += 1;
        self.drop_slots(id, slots);
    }

    /// Takes slots from an ENI without a call: somebody else's doing.
    pub(crate) fn drop_slots(&mut self, id: &EniId, slots: &Slots) {
        let Some(eni) = self.enis.get_mut(id) else {
            return;
        };
        let singles = slots.addresses.iter().copied();
        let singles: Vec<_> = singles.filter(|gone| eni.addresses.remove(gone)).collect();
        let blocks = slots.prefixes.iter().copied();
        let blocks: Vec<_> = blocks.filter(|gone| eni.prefixes.remove(gone)).collect();
        let subnet = eni.subnet.clone();
        let in_blocks = blocks.iter().flat_map(|block| block.addresses());
        let gone: Vec<_> = singles.into_iter().chain(in_blocks).collect();
        self.subnet(&subnet).give_back(&gone);
        self.handed_back.extend(gone);
    }

    pub(crate) fn delete(&mut self, id: &EniId) {
        self.calls += 1;
        self.take_away(id);
    }

    /// Takes an ENI away without a call: somebody else's doing.
    pub(crate) fn take_away(&mut self, id: &EniId) {
        let Some(eni) = self.enis.get(id) else {
            return;
        };
        let slots = Slots {
            addresses: eni.addresses.iter().copied().collect(),
            prefixes: eni.prefixes.iter().copied().collect(),
        };
        let (subnet, primary) = (eni.subnet.clone(), eni.primary);
        self.drop_slots(id, &slots);
        self.subnet(&subnet).give_back(&[primary]);
        self.enis.remove(id);
    }
}

fn slots_of(eni: &CloudEni) -> u32 {
    u32::try_from(eni.addresses.len() + eni.prefixes.len()).unwrap()
}
