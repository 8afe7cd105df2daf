#!/usr/bin/env python3
"""Writes the table of instance types, crates/model/data/instance-types.tsv, to standard output.

The figures are those of EC2's DescribeInstanceTypes, as the Python package moto (Apache-2.0) ships
them in moto/ec2/resources/instance_types.json.gz. Types that moto lacks, because EC2 no longer
lists them everywhere, stand in MISSING below.

    pip download --no-deps moto==5.2.5
    scripts/gen-instance-types.py moto-5.2.5-py3-none-any.whl > crates/model/data/instance-types.tsv

The argument is the wheel. The output depends on nothing else.
"""

import gzip
import json
import sys
import zipfile

RESOURCE = "moto/ec2/resources/instance_types.json.gz"

# type: (ENIs of each network card, IPv4 addresses per ENI, hypervisor, vCPUs).
# Source: EC2's instance-type pages; the limits agree with those that upstream adds by hand.
# The default network card is 0 throughout.
MISSING = {
    "cr1.8xlarge": ([8], 30, "xen", 32),
    "dl1.24xlarge": ([15, 15, 15, 15], 50, "nitro", 96),
    "f1.2xlarge": ([4], 15, "xen", 8),
    "f1.4xlarge": ([8], 30, "xen", 16),
    "f1.16xlarge": ([8], 50, "xen", 64),
    "hs1.8xlarge": ([8], 30, "xen", 16),
    "p3.2xlarge": ([4], 15, "xen", 8),
    "p3.8xlarge": ([8], 30, "xen", 32),
    "p3.16xlarge": ([8], 30, "xen", 64),
    "u-6tb1.metal": ([5], 30, "metal", 448),
    "u-9tb1.metal": ([5], 30, "metal", 448),
    "u-12tb1.metal": ([5], 30, "metal", 448),
    "u-18tb1.metal": ([15], 50, "metal", 448),
    "u-24tb1.metal": ([15], 50, "metal", 448),
}


def read_wheel(path):
    """The version of the package and its table of types."""
    with zipfile.ZipFile(path) as wheel:
        metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        lines = wheel.read(metadata).decode().splitlines()
        version = next(line for line in lines if line.startswith("Version: "))
        types = json.loads(gzip.decompress(wheel.read(RESOURCE)))
    return version.removeprefix("Version: "), types


def row_of(name, described):
    """One line of the table from one described type."""
    network = described["NetworkInfo"]
    indexed = {card["NetworkCardIndex"]: card["MaximumNetworkInterfaces"] for card in network["NetworkCards"]}
    if sorted(indexed) != list(range(len(indexed))) or not indexed:
        raise SystemExit(f"{name}: network cards are numbered {sorted(indexed)}")
    cards = [indexed[index] for index in sorted(indexed)]
    default = network["DefaultNetworkCardIndex"]
    hypervisor = "metal" if described["BareMetal"] else described["Hypervisor"]
    if hypervisor not in ("metal", "nitro", "xen"):
        raise SystemExit(f"{name}: hypervisor is {hypervisor!r}")
    vcpus = described["VCpuInfo"]["DefaultVCpus"]
    return line(name, default, (cards, network["Ipv4AddressesPerInterface"], hypervisor, vcpus))


def line(name, default, figures):
    cards, addresses, hypervisor, vcpus = figures
    fields = [name, cards[default], addresses, hypervisor, vcpus, default, ",".join(map(str, cards))]
    return "\t".join(map(str, fields))


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    version, types = read_wheel(sys.argv[1])
    rows = {name: row_of(name, described) for name, described in types.items()}
    for name, figures in MISSING.items():
        rows.setdefault(name, line(name, 0, figures))
    print("# Network limits of EC2 instance types. Made by scripts/gen-instance-types.py; do not edit.")
    print(f"# Source: EC2 DescribeInstanceTypes as shipped in moto {version} (Apache-2.0), and the types")
    print("# it lacks as listed in the script.")
    print("# Columns: type; ENIs of the default card; IPv4 addresses per ENI; hypervisor; vCPUs;")
    print("# default network card; ENIs of each network card, by card.")
    for name in sorted(rows):
        print(rows[name])


if __name__ == "__main__":
    main()
