//! What EC2 has: the truth, of which the pool hears late or never.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use vpc_ipam::{EniKind, NewEni};
use vpc_model::{DeviceIndex, EniId, MacAddress, NetworkCard, Timestamp};

use crate::chance::Chance;

pub(crate) struct CloudEni {
    kind: EniKind,
    pub(crate) device: DeviceIndex,
    primary: Ipv4Addr,
    pub(crate) addresses: BTreeSet<Ipv4Addr>,
    number: u8,
    /// Addresses it had, and when they were taken: what stale metadata may still show.
    pub(crate) former: BTreeMap<Ipv4Addr, Timestamp>,
}

/// An instance in a subnet of few addresses, which therefore come back soon.
pub(crate) struct Cloud {
    pub(crate) enis: BTreeMap<EniId, CloudEni>,
    /// ENIs that were deleted, and when.
    pub(crate) deleted: Vec<(NewEni, Timestamp)>,
    unused: Vec<Ipv4Addr>,
    max_enis: usize,
    per_eni: usize,
    next_eni: u32,
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap()
}

impl Cloud {
    /// An instance with its primary ENI.
    pub(crate) fn new((max_enis, per_eni): (u32, u32), subnet: u32, chance: &mut Chance) -> Self {
        let base = u32::from(Ipv4Addr::new(10, 0, 0, 4));
        let mut cloud = Self {
            enis: BTreeMap::new(),
            deleted: Vec::new(),
            unused: (0..subnet)
                .map(|offset| Ipv4Addr::from(base + offset))
                .collect(),
            max_enis: size(max_enis),
            per_eni: size(per_eni),
            next_eni: 0,
        };
        let addresses = chance.between(0, per_eni.min(subnet - 1));
        cloud.create(DeviceIndex(0), addresses, chance).unwrap();
        cloud
    }

    fn draw(&mut self, chance: &mut Chance) -> Option<Ipv4Addr> {
        let at = chance.index(self.unused.len())?;
        Some(self.unused.swap_remove(at))
    }

    /// Makes and attaches an ENI.
    pub(crate) fn create(
        &mut self,
        device: DeviceIndex,
        count: u32,
        chance: &mut Chance,
    ) -> Result<EniId, String> {
        if self.enis.len() >= self.max_enis {
            return Err("AttachmentLimitExceeded".to_owned());
        }
        if self.enis.values().any(|eni| eni.device == device) {
            return Err(format!("device {} is in use", device.0));
        }
        if size(count) > self.per_eni || self.unused.len() <= size(count) {
            return Err("InsufficientFreeAddressesInSubnet".to_owned());
        }
        self.next_eni += 1;
        let id: EniId = format!("eni-{:04x}", self.next_eni).parse().unwrap();
        let kind = if device.0 == 0 {
            EniKind::Primary
        } else {
            EniKind::Secondary
        };
        let primary = self.draw(chance).unwrap();
        let number = u8::try_from(self.next_eni % 256).unwrap();
        let (addresses, former) = (BTreeSet::new(), BTreeMap::new());
        let eni = CloudEni {
            kind,
            device,
            primary,
            addresses,
            number,
            former,
        };
        self.enis.insert(id.clone(), eni);
        self.assign(&id, count, chance)?;
        Ok(id)
    }

    /// Gives addresses to an ENI: all that were asked for or none.
    pub(crate) fn assign(
        &mut self,
        id: &EniId,
        count: u32,
        chance: &mut Chance,
    ) -> Result<Vec<Ipv4Addr>, String> {
        let there = self
            .enis
            .get(id)
            .ok_or("InvalidNetworkInterfaceID.NotFound")?;
        if there.addresses.len() + size(count) > self.per_eni {
            return Err("PrivateIpAddressLimitExceeded".to_owned());
        }
        if self.unused.len() < size(count) {
            return Err("InsufficientFreeAddressesInSubnet".to_owned());
        }
        let drawn: Vec<_> = (0..count).filter_map(|_| self.draw(chance)).collect();
        let eni = self.enis.get_mut(id).unwrap();
        eni.addresses.extend(&drawn);
        Ok(drawn)
    }

    /// Takes addresses from an ENI; those it does not have are not an error.
    pub(crate) fn unassign(&mut self, id: &EniId, addresses: &[Ipv4Addr], now: Timestamp) {
        let Some(eni) = self.enis.get_mut(id) else {
            return;
        };
        for address in addresses {
            if eni.addresses.remove(address) {
                eni.former.insert(*address, now);
                self.unused.push(*address);
            }
        }
    }

    /// Detaches and deletes an ENI.
    pub(crate) fn delete(&mut self, id: &EniId, now: Timestamp) {
        let was = self.describe(id);
        self.deleted.extend(was.map(|was| (was, now)));
        if let Some(eni) = self.enis.remove(id) {
            self.unused.push(eni.primary);
            self.unused.extend(eni.addresses);
        }
    }

    /// An ENI as it is now.
    pub(crate) fn describe(&self, id: &EniId) -> Option<NewEni> {
        let eni = self.enis.get(id)?;
        Some(NewEni {
            id: id.clone(),
            kind: eni.kind,
            mac: MacAddress([2, 0, 0, 0, 0, eni.number]),
            card: NetworkCard(0),
            device: eni.device,
            subnet: "subnet-1".parse().unwrap(),
            subnet_cidr: "10.0.0.0/16".parse().unwrap(),
            primary: eni.primary,
            addresses: eni.addresses.iter().copied().collect(),
        })
    }

    /// Which ENI has an address for pods.
    pub(crate) fn owner(&self, address: Ipv4Addr) -> Option<&EniId> {
        let mut enis = self.enis.iter();
        enis.find(|(_, eni)| eni.addresses.contains(&address))
            .map(|(id, _)| id)
    }
}
