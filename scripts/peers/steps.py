"""What is asked of both sides, in this order. A step is a label, an operation, and its parameters,
which may name what earlier steps answered."""

AMI = "ami-12c6146b"
ZONE = "us-west-2a"


def steps():
    """Yields (label, operation, parameters of what is known, what to remember of the answer)."""

    def step(label, operation, parameters=None, keep=None):
        return label, operation, parameters or (lambda k: {}), keep or (lambda answer: {})

    yield step("a VPC", "create_vpc", lambda k: {"CidrBlock": "10.7.0.0/16"},
               lambda a: {"vpc": a["Vpc"]["VpcId"]})
    yield step("the VPC", "describe_vpcs", lambda k: {"VpcIds": [k["vpc"]]})
    yield step("a subnet", "create_subnet",
               lambda k: {"VpcId": k["vpc"], "CidrBlock": "10.7.1.0/24", "AvailabilityZone": ZONE},
               lambda a: {"subnet": a["Subnet"]["SubnetId"]})
    yield step("another", "create_subnet",
               lambda k: {"VpcId": k["vpc"], "CidrBlock": "10.7.2.0/24", "AvailabilityZone": ZONE},
               lambda a: {"other": a["Subnet"]["SubnetId"]})
    yield step("a subnet that overlaps", "create_subnet",
               lambda k: {"VpcId": k["vpc"], "CidrBlock": "10.7.1.0/25", "AvailabilityZone": ZONE})
    yield step("a subnet outside", "create_subnet",
               lambda k: {"VpcId": k["vpc"], "CidrBlock": "10.9.1.0/24", "AvailabilityZone": ZONE})
    yield step("subnets by filter", "describe_subnets",
               lambda k: {"Filters": [{"Name": "vpc-id", "Values": [k["vpc"]]}]})
    yield step("a security group", "create_security_group",
               lambda k: {"VpcId": k["vpc"], "GroupName": "pods", "Description": "for pods"},
               lambda a: {"group": a["GroupId"]})
    yield step("the same name again", "create_security_group",
               lambda k: {"VpcId": k["vpc"], "GroupName": "pods", "Description": "for pods"})
    rule = [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80,
             "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "inside"}]}]
    yield step("a rule", "authorize_security_group_ingress",
               lambda k: {"GroupId": k["group"], "IpPermissions": rule})
    yield step("the rule again", "authorize_security_group_ingress",
               lambda k: {"GroupId": k["group"], "IpPermissions": rule})
    yield step("a rule about what goes out", "authorize_security_group_egress",
               lambda k: {"GroupId": k["group"], "IpPermissions": rule})
    yield step("the group", "describe_security_groups", lambda k: {"GroupIds": [k["group"]]})
    yield step("the rule is taken back", "revoke_security_group_ingress",
               lambda k: {"GroupId": k["group"], "IpPermissions": rule})
    yield step("and the other", "revoke_security_group_egress",
               lambda k: {"GroupId": k["group"], "IpPermissions": rule})
    yield step("an instance", "run_instances",
               lambda k: {"ImageId": AMI, "InstanceType": "m5.large", "MinCount": 1, "MaxCount": 1,
                          "SubnetId": k["subnet"]},
               lambda a: {"instance": a["Instances"][0]["InstanceId"]})
    yield step("the instance", "describe_instances", lambda k: {"InstanceIds": [k["instance"]]},
               lambda a: {"primary": a["Reservations"][0]["Instances"][0]["NetworkInterfaces"][0]
                          ["NetworkInterfaceId"]})
    yield step("its type", "describe_instance_types", lambda k: {"InstanceTypes": ["m5.large"]})
    yield step("an ENI", "create_network_interface",
               lambda k: {"SubnetId": k["subnet"], "Description": "aws-K8S-test",
                          "Groups": [k["group"]], "SecondaryPrivateIpAddressCount": 2,
                          "TagSpecifications": [{"ResourceType": "network-interface",
                                                 "Tags": [{"Key": "a", "Value": "1"}]}]},
               lambda a: {"eni": a["NetworkInterface"]["NetworkInterfaceId"]})
    yield step("the ENI", "describe_network_interfaces",
               lambda k: {"NetworkInterfaceIds": [k["eni"]]})
    yield step("ENIs by tag", "describe_network_interfaces",
               lambda k: {"Filters": [{"Name": "tag:a", "Values": ["1"]},
                                      {"Name": "vpc-id", "Values": [k["vpc"]]}]})
    yield step("attached", "attach_network_interface",
               lambda k: {"NetworkInterfaceId": k["eni"], "InstanceId": k["instance"],
                          "DeviceIndex": 1},
               lambda a: {"attachment": a["AttachmentId"]})
    yield step("the attached ENI", "describe_network_interfaces",
               lambda k: {"NetworkInterfaceIds": [k["eni"]]})
    yield step("attached again", "attach_network_interface",
               lambda k: {"NetworkInterfaceId": k["eni"], "InstanceId": k["instance"],
                          "DeviceIndex": 2})
    yield step("delete-on-termination", "modify_network_interface_attribute",
               lambda k: {"NetworkInterfaceId": k["eni"],
                          "Attachment": {"AttachmentId": k["attachment"],
                                         "DeleteOnTermination": True}})
    yield step("other groups", "modify_network_interface_attribute",
               lambda k: {"NetworkInterfaceId": k["eni"], "Groups": [k["group"]]})
    yield step("addresses", "assign_private_ip_addresses",
               lambda k: {"NetworkInterfaceId": k["eni"], "SecondaryPrivateIpAddressCount": 3},
               lambda a: {"assigned": [x["PrivateIpAddress"]
                                       for x in a["AssignedPrivateIpAddresses"]]})
    yield step("addresses go back", "unassign_private_ip_addresses",
               lambda k: {"NetworkInterfaceId": k["eni"], "PrivateIpAddresses": k["assigned"]})
    yield step("a prefix", "assign_private_ip_addresses",
               lambda k: {"NetworkInterfaceId": k["eni"], "Ipv4PrefixCount": 1},
               lambda a: {"prefixes": [x["Ipv4Prefix"] for x in a["AssignedIpv4Prefixes"]]})
    yield step("the prefix goes back", "unassign_private_ip_addresses",
               lambda k: {"NetworkInterfaceId": k["eni"], "Ipv4Prefixes": k["prefixes"]})
    yield step("tags", "create_tags",
               lambda k: {"Resources": [k["eni"]], "Tags": [{"Key": "b", "Value": "2"}]})
    yield step("a tag is taken", "delete_tags",
               lambda k: {"Resources": [k["eni"]], "Tags": [{"Key": "a"}]})
    yield step("the tags", "describe_network_interfaces",
               lambda k: {"NetworkInterfaceIds": [k["eni"]]})
    yield step("deleted while attached", "delete_network_interface",
               lambda k: {"NetworkInterfaceId": k["eni"]})
    yield step("detached", "detach_network_interface",
               lambda k: {"AttachmentId": k["attachment"]})
    yield step("detached again", "detach_network_interface",
               lambda k: {"AttachmentId": k["attachment"]})
    yield step("deleted", "delete_network_interface", lambda k: {"NetworkInterfaceId": k["eni"]})
    yield step("gone", "describe_network_interfaces",
               lambda k: {"NetworkInterfaceIds": [k["eni"]]})
    yield step("deleted again", "delete_network_interface",
               lambda k: {"NetworkInterfaceId": k["eni"]})
    yield step("a VPC with IPv6", "create_vpc",
               lambda k: {"CidrBlock": "10.8.0.0/16", "AmazonProvidedIpv6CidrBlock": True},
               lambda a: {"vpc6": a["Vpc"]["VpcId"]})
    yield step("its networks", "describe_vpcs", lambda k: {"VpcIds": [k["vpc6"]]},
               lambda a: {"net6": a["Vpcs"][0]["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
                          .replace("/56", "/64")})
    yield step("a subnet with IPv6", "create_subnet",
               lambda k: {"VpcId": k["vpc6"], "CidrBlock": "10.8.1.0/24",
                          "Ipv6CidrBlock": k["net6"], "AvailabilityZone": ZONE},
               lambda a: {"subnet6": a["Subnet"]["SubnetId"]})
    yield step("an ENI with IPv6", "create_network_interface",
               lambda k: {"SubnetId": k["subnet6"], "Ipv6AddressCount": 2},
               lambda a: {"eni6": a["NetworkInterface"]["NetworkInterfaceId"]})
    yield step("IPv6 addresses", "assign_ipv6_addresses",
               lambda k: {"NetworkInterfaceId": k["eni6"], "Ipv6AddressCount": 2},
               lambda a: {"assigned6": a["AssignedIpv6Addresses"]})
    yield step("an IPv6 prefix", "assign_ipv6_addresses",
               lambda k: {"NetworkInterfaceId": k["eni6"], "Ipv6PrefixCount": 1},
               lambda a: {"prefix6": a["AssignedIpv6Prefixes"]})
    yield step("the ENI with IPv6", "describe_network_interfaces",
               lambda k: {"NetworkInterfaceIds": [k["eni6"]]})
    yield step("IPv6 addresses go back", "unassign_ipv6_addresses",
               lambda k: {"NetworkInterfaceId": k["eni6"], "Ipv6Addresses": k["assigned6"]})
    yield step("the IPv6 prefix goes back", "unassign_ipv6_addresses",
               lambda k: {"NetworkInterfaceId": k["eni6"], "Ipv6Prefixes": k["prefix6"]})
    yield step("the ENI with IPv6 goes", "delete_network_interface",
               lambda k: {"NetworkInterfaceId": k["eni6"]})
    for kind in ("trunk", "branch"):
        yield step(f"a {kind}", "create_network_interface",
                   lambda k, kind=kind: {"SubnetId": k["subnet"], "InterfaceType": kind},
                   lambda a, kind=kind: {kind: a["NetworkInterface"]["NetworkInterfaceId"]})
    yield step("the branch on the trunk", "associate_trunk_interface",
               lambda k: {"BranchInterfaceId": k["branch"], "TrunkInterfaceId": k["trunk"],
                          "VlanId": 7},
               lambda a: {"on_trunk": a["InterfaceAssociation"]["AssociationId"]})
    yield step("what trunks carry", "describe_trunk_interface_associations")
    yield step("the branch leaves the trunk", "disassociate_trunk_interface",
               lambda k: {"AssociationId": k["on_trunk"]})
    for kind in ("branch", "trunk"):
        yield step(f"the {kind} goes", "delete_network_interface",
                   lambda k, kind=kind: {"NetworkInterfaceId": k[kind]})
    yield step("a reservation", "create_subnet_cidr_reservation",
               lambda k: {"SubnetId": k["other"], "Cidr": "10.7.2.64/26",
                          "ReservationType": "prefix"},
               lambda a: {"reservation": a["SubnetCidrReservation"]["SubnetCidrReservationId"]})
    yield step("the reservations", "get_subnet_cidr_reservations",
               lambda k: {"SubnetId": k["other"]})
    yield step("it ends", "delete_subnet_cidr_reservation",
               lambda k: {"SubnetCidrReservationId": k["reservation"]})
    for label, operation, parameters in [
        ("an unknown subnet", "describe_subnets", {"SubnetIds": ["subnet-0123456789abcdef0"]}),
        ("an unknown VPC", "describe_vpcs", {"VpcIds": ["vpc-0123456789abcdef0"]}),
        ("an unknown instance", "describe_instances", {"InstanceIds": ["i-0123456789abcdef0"]}),
        ("an unknown group", "describe_security_groups", {"GroupIds": ["sg-0123456789abcdef0"]}),
        ("an unknown attachment", "detach_network_interface",
         {"AttachmentId": "eni-attach-0123456789abcdef0"}),
        ("an unknown ENI", "assign_private_ip_addresses",
         {"NetworkInterfaceId": "eni-0123456789abcdef0", "SecondaryPrivateIpAddressCount": 1}),
        ("an unknown type", "describe_instance_types", {"InstanceTypes": ["m5.enormous"]}),
    ]:
        yield step(label, operation, lambda k, p=parameters: p)
    yield step("terminated", "terminate_instances", lambda k: {"InstanceIds": [k["instance"]]})
    yield step("the group goes", "delete_security_group", lambda k: {"GroupId": k["group"]})
    yield step("the subnets go", "delete_subnet", lambda k: {"SubnetId": k["subnet"]})
    yield step("both", "delete_subnet", lambda k: {"SubnetId": k["other"]})
    yield step("the VPC goes", "delete_vpc", lambda k: {"VpcId": k["vpc"]})
