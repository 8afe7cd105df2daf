//! The clients of `vpc-aws` against the simulator: the two sides of the protocol agree.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{immediate, serve};
use vpc_aws::ErrorKind;
use vpc_aws::credentials::CredentialSource;
use vpc_aws::ec2::{
    AddressCount, Client, ClientConfig, CreateNetworkInterface, Ec2, Endpoint, EniQuery,
};
use vpc_aws::imds::{self, Imds};
use vpc_model::{DeviceIndex, EniId, NetworkCard};
use vpc_sim::fault::Fault;
use vpc_sim::{IdentifyBy, Sim};

async fn ec2(sim: &Sim) -> Client {
    let to = serve(sim.ec2_router()).await;
    let vars = |name: &str| (name == "AWS_EC2_ENDPOINT").then(|| format!("http://{to}"));
    let endpoint = Endpoint::choose(vars, "us-west-2").unwrap();
    let credentials = CredentialSource::fixed("AKIDEXAMPLE", "secret");
    Client::new(ClientConfig::new(endpoint, "us-west-2", credentials)).unwrap()
}

async fn metadata(sim: &Sim, who: IdentifyBy) -> imds::Client {
    let to = serve(sim.imds_router(who)).await;
    let endpoint = Some(format!("http://{to}"));
    let config = imds::ClientConfig::from_vars(|_| endpoint.clone()).unwrap();
    imds::Client::new(&config).unwrap()
}

#[tokio::test]
async fn an_eni_lives_its_life_through_both_clients() {
    let s = immediate();
    let (subnet, instance, vpc) = (s.subnet.clone(), s.instance.clone(), s.vpc.clone());
    let sim = Sim::new(s.world);
    let client = ec2(&sim).await;
    let metadata = metadata(&sim, IdentifyBy::Instance(instance.clone())).await;

    let identity = metadata.instance().await.unwrap();
    assert_eq!((&identity.instance_id, &identity.vpc), (&instance, &vpc));
    let known = metadata.enis().await.unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].subnet, subnet);
    assert_eq!(
        metadata.vpc_cidrs().await.unwrap(),
        ["10.0.0.0/16".parse().unwrap()]
    );

    let request = CreateNetworkInterface {
        subnet: subnet.clone(),
        security_groups: known[0].security_groups.clone(),
        description: "aws-K8S-test".to_owned(),
        tags: BTreeMap::from([("owner".to_owned(), "a*b".to_owned())]),
        count: AddressCount::Ips(2),
        client_token: "token-1".to_owned(),
    };
    let eni = client.create_network_interface(request).await.unwrap();
    assert_eq!(eni.addresses.len(), 2);
    let device = client.describe_instance(instance.clone()).await.unwrap();
    let device = device.free_device(NetworkCard(0)).unwrap();
    assert_eq!(device, DeviceIndex(1));
    let attached =
        client.attach_network_interface(eni.id.clone(), instance.clone(), device, NetworkCard(0));
    let attachment = attached.await.unwrap();
    client
        .set_delete_on_termination(eni.id.clone(), attachment.clone())
        .await
        .unwrap();
    let assigned = client
        .assign_addresses(eni.id.clone(), AddressCount::Prefixes(1))
        .await;
    let assigned = assigned.unwrap();
    assert_eq!(assigned.prefixes.len(), 1);

    let known = metadata.enis().await.unwrap();
    let second = known.iter().find(|known| known.id == eni.id).unwrap();
    assert_eq!(second.mac, eni.mac);
    assert_eq!(second.addresses[1..], eni.addresses);
    assert_eq!(second.prefixes, assigned.prefixes);

    let tagged = EniQuery::Tagged {
        key: "owner".to_owned(),
        value: "a*b".to_owned(),
    };
    let found = client.describe_network_interfaces(tagged).await.unwrap();
    assert_eq!(found.len(), 1);
    let attachment_now = found[0].attachment.as_ref().unwrap();
    assert!(attachment_now.delete_on_termination);
    let query = EniQuery::AttachedTo(instance);
    assert_eq!(
        client
            .describe_network_interfaces(query)
            .await
            .unwrap()
            .len(),
        2
    );

    let early = client.delete_network_interface(eni.id.clone()).await;
    let early = early.unwrap_err();
    assert!(matches!(early.kind, ErrorKind::InUse), "{early}");

    let addresses = eni.addresses.clone();
    client
        .unassign_addresses(eni.id.clone(), addresses, assigned.prefixes)
        .await
        .unwrap();
    client.detach_network_interface(attachment).await.unwrap();
    client
        .delete_network_interface(eni.id.clone())
        .await
        .unwrap();
    let subnets = client
        .describe_subnets(vpc, "us-west-2a".to_owned())
        .await
        .unwrap();
    assert_eq!(subnets[0].available_addresses, 250);
    let gone = client.delete_network_interface(eni.id).await.unwrap_err();
    assert!(matches!(gone.kind, ErrorKind::NotFound), "{gone}");
}

#[tokio::test]
async fn the_client_sees_lost_answers_and_throttling_for_what_they_are() {
    let mut s = immediate();
    let eni: EniId = s.eni(0).parse().unwrap();
    let sim = Sim::new(s.world);
    let client = ec2(&sim).await;
    sim.add_fault(Fault::lost_response("DeleteNetworkInterface", 1));
    let error = client
        .delete_network_interface(eni.clone())
        .await
        .unwrap_err();
    assert!(error.may_have_taken_effect(), "{error}");
    assert_eq!(sim.calls().of("DeleteNetworkInterface"), 1);
    let query = EniQuery::Ids(vec![eni]);
    let gone = client.describe_network_interfaces(query).await.unwrap_err();
    assert!(matches!(gone.kind, ErrorKind::NotFound), "{gone}");

    sim.add_fault(Fault::error(
        "DescribeSubnets",
        1,
        "RequestLimitExceeded",
        503,
    ));
    let zone = "us-west-2a".to_owned();
    let found = client
        .describe_subnets("vpc-0".parse().unwrap(), zone)
        .await
        .unwrap();
    assert!(found.is_empty());
    assert_eq!(sim.calls().of("DescribeSubnets"), 2);
}
