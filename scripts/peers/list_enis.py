"""Lists the ENIs of an EC2 endpoint with boto3, page by page, in the shape `aws` prints them.

    list_enis.py ENDPOINT

boto3 decodes the answers by AWS's own service model, so what it prints is an independent reading
of what the simulator says.
"""

import json
import sys

import boto3


def main() -> None:
    ec2 = boto3.client(
        "ec2",
        endpoint_url=sys.argv[1],
        region_name="us-west-2",
        aws_access_key_id="lab",
        aws_secret_access_key="lab",
    )
    # Five is the smallest page EC2 allows.
    pages = ec2.get_paginator("describe_network_interfaces").paginate(
        PaginationConfig={"PageSize": 5}
    )
    interfaces = [interface for page in pages for interface in page["NetworkInterfaces"]]
    json.dump({"NetworkInterfaces": interfaces}, sys.stdout, default=str)


if __name__ == "__main__":
    main()
