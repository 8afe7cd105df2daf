//! What EC2 has: the truth, of which the pool hears late or never.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use vpc_ipam::{EniKind, NewEni};
use vpc_model::{DeviceIndex, EniId, MacAddress, NetworkCard};

use crate::chance::Chance;

pub struct CloudEni {
    kind: EniKind,
    pub device: DeviceIndex,
    primary: Ipv4Addr,
    pub addresses: BTreeSet<Ipv4Addr>,
    number: u8,
    /// Addresses it once had: what stale metadata may still show.
    pub former: BTreeSet<Ipv4Addr>,
}

/// An instance in a subnet of few addresses, which therefore come back soon.
pub struct Cloud {
    pub enis: BTreeMap<EniId, CloudEni>,
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
    pub fn new((max_enis, per_eni): (u32, u32), subnet: u32, chance: &mut Chance) -> Self {
        let base = u32::from(Ipv4Addr::new(10, 0, 0, 4));
        let mut cloud = Self {
            enis: BTreeMap::new(),
            unused: (0..subnet).map(|offset| Ipv4Addr::from(base + offset)).collect(),
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
    pub fn create(
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
        let kind = if device.0 == 0 { EniKind::Primary } else { EniKind::Secondary };
        let primary = self.draw(chance).unwrap();
        let number = u8::try_from(self.next_eni % 256).unwrap();
        let (addresses, former) = (BTreeSet::new(), BTreeSet::new());
        let eni = CloudEni { kind, device, primary, addresses, number, former };
        self.enis.insert(id.clone(), eni);
        self.assign(&id, count, chance)?;
        Ok(id)
    }

    /// Gives addresses to an ENI: all that were asked for or none.
    pub fn assign(
        &mut self,
        id: &EniId,
        count: u32,
        chance: &mut Chance,
    ) -> Result<Vec<Ipv4Addr>, String> {
        let there = self.enis.get(id).ok_or("InvalidNetworkInterfaceID.NotFound")?;
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
    pub fn unassign(&mut self, id: &EniId, addresses: &[Ipv4Addr]) {
        let Some(eni) = self.enis.get_mut(id) else { return };
        for address in addresses {
            if eni.addresses.remove(address) {
                eni.former.insert(*address);
                self.unused.push(*address);
            }
        }
    }

    /// Detaches and deletes an ENI.
    pub fn delete(&mut self, id: &EniId) {
        if let Some(eni) = self.enis.remove(id) {
            self.unused.push(eni.primary);
            self.unused.extend(eni.addresses);
        }
    }

    /// An ENI as it is now.
    pub fn describe(&self, id: &EniId) -> Option<NewEni> {
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
    pub fn owner(&self, address: Ipv4Addr) -> Option<&EniId> {
        let mut enis = self.enis.iter();
        enis.find(|(_, eni)| eni.addresses.contains(&address)).map(|(id, _)| id)
    }
}
