"""moto's server with an instance in a VPC, for a client of EC2 to work on.

Prints one line of JSON: where it is, and what is there. Ends when standard input does.
"""

import json
import sys

import boto3
from moto.server import ThreadedMotoServer


def main():
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        endpoint = "http://%s:%d" % moto.get_host_and_port()
        ec2 = boto3.client("ec2", endpoint_url=endpoint, region_name="us-west-2",
                           aws_access_key_id="any", aws_secret_access_key="any")
        vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24",
                                   AvailabilityZone="us-west-2a")["Subnet"]["SubnetId"]
        group = ec2.create_security_group(VpcId=vpc, GroupName="pods",
                                          Description="for pods")["GroupId"]
        launched = ec2.run_instances(ImageId="ami-12c6146b", InstanceType="m5.large",
                                     MinCount=1, MaxCount=1, SubnetId=subnet)
        print(json.dumps({"endpoint": endpoint, "vpc": vpc, "subnet": subnet, "group": group,
                          "instance": launched["Instances"][0]["InstanceId"]}), flush=True)
        sys.stdin.read()
    finally:
        moto.stop()


if __name__ == "__main__":
    main()
