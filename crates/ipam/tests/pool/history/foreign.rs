//! What others do to the node's ENIs and subnets, and how the node finds out.

use std::collections::BTreeMap;

use vpc_ipam::classify::{Class, Exclusion, Ours};
use vpc_ipam::journal::Record;
use vpc_ipam::reconcile::{Observed, Seen, Source, reconcile};
use vpc_ipam::{Ask, Event, NewEni, Slots};
use vpc_model::{DeviceIndex, EniId, MacAddress, NetworkCard, Timestamp};

use super::{History, STALE, rules};
use crate::executor::CloudEni;

impl History {
    /// Somebody changes something.
    pub(super) fn foreign(&mut self) -> String {
        match self.random.below(6) {
            0 | 1 => self.subnet_runs_dry(),
            2 => self.subnet_is_relieved(),
            3 => self.slot_is_taken_away(),
            4 => self.eni_is_taken_away(),
            _ => self.stranger_is_attached(),
        }
    }

    fn subnet_runs_dry(&mut self) -> String {
        let leave = usize::try_from(self.random.below(6)).unwrap();
        let gone = self.node.cloud.subnets[0].run_dry(leave);
        self.taken_by_others.extend(gone);
        format!("the first subnet has {leave} addresses left")
    }

    pub(super) fn subnet_is_relieved(&mut self) -> String {
        let gone = std::mem::take(&mut self.taken_by_others);
        self.node.cloud.subnets[0].give_back(&gone);
        format!("the first subnet has {} addresses more", gone.len())
    }

    fn slot_is_taken_away(&mut self) -> String {
        let ids: Vec<_> = self.node.cloud.enis.keys().cloned().collect();
        let id = self.random.pick(&ids).unwrap().clone();
        let eni = &self.node.cloud.enis[&id];
        let addresses: Vec<_> = eni.addresses.iter().copied().collect();
        let prefixes: Vec<_> = eni.prefixes.iter().copied().collect();
        let slots = match (self.random.pick(&prefixes), self.random.pick(&addresses)) {
            (Some(prefix), _) => Slots::of_prefixes(vec![*prefix]),
            (None, Some(address)) => Slots::of_addresses(vec![*address]),
            (None, None) => return "nothing to take away".to_owned(),
        };
        self.note_tampering(&slots);
        self.node.cloud.drop_slots(&id, &slots);
        format!("{id} loses {slots:?}")
    }

    fn eni_is_taken_away(&mut self) -> String {
        let enis = self.node.cloud.enis.iter();
        let later = enis.filter(|(_, eni)| eni.device.0 != 0);
        let ids: Vec<_> = later.map(|(id, _)| id.clone()).collect();
        let Some(id) = self.random.pick(&ids).cloned() else {
            return "no ENI to take away".to_owned();
        };
        let slots = self.node.cloud_slots(&id);
        self.note_tampering(&slots);
        self.node.cloud.take_away(&id);
        self.strangers.remove(&id);
        format!("{id} is detached by hand")
    }

    fn note_tampering(&mut self, slots: &Slots) {
        let in_prefixes = slots.prefixes.iter().flat_map(|prefix| prefix.addresses());
        let all = slots.addresses.iter().copied().chain(in_prefixes);
        let latest = self.latest;
        self.tampered.extend(all.map(|address| (address, latest)));
    }

    fn stranger_is_attached(&mut self) -> String {
        let used: Vec<u8> = self
            .node
            .cloud
            .enis
            .values()
            .map(|eni| eni.device.0)
            .collect();
        // By hand, at the highest place: ours take the lowest.
        let device = (1..=99).rev().find(|device| !used.contains(device));
        let subnet = self.node.facts.subnets[0].clone();
        let kind = vpc_ipam::EniKind::Secondary;
        let device = DeviceIndex(device.unwrap());
        match self
            .node
            .cloud
            .create(kind, &subnet, device, Ask::Addresses(1))
        {
            Ok(eni) => {
                self.strangers.insert(eni.id.clone());
                format!("{} is attached by hand", eni.id)
            }
            Err(refusal) => format!("no ENI is attached by hand: {refusal:?}"),
        }
    }

