//! Types, trunks, reservations and IPv6: what is asked and what comes back.

use crate::server::{Server, answer};
use vpc_aws::ErrorKind;
use vpc_aws::credentials::CredentialSource;
use vpc_aws::ec2::wire::{self, Response};
use vpc_aws::ec2::{
    CidrReservation, Client, ClientConfig, Endpoint, ReservationKind, TrunkAssociation,
};
use vpc_model::instance_types::{CardLimits, Hypervisor};
use vpc_model::{EniId, NetworkCard};

#[tokio::test]
async fn the_limits_of_a_type_are_those_of_its_default_card() {
    let text = "<DescribeInstanceTypesResponse><instanceTypeSet><item>
        <instanceType>p9.huge</instanceType><bareMetal>false</bareMetal>
        <hypervisor>nitro</hypervisor><vCpuInfo><defaultVCpus>192</defaultVCpus></vCpuInfo>
        <networkInfo><maximumNetworkInterfaces>64</maximumNetworkInterfaces>
        <defaultNetworkCardIndex>0</defaultNetworkCardIndex>
        <networkCards><item><networkCardIndex>1</networkCardIndex>
        <maximumNetworkInterfaces>2</maximumNetworkInterfaces></item>
        <item><networkCardIndex>0</networkCardIndex>
        <maximumNetworkInterfaces>15</maximumNetworkInterfaces></item></networkCards>
        <ipv4AddressesPerInterface>50</ipv4AddressesPerInterface></networkInfo>
        </item></instanceTypeSet></DescribeInstanceTypesResponse>";
    let server = Server::start(move |_, _| answer(200, text)).await;
    let found = client(&server.url)
        .describe_instance_type(&"p9.huge".parse().unwrap())
        .await
        .unwrap();
    assert_eq!((found.enis, found.ipv4_per_eni, found.vcpus), (15, 50, 192));
    assert_eq!(found.hypervisor, Hypervisor::Nitro);
    let cards = [(0, 15), (1, 2)].map(|(card, enis)| CardLimits {
        card: NetworkCard(card),
        enis,
    });
    assert_eq!(found.cards, cards);
    let request = &server.seen()[0];
    assert_eq!(request.param("InstanceType.1").as_deref(), Some("p9.huge"));
}

#[tokio::test]
async fn a_type_without_cards_has_one_and_a_type_without_figures_is_an_error() {
    let of = |inside: &str| {
        format!(
            "<DescribeInstanceTypesResponse><instanceTypeSet><item><bareMetal>true</bareMetal>\
             <vCpuInfo><defaultVCpus>96</defaultVCpus></vCpuInfo>{inside}</item>\
             </instanceTypeSet></DescribeInstanceTypesResponse>"
        )
    };
    let plain = of(
        "<networkInfo><maximumNetworkInterfaces>8</maximumNetworkInterfaces>\
        <ipv4AddressesPerInterface>30</ipv4AddressesPerInterface></networkInfo>",
    );
    let server = Server::start(move |number, _| match number {
        1 => answer(200, plain.clone()),
        2 => answer(200, of("")),
        3 => answer(200, "<DescribeInstanceTypesResponse/>"),
        _ => {
            let error = wire::ErrorResponse::new("InvalidInstanceType", "no such type", "r-1");
            answer(400, error.to_xml().unwrap())
        }
    })
    .await;
    let client = client(&server.url);
    let ask = || async {
        client
            .describe_instance_type(&"x1.metal".parse().unwrap())
            .await
    };
    let found = ask().await.unwrap();
    assert_eq!((found.enis, found.hypervisor), (8, Hypervisor::Metal));
    assert_eq!(found.cards.len(), 1);
    let error = ask().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Decode(_)), "{error}");
    for _ in 0..2 {
        let error = ask().await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::NotFound), "{error}");
    }
}

