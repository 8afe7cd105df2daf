//! Our codec against another: what we write, `netlink-packet-route` reads as we mean it, and what
//! it writes, we read.

use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_core::{Emitable, NetlinkMessage, NetlinkPayload, Parseable};
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::address::{AddressAttribute, AddressFlags};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourState};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use vpc_model::{Connmark, Mtu, RulePriority};

use super::*;
use crate::state::{Scope, Selector, host_net};

fn dev() -> Dev {
    Dev {
        index: 7,
        name: "eth0".parse().ok(),
    }
}

/// The one message of a batch, as the other codec reads it, and its flags.
fn judged(fill: impl FnOnce(&mut Batch)) -> (Message, u16) {
    let mut batch = Batch::default();
    fill(&mut batch);
    assert_eq!(batch.len(), 1);
    let message = NetlinkMessage::<Message>::deserialize(batch.message(0)).unwrap();
    let NetlinkPayload::InnerMessage(inner) = message.payload else {
        panic!("not a route message")
    };
    (inner, message.header.flags)
}

fn encoded(message: &impl Emitable) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

#[test]
fn a_veth_pair_is_written_with_each_end_in_its_namespace() {
    let file = std::fs::File::open("/dev/null").unwrap();
    let (near, far) = ("eth0".parse().unwrap(), "enicc21c2d7785".parse().unwrap());
    let pair = VethPair {
        near: VethEnd {
            name: &near,
            mac: MacAddress([2, 0, 0, 0, 0, 1]),
        },
        far: VethEnd {
            name: &far,
            mac: MacAddress([2, 0, 0, 0, 0, 2]),
        },
        far_namespace: file.as_fd(),
        mtu: Mtu::default(),
    };
    let (message, flags) = judged(|batch| link::create(batch, &pair));
    let Message::NewLink(message) = message else {
        panic!("{message:?}")
    };
    assert_eq!(flags, 0x1 | 0x200 | 0x400, "request, exclusive, create");
    assert_eq!(message.header.flags, LinkFlags::Up);
    assert_eq!(message.header.change_mask, LinkFlags::Up);
    let end = |name: &str, last| {
        vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Address(vec![2, 0, 0, 0, 0, last]),
            LinkAttribute::Mtu(9001),
            LinkAttribute::TxQueueLen(0),
        ]
    };
    let mut peer = LinkMessage::default();
    peer.attributes = end("enicc21c2d7785", 2);
    peer.attributes
        .push(LinkAttribute::NetNsFd(file.as_fd().as_raw_fd()));
    let mut wanted = end("eth0", 1);
    wanted.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    assert_eq!(message.attributes, wanted);
}

#[test]
fn an_address_is_written_without_a_route_to_its_network() {
    let address = |text: &str| Address {
        dev: dev(),
        address: text.parse().unwrap(),
    };
    let read = |text: &str| {
        let (message, _) = judged(|batch| address::add(batch, &address(text)));
        let Message::NewAddress(message) = message else {
            panic!("{message:?}")
        };
        message
    };
    let subnet = read("10.0.1.9/24");
    assert_eq!((subnet.header.index, subnet.header.prefix_len), (7, 24));
    let own = "10.0.1.9".parse().unwrap();
    assert_eq!(
        subnet.attributes,
        [
            AddressAttribute::Local(own),
            AddressAttribute::Address(own),
            AddressAttribute::Flags(AddressFlags::Noprefixroute),
        ]
    );
    assert_eq!(read("10.0.1.9/32").attributes.len(), 2);
}

