//! A small world and short ways to call it.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use vpc_aws::ec2::wire::*;
use vpc_model::{InstanceId, SubnetId, Timestamp, VpcId};
use vpc_sim::{ApiError, RunInstance, Span, World, WorldConfig};

pub const T0: Timestamp = Timestamp::from_millis(1_767_323_045_006);

pub fn at(millis: u64) -> Timestamp {
    T0 + Duration::from_millis(millis)
}

pub struct Setup {
    pub world: World,
    pub vpc: VpcId,
    pub subnet: SubnetId,
    pub other_zone: SubnetId,
    pub instance: InstanceId,
}

/// An m5.large (3 ENIs, 10 addresses each) at 10.0.1.4, and an empty subnet of another zone.
pub fn setup(config: WorldConfig) -> Setup {
    let mut world = World::new(config);
    let vpc = world.create_vpc("10.0.0.0/16".parse().unwrap());
    let cidr = |text: &str| text.parse().unwrap();
    let subnet = world
        .create_subnet(&vpc, cidr("10.0.1.0/24"), "us-west-2a")
        .unwrap();
    let other_zone = world
        .create_subnet(&vpc, cidr("10.0.2.0/24"), "us-west-2b")
        .unwrap();
    let spec = RunInstance::new("node1", "m5.large".parse().unwrap(), subnet.clone());
    let instance = world.run_instance(spec, T0).unwrap();
    Setup {
        world,
        vpc,
        subnet,
        other_zone,
        instance,
    }
}

pub fn immediate() -> Setup {
    setup(WorldConfig::immediate(1))
}

/// Link after 1 s, attached after 1.5 s, metadata 0.2 s after its cause, detached after 2 s.
pub fn slow() -> WorldConfig {
    WorldConfig {
        attach_link: Span::millis(1_000, 1_000),
        attach_status: Span::millis(500, 500),
        imds_lag: Span::millis(200, 200),
        detach: Span::millis(2_000, 2_000),
        ..WorldConfig::immediate(1)
    }
}

impl Setup {
    pub fn request(&self) -> CreateNetworkInterfaceRequest {
        CreateNetworkInterfaceRequest {
            subnet_id: Some(self.subnet.to_string()),
            ..Default::default()
        }
    }

    pub fn create(
        &mut self,
        request: &CreateNetworkInterfaceRequest,
    ) -> Result<NetworkInterface, ApiError> {
        let response = self.world.create_network_interface(request, T0)?;
        Ok(response.network_interface.unwrap())
    }

    /// A new ENI with so many secondary addresses.
    pub fn eni(&mut self, count: i32) -> String {
        let request = CreateNetworkInterfaceRequest {
            secondary_private_ip_address_count: (count > 0).then_some(count),
            ..self.request()
        };
        self.create(&request).unwrap().network_interface_id.unwrap()
    }

    pub fn attach(&mut self, eni: &str, device: i32, now: Timestamp) -> Result<String, ApiError> {
        let request = AttachNetworkInterfaceRequest {
            network_interface_id: Some(eni.to_owned()),
            instance_id: Some(self.instance.to_string()),
            device_index: Some(device),
            ..Default::default()
        };
        let response = self.world.attach_network_interface(&request, now)?;
        Ok(response.attachment_id.unwrap())
    }

    pub fn detach(&mut self, attachment: &str, now: Timestamp) -> Result<(), ApiError> {
        let request = DetachNetworkInterfaceRequest {
            attachment_id: Some(attachment.to_owned()),
            ..Default::default()
        };
        self.world.detach_network_interface(&request, now).map(drop)
    }

    pub fn delete(&mut self, eni: &str, now: Timestamp) -> Result<(), ApiError> {
        let request = DeleteNetworkInterfaceRequest {
            network_interface_id: Some(eni.to_owned()),
            ..Default::default()
        };
        self.world.delete_network_interface(&request, now).map(drop)
    }

    pub fn describe(&mut self, eni: &str, now: Timestamp) -> NetworkInterface {
        let request = DescribeNetworkInterfacesRequest {
            network_interface_ids: vec![eni.to_owned()],
            ..Default::default()
        };
        let response = self
            .world
            .describe_network_interfaces(&request, now)
            .unwrap();
        response.network_interfaces.item.into_iter().next().unwrap()
    }

    pub fn filtered(&mut self, filters: Vec<Filter>) -> Result<Vec<String>, ApiError> {
        let request = DescribeNetworkInterfacesRequest {
            filters,
            ..Default::default()
        };
        let found = self.world.describe_network_interfaces(&request, T0)?;
        let enis = found.network_interfaces.item.into_iter();
        Ok(enis.map(|eni| eni.network_interface_id.unwrap()).collect())
    }

    pub fn available(&mut self) -> i32 {
        let request = DescribeSubnetsRequest {
            subnet_ids: vec![self.subnet.to_string()],
            ..Default::default()
        };
        let found = self.world.describe_subnets(&request, T0).unwrap();
        found.subnets.item[0].available_ip_address_count.unwrap()
    }

    pub fn primary_eni(&mut self) -> String {
        let instance = self.instance.to_string();
        let filter = Filter::new("attachment.instance-id", instance);
        self.filtered(vec![filter]).unwrap().remove(0)
    }

    pub fn imds(&mut self, path: &str, now: Timestamp) -> Option<String> {
        let path = format!("/latest/meta-data/{path}");
        self.world.imds(&self.instance.clone(), &path, now)
    }
}

pub fn addresses(eni: &NetworkInterface) -> Vec<String> {
    let all = eni.private_ip_addresses.item.iter();
    all.map(|a| a.private_ip_address.clone().unwrap()).collect()
}

/// Serves a router on a free loopback port.
pub async fn serve(router: axum::Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// One HTTP/1.1 request on a connection of its own; `None` if no answer comes.
pub async fn http(
    to: SocketAddr,
    start: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Reply> {
    let stream = TcpStream::connect(to).await.unwrap();
    exchange(stream, start, headers, body).await
}

/// The same on a connection that exists.
pub async fn exchange(
    mut stream: TcpStream,
    start: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Reply> {
    let to = stream.peer_addr().unwrap();
    let mut text = format!("{start} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Reply {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

pub const SIGNED: (&str, &str) = (
    "Authorization",
    "AWS4-HMAC-SHA256 Credential=a/b/c, Signature=d",
);
pub const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// A signed form.
pub async fn post(to: SocketAddr, body: &str) -> Reply {
    http(to, "POST /", &[SIGNED, FORM], body).await.unwrap()
}