#[tokio::test]
async fn the_branches_of_one_trunk_are_found_on_all_pages() {
    let page = |members: &[(&str, &str, Option<i32>)], next: &str| {
        let members = members
            .iter()
            .map(|(branch, trunk, vlan)| wire::TrunkInterfaceAssociation {
                branch_interface_id: Some((*branch).to_owned()),
                trunk_interface_id: Some((*trunk).to_owned()),
                vlan_id: *vlan,
                ..Default::default()
            });
        let response = wire::DescribeTrunkInterfaceAssociationsResponse {
            interface_associations: members.collect(),
            next_token: Some(next.to_owned()),
            ..Default::default()
        };
        response.to_xml().unwrap()
    };
    let first = page(
        &[("eni-1", "eni-a", Some(1)), ("eni-2", "eni-b", Some(1))],
        "t-2",
    );
    let second = page(&[("eni-3", "eni-a", None)], "");
    let third = page(&[("eni-1", "eni-a", Some(4095))], "");
    let server = Server::start(move |number, _| match number {
        1 => answer(200, first.clone()),
        2 => answer(200, second.clone()),
        _ => answer(200, third.clone()),
    })
    .await;
    let client = client(&server.url);
    let trunk: EniId = "eni-a".parse().unwrap();
    let on_trunk = |branch: &str, vlan| TrunkAssociation {
        branch: branch.parse().unwrap(),
        trunk: trunk.clone(),
        vlan,
    };
    assert_eq!(
        client.trunk_associations(&trunk).await.unwrap(),
        [on_trunk("eni-1", Some(1)), on_trunk("eni-3", None)]
    );
    let seen = server.seen();
    assert_eq!(seen[0].param("MaxResults").as_deref(), Some("255"));
    assert_eq!(seen[1].param("NextToken").as_deref(), Some("t-2"));
    let error = client.trunk_associations(&trunk).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Decode(_)), "{error}");
}

#[tokio::test]
async fn reservations_of_a_subnet_say_what_they_are_for() {
    let text = "<GetSubnetCidrReservationsResponse><subnetIpv4CidrReservationSet>
        <item><cidr>10.0.1.0/26</cidr><reservationType>prefix</reservationType></item>
        <item><cidr>10.0.1.64/28</cidr><reservationType>explicit</reservationType></item>
        </subnetIpv4CidrReservationSet><subnetIpv6CidrReservationSet/>
        </GetSubnetCidrReservationsResponse>";
    let server = Server::start(move |_, _| answer(200, text)).await;
    let found = client(&server.url)
        .subnet_cidr_reservations(&"subnet-1".parse().unwrap())
        .await
        .unwrap();
    let part = |cidr: &str, kind| CidrReservation {
        cidr: cidr.parse().unwrap(),
        kind,
    };
    assert_eq!(
        found,
        [
            part("10.0.1.0/26", ReservationKind::Prefix),
            part("10.0.1.64/28", ReservationKind::Explicit)
        ]
    );
    assert_eq!(
        server.seen()[0].param("SubnetId").as_deref(),
        Some("subnet-1")
    );
}

#[tokio::test]
async fn ipv6_prefixes_come_and_go() {
    let text = "<AssignIpv6AddressesResponse><networkInterfaceId>eni-1</networkInterfaceId>
        <assignedIpv6PrefixSet><item>2600:1f13:f:f00:a1b2::/80</item></assignedIpv6PrefixSet>
        </AssignIpv6AddressesResponse>";
    let server = Server::start(move |number, _| match number {
        1 => answer(200, text),
        _ => answer(200, "<UnassignIpv6AddressesResponse/>"),
    })
    .await;
    let client = client(&server.url);
    let eni: EniId = "eni-1".parse().unwrap();
    let prefixes = client.assign_ipv6_prefixes(&eni, 1).await.unwrap();
    assert_eq!(prefixes, ["2600:1f13:f:f00:a1b2::/80".parse().unwrap()]);
    client
        .unassign_ipv6_prefixes(&eni, &prefixes)
        .await
        .unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].param("Ipv6PrefixCount").as_deref(), Some("1"));
    assert_eq!(
        seen[1].param("Ipv6Prefix.1").as_deref(),
        Some("2600:1f13:f:f00:a1b2::/80")
    );
}

fn client(url: &str) -> Client {
    let endpoint = Endpoint::choose(|_| Some(url.to_owned()), "us-west-2").unwrap();
    let credentials = CredentialSource::fixed("AKIDEXAMPLE", "secret");
    Client::new(ClientConfig::new(endpoint, "us-west-2", credentials)).unwrap()
}