#[test]
fn routes_are_written_and_read() {
    let table = RouteTableId(10101);
    for route in [
        Route::on_link(host_net([169, 254, 1, 1]), &dev(), table),
        Route::default_via([169, 254, 1, 1].into(), &dev(), table),
        Route {
            metric: 50,
            source: Some([10, 0, 1, 9].into()),
            ..Route::on_link("10.0.1.0/24".parse().unwrap(), &dev(), RouteTableId::MAIN)
        },
    ] {
        let (message, _) = judged(|batch| route::replace(batch, &route));
        let Message::NewRoute(message) = message else {
            panic!("{message:?}")
        };
        assert_eq!(message.header.protocol, RouteProtocol::Boot);
        assert_eq!(message.header.kind, RouteType::Unicast);
        let scope = if route.scope == Scope::Link {
            RouteScope::Link
        } else {
            RouteScope::Universe
        };
        assert_eq!(message.header.scope, scope);
        let gateway = route
            .gateway
            .map(|gateway| RouteAttribute::Gateway(gateway.into()));
        let has = |wanted: &RouteAttribute| message.attributes.contains(wanted);
        assert!(has(&RouteAttribute::Oif(7)) && has(&RouteAttribute::Table(route.table.0)));
        assert!(gateway.as_ref().is_none_or(has), "{message:?}");
        assert_eq!(route::decode(&encoded(&message)), Some(route));
    }
}

#[test]
fn a_route_deletion_without_a_link_is_for_whichever() {
    let route = Route {
        dev: None,
        ..Route::on_link(host_net([10, 0, 1, 9]), &dev(), RouteTableId(2))
    };
    let (message, _) = judged(|batch| route::delete(batch, &route));
    let Message::DelRoute(message) = message else {
        panic!("{message:?}")
    };
    assert_eq!(
        message.attributes,
        [
            RouteAttribute::Table(2),
            RouteAttribute::Destination(RouteAddress::Inet([10, 0, 1, 9].into()))
        ]
    );
}

#[test]
fn routes_that_are_not_unicast_over_one_link_are_passed_over() {
    let mut message = RouteMessage::default();
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![RouteAttribute::Oif(7)];
    message.header.address_family = netlink_packet_route::AddressFamily::Inet;
    assert!(route::decode(&encoded(&message)).is_some());
    message
        .attributes
        .push(RouteAttribute::MultiPath(Vec::new()));
    assert_eq!(route::decode(&encoded(&message)), None);
    message.attributes.clear();
    assert_eq!(route::decode(&encoded(&message)), None);
    message.attributes.push(RouteAttribute::Oif(7));
    message.header.kind = RouteType::BlackHole;
    assert_eq!(route::decode(&encoded(&message)), None);
}

#[test]
fn rules_are_written_and_read() {
    let own = "10.0.1.9/32".parse().unwrap();
    let selectors = [
        Selector::From(own),
        Selector::To(own),
        Selector::Mark(Connmark(0x80)),
    ];
    for selector in selectors {
        let rule = Rule {
            priority: RulePriority(512),
            selector,
            table: Some(RouteTableId(10101)),
        };
        let (message, flags) = judged(|batch| rule::add(batch, &rule));
        let Message::NewRule(message) = message else {
            panic!("{message:?}")
        };
        assert_eq!(flags, 0x1 | 0x200 | 0x400);
        assert_eq!(message.header.action, RuleAction::ToTable);
        let has = |wanted: RuleAttribute| message.attributes.contains(&wanted);
        assert!(has(RuleAttribute::Priority(512)) && has(RuleAttribute::Table(10101)));
        assert!(match selector {
            Selector::From(net) =>
                has(RuleAttribute::Source(net.addr())) && message.header.src_len == 32,
            Selector::To(net) =>
                has(RuleAttribute::Destination(net.addr())) && message.header.dst_len == 32,
            Selector::Mark(mark) =>
                has(RuleAttribute::FwMark(mark.0)) && has(RuleAttribute::FwMask(mark.0)),
        });
        assert_eq!(rule::decode(&encoded(&message)), Some(rule));
    }
}