    /// The node looks: at metadata as it was up to a minute ago, then, where that differs, at EC2.
    pub(super) fn reconcile(&mut self) -> String {
        let now = self.node.now;
        let enis = self.stale_metadata();
        let metadata = Observed {
            source: Source::Metadata,
            at: now,
            about: None,
            enis: enis.iter().map(|(id, eni)| self.seen(id, eni)).collect(),
        };
        let first = reconcile(&self.node.pool, &metadata);
        let mut text = format!("metadata: {:?}", first.findings);
        self.apply_observed(first.events);
        if first.ask_ec2.is_empty() {
            return text;
        }
        let enis = self.node.cloud.enis.iter();
        let about = enis.filter(|(id, _)| first.ask_ec2.contains(id));
        let ec2 = Observed {
            source: Source::Ec2,
            at: now,
            enis: about.map(|(id, eni)| self.seen(id, eni)).collect(),
            about: Some(first.ask_ec2),
        };
        let second = reconcile(&self.node.pool, &ec2);
        text.push_str(&format!("; EC2: {:?}", second.findings));
        self.apply_observed(second.events);
        for id in second.to_wire {
            let found = self.as_found(&id, &self.node.cloud.enis[&id]);
            self.node.pool.apply(Event::EniFound(found), now);
        }
        assert!(second.ask_ec2.is_empty());
        text
    }

    fn apply_observed(&mut self, events: Vec<Event>) {
        let now = self.node.now;
        for event in events {
            if let Some(record) = Record::of_event(&event, &self.node.pool, now) {
                self.append(&record);
            }
            self.node.pool.apply(event, now);
        }
    }

    /// What metadata shows: what is, or what was up to a minute ago.
    pub(super) fn stale_metadata(&mut self) -> BTreeMap<EniId, CloudEni> {
        let now = self.node.now;
        let is_recent = |at: Timestamp| at <= now && now.since(at).as_secs() < STALE;
        let recent = self.past.iter().filter(|(at, _)| is_recent(*at));
        let recent: Vec<_> = recent.map(|(_, enis)| enis.clone()).collect();
        match self.random.pick(&recent) {
            Some(enis) if self.random.one_in(2) => enis.clone(),
            Some(_) | None => self.node.cloud.enis.clone(),
        }
    }

    /// What the daemon finds when it starts: metadata shows the ENIs, and where there are more than
    /// the primary one, EC2 says what they are; if it does not answer, those that pods have
    /// addresses of are used as metadata shows them.
    pub(super) fn attached_at_start(&mut self) -> Vec<NewEni> {
        let shown = self.stale_metadata();
        let ec2_answers = shown.len() > 1 && !self.random.one_in(5);
        let alone = shown.len() == 1;
        let in_use = |eni: &CloudEni| self.pods.values().any(|held| rules::has(eni, *held));
        let found = shown.iter().filter_map(|(id, eni)| {
            let eni = if ec2_answers {
                self.node.cloud.enis.get(id)?
            } else if alone || eni.device.0 == 0 || in_use(eni) {
                eni
            } else {
                return None;
            };
            Some(self.as_found(id, eni))
        });
        found.collect()
    }

    fn class(&self, id: &EniId, eni: &CloudEni) -> Class {
        let verdict = if self.strangers.contains(id) {
            Err(Exclusion::NoManage)
        } else {
            Ok(Ours::Tagged)
        };
        Class {
            kind: self.kind_of(eni),
            verdict,
        }
    }

    fn seen(&self, id: &EniId, eni: &CloudEni) -> Seen {
        Seen {
            id: id.clone(),
            card: NetworkCard(0),
            device: eni.device,
            slots: Slots {
                addresses: eni.addresses.iter().copied().collect(),
                prefixes: eni.prefixes.iter().copied().collect(),
            },
            class: Some(self.class(id, eni)),
        }
    }

    /// An ENI as the daemon finds and wires it.
    pub(super) fn as_found(&self, id: &EniId, eni: &CloudEni) -> NewEni {
        let class = self.class(id, eni);
        let mut subnets = self.node.cloud.subnets.iter();
        let subnet = subnets.find(|subnet| subnet.place.id == eni.subnet);
        NewEni {
            id: id.clone(),
            kind: class.kind,
            exclusion: class.exclusion(),
            mac: MacAddress([2, 0, 0, 0, 0, eni.device.0]),
            card: NetworkCard(0),
            device: eni.device,
            subnet: eni.subnet.clone(),
            subnet_cidr: subnet.unwrap().place.cidr,
            primary: eni.primary,
            slots: Slots {
                addresses: eni.addresses.iter().copied().collect(),
                prefixes: eni.prefixes.iter().copied().collect(),
            },
            attached_at: None,
        }
    }
}
