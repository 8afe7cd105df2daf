#!/usr/bin/env python3
"""Extracts the shapes of our operations from botocore's service models.

Usage: gen-ec2-model.py SERVICE-2.JSON[.GZ] > crates/aws/tests/data/ec2-model.json
       gen-ec2-model.py SERVICE-2.JSON[.GZ] PutMetricData > crates/aws/tests/data/cloudwatch-model.json

The models are `botocore/data/ec2/2016-11-15/service-2.json.gz` and
`botocore/data/cloudwatch/2010-08-01/service-2.json.gz` of the PyPI package botocore
(Apache-2.0). Without operations, those of EC2 that are listed below are meant. Only names, location names and types are kept. Shapes that no operation of ours reaches
are left out.
"""

import gzip
import json
import sys

OPERATIONS = [
    "AssignIpv6Addresses",
    "AssignPrivateIpAddresses",
    "AttachNetworkInterface",
    "CreateNetworkInterface",
    "CreateTags",
    "DeleteNetworkInterface",
    "DescribeInstanceTypes",
    "DescribeInstances",
    "DescribeNetworkInterfaces",
    "DescribeSubnets",
    "DescribeTrunkInterfaceAssociations",
    "DetachNetworkInterface",
    "GetSubnetCidrReservations",
    "ModifyNetworkInterfaceAttribute",
    "UnassignIpv6Addresses",
    "UnassignPrivateIpAddresses",
]


def load(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        return json.load(file)


def member(description):
    kept = {"shape": description["shape"]}
    for key in ("locationName", "queryName"):
        if key in description:
            kept[key] = description[key]
    return kept


def reduced(shape):
    kept = {"type": shape["type"]}
    if shape["type"] == "structure":
        kept["members"] = {name: member(m) for name, m in shape["members"].items()}
    elif shape["type"] == "list":
        kept["member"] = member(shape["member"])
    return kept


def reachable(shapes, start):
    found, waiting = {}, [start]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = reduced(shapes[name])
        for m in found[name].get("members", {}).values():
            waiting.append(m["shape"])
        if "member" in found[name]:
            waiting.append(found[name]["member"]["shape"])
    return found


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    model = load(sys.argv[1])
    operations, shapes = {}, {}
    for name in sys.argv[2:] or OPERATIONS:
        operation = model["operations"][name]
        kept = operations[name] = {}
        for side in ("input", "output"):
            if side in operation:
                kept[side] = operation[side]["shape"]
                shapes.update(reachable(model["shapes"], kept[side]))
    metadata = {key: model["metadata"][key] for key in ("apiVersion", "protocol")}
    document = {"metadata": metadata, "operations": operations, "shapes": shapes}
    # One shape per line: small, and a new version of the model gives a readable difference.
    parts = ['"metadata":' + json.dumps(metadata)]
    for key in ("operations", "shapes"):
        lines = [
            json.dumps(name) + ":" + json.dumps(value, separators=(",", ":"), sort_keys=True)
            for name, value in sorted(document[key].items())
        ]
        parts.append(f'"{key}":{{\n' + ",\n".join(lines) + "\n}")
    print("{\n" + ",\n".join(parts) + "\n}")


if __name__ == "__main__":
    main()