#[test]
fn rules_with_anything_ours_never_have_are_passed_over() {
    let rule = Rule {
        priority: RulePriority(512),
        selector: Selector::To("10.0.1.9/32".parse().unwrap()),
        table: Some(RouteTableId::MAIN),
    };
    let ours = || -> RuleMessage {
        let (message, _) = judged(|batch| rule::add(batch, &rule));
        let Message::NewRule(message) = message else {
            panic!("{message:?}")
        };
        message
    };
    let read = |change: fn(&mut RuleMessage)| {
        let mut message = ours();
        change(&mut message);
        rule::decode(&encoded(&message))
    };
    assert!(read(|_| {}).is_some());
    assert!(
        read(|m| m
            .attributes
            .push(RuleAttribute::SuppressPrefixLen(u32::MAX)))
        .is_some()
    );
    for foreign in [
        RuleAttribute::Iifname("eth0".to_owned()),
        RuleAttribute::FwMark(1),
        RuleAttribute::Source("10.0.0.1".parse().unwrap()),
        RuleAttribute::SuppressPrefixLen(0),
    ] {
        let mut message = ours();
        message.attributes.push(foreign.clone());
        assert_eq!(rule::decode(&encoded(&message)), None, "{foreign:?}");
    }
    assert_eq!(read(|m| m.header.tos = 4), None);
    assert_eq!(read(|m| m.header.action = RuleAction::Blackhole), None);
    assert_eq!(
        read(|m| m.header.flags = netlink_packet_route::rule::RuleFlags::Invert),
        None
    );
}

#[test]
fn a_neighbour_is_written_permanent() {
    let entry = Neighbour {
        dev: dev(),
        address: [169, 254, 1, 1].into(),
        mac: MacAddress([2, 0, 0, 0, 0, 1]),
    };
    let (message, _) = judged(|batch| neighbour::replace(batch, &entry));
    let Message::NewNeighbour(message) = message else {
        panic!("{message:?}")
    };
    assert_eq!(
        (message.header.ifindex, message.header.state),
        (7, NeighbourState::Permanent)
    );
    assert_eq!(
        message.attributes,
        [
            NeighbourAttribute::Destination(NeighbourAddress::Inet([169, 254, 1, 1].into())),
            NeighbourAttribute::LinkLayerAddress(vec![2, 0, 0, 0, 0, 1]),
        ]
    );
    assert_eq!(neighbour::decode(&encoded(&message), &dev()), Some(entry));
}

#[test]
fn links_are_read_as_the_other_codec_reads_them() {
    let mut socket = Socket::open(Family::Route).unwrap();
    let listing = socket
        .dump(link::RTM_GETLINK, &link::all(), &"list links")
        .unwrap();
    for entry in &listing.entries {
        let theirs = LinkMessage::parse(&entry.payload[..]).unwrap();
        let ours = link::decode(&entry.payload).unwrap();
        assert_eq!(ours.index, theirs.header.index);
        assert_eq!(ours.up, theirs.header.flags.contains(LinkFlags::Up));
        assert!(
            theirs
                .attributes
                .contains(&LinkAttribute::IfName(ours.name.to_string()))
        );
        assert!(theirs.attributes.contains(&LinkAttribute::Mtu(ours.mtu)));
    }
}

#[test]
fn messages_cut_short_are_passed_over_and_nothing_breaks() {
    let mut socket = Socket::open(Family::Route).unwrap();
    let listing = socket
        .dump(link::RTM_GETLINK, &link::all(), &"list links")
        .unwrap();
    for entry in &listing.entries {
        for length in 0..entry.payload.len() {
            let cut = &entry.payload[..length];
            link::decode(cut);
            route::decode(cut);
            rule::decode(cut);
            neighbour::decode(cut, &dev());
            address::decode(cut, &dev());
        }
    }
}

#[test]
fn the_link_of_a_mac_address_is_the_lowest_that_stands_on_its_own() {
    let mac = MacAddress([2, 0, 0, 0, 0, 1]);
    let link = |index, kind: Option<&str>| Link {
        index,
        name: format!("l{index}").parse().unwrap(),
        mac: Some(mac),
        mtu: 1500,
        up: true,
        kind: kind.map(str::to_owned),
        peer: None,
    };
    let links = vec![link(2, Some("vlan")), link(5, None), link(4, Some("veth"))];
    assert_eq!(pick_by_mac(links, mac).unwrap().index, 4);
    assert!(pick_by_mac(vec![link(2, Some("bridge"))], mac).is_none());
}
