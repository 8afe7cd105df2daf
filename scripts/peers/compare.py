"""Runs one scenario by boto3 against our emulator and against moto's server, and compares.

    compare.py ENDPOINT

Prints what differs and is not explained, one a line, and exits with 1 if there is any. Every raw
answer of ours is held to the service model as well, and every action that ours serves must be in
the scenario. moto is a third party's reading of EC2 and no oracle: where the two differ, EXPLAINED
says which is right and where that is written. An explanation that explains nothing is a fault.
"""

import json
import re
import sys
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from explained import EXPLAINED
from operations import in_moto
from raw_answers import check_answer
from steps import steps

IDS = re.compile(r"\b(vpc|subnet|sg|sgr|eni|eni-attach|i|r|ami|scr|trunk-assoc|dopt|acl|rtb)-[0-9a-f]{8,17}\b")
ADDRESS = re.compile(r"\b\d+\.\d+\.\d+\.\d+\b(?!/)")
NET6 = re.compile(r"\b[0-9a-f]{1,4}(:[0-9a-f]{0,4}){2,7}(/(56|64|80))?")
MAC = re.compile(r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b")
# What each side is free to choose.
FREE = {"OwnerId", "RequestId", "ResponseMetadata", "ClientToken", "SecurityGroupRuleArn",
        "SubnetArn", "SecurityGroupArn", "ReservationId", "Message", "InstanceOwnerId",
        # Which zone has which id differs between accounts.
        "AvailabilityZoneId", "AssociationId"}


class Side:
    """One of the two, and what it has answered."""

    def __init__(self, name, endpoint):
        self.name = name
        self.known = {}
        self.faults = []
        self.ec2 = boto3.client(
            "ec2", endpoint_url=endpoint, region_name="us-west-2",
            aws_access_key_id="any", aws_secret_access_key="any",
            config=Config(retries={"max_attempts": 1}),
        )
        self.ec2.meta.events.register("response-received.ec2", self.received)
        self.body = b""

    def received(self, response_dict, **_):
        self.body = (response_dict or {}).get("body", b"")

    def answer(self, operation, parameters, keep):
        try:
            answer = getattr(self.ec2, operation)(**parameters(self.known))
        except ClientError as error:
            return {"error": error.response["Error"]["Code"]}
        except KeyError as missing:
            return {"error": f"an earlier answer lacks {missing}"}
        try:
            self.known.update(keep(answer))
        except (KeyError, IndexError) as missing:
            return {"error": f"the answer lacks {missing!r}"}
        return plain(answer)

    def check_raw(self, operation):
        name = self.ec2.meta.method_to_api_mapping[operation]
        model = self.ec2.meta.service_model.operation_model(name)
        return check_answer(self.body, model)


def plain(value, key=""):
    """A value without what each side is free to choose."""
    if key in FREE:
        return "free"
    if isinstance(value, dict):
        return {k: plain(v, k) for k, v in value.items() if k not in ("ResponseMetadata",)}
    if isinstance(value, list):
        return [plain(v, key) for v in value]
    if isinstance(value, (bool, int)):
        return value
    text = str(value)
    if re.match(r"\d{4}-\d\d-\d\d[T ]", text):
        return "a time"
    text = IDS.sub(lambda m: f"<{m.group(1)}>", text)
    text = MAC.sub("<mac>", text)
    text = NET6.sub(lambda m: f"<IPv6{m.group(2) or ''}>", text)
    return ADDRESS.sub("<address>", text)


def differences(ours, theirs, path=""):
    """Yields (path, what) for what theirs has and ours has not, or has otherwise."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(theirs):
            if key not in ours:
                if theirs[key] not in ("", [], {}):
                    yield f"{path}.{key}", "moto has it, ours has not"
            else:
                yield from differences(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            yield path, f"ours has {len(ours)}, moto {len(theirs)}"
        for one, other in zip(ours, theirs):
            yield from differences(one, other, f"{path}[]")
    elif ours != theirs:
        yield path, f"ours {ours!r}, moto {theirs!r}"


def main():
    endpoint = sys.argv[1]
    with urllib.request.urlopen(f"{endpoint}/_sim/actions") as answer:
        served = set(json.load(answer))
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        faults, used, asked, compared = run(
            Side("ours", endpoint), Side("moto", f"http://{host}:{port}"))
    finally:
        moto.stop()
    faults += [f"explained in vain: {e}" for i, e in enumerate(EXPLAINED) if i not in used]
    faults += [f"not in the scenario: {action}" for action in sorted(served - asked)]
    for fault in faults:
        print(fault)
    print(f"{len(asked)} operations, {compared} answers compared, "
          f"{len(used)} differences explained, {len(faults)} not")
    sys.exit(1 if faults else 0)


def run(ours, theirs):
    faults, used, asked, compared = [], set(), set(), 0
    for label, operation, parameters, keep in steps():
        mine = ours.answer(operation, parameters, keep)
        action = ours.ec2.meta.method_to_api_mapping[operation]
        asked.add(action)
        if "error" in mine and not in_moto(action):
            faults.append(f"{label}: {mine['error']}, and moto has no word in it")
        faults += [f"{label}: {fault}" for fault in ours.check_raw(operation)]
        if not in_moto(action):
            continue
        other = theirs.answer(operation, parameters, keep)
        compared += 1
        for path, what in differences(mine, other):
            because = [i for i, (where, which, _) in enumerate(EXPLAINED)
                       if re.fullmatch(where, label) and re.fullmatch(which, path)]
            used.update(because)
            if not because:
                faults.append(f"{label} ({operation}) {path}: {what}")
    return faults, used, asked, compared


if __name__ == "__main__":
    main()
