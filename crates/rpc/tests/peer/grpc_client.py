#!/usr/bin/env python3
"""An independent judge of the daemon's socket: Google's gRPC client speaks to it.

    python3 -m venv venv && venv/bin/pip install grpcio grpcio-tools
    venv/bin/python crates/rpc/tests/peer/grpc_client.py /var/run/aws-node/ipamd.sock

Compiles this crate's .proto files, allocates an address for a sandbox of its own, asks again for
the same, releases it, releases it once more, and asks for the health. Prints a line per claim;
the exit status is 1 if one does not hold. Run it as root or as the daemon's user.
"""

import importlib
import pathlib
import sys
import tempfile

import grpc
from google.protobuf import empty_pb2
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
TIMEOUT = 10
# Since 1.58 this client calls a unix socket by its escaped path (grpc/grpc#38142), which is no
# authority; Go's, which upstream's programs use, says localhost.
OPTIONS = [("grpc.default_authority", "localhost")]
SANDBOX = {"network_name": "aws-cni", "container_id": "peer-test", "if_name": "eth0"}

failed = False


def claim(text, holds):
    global failed
    failed |= not holds
    print(f"{'ok  ' if holds else 'FAIL'}  {text}")


def compile_protos(folder):
    wanted = [str(path) for path in sorted(PROTO.glob("*.proto"))]
    import grpc_tools

    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{PROTO}", f"-I{well_known}"]
    arguments += [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(arguments + wanted) != 0:
        sys.exit("cannot compile the .proto files")
    sys.path.insert(0, str(folder))
    names = ["rpc_pb2", "rpc_pb2_grpc", "health_pb2", "health_pb2_grpc"]
    return [importlib.import_module(name) for name in names]


def refusal(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    return None


def main(socket):
    with tempfile.TemporaryDirectory() as folder:
        rpc, rpc_stubs, health, health_stubs = compile_protos(folder)
        with grpc.insecure_channel(f"unix:{socket}", options=OPTIONS) as channel:
            pods = rpc_stubs.CNIBackendStub(channel)
            judge_pods(rpc, pods)
            config = rpc_stubs.ConfigServerBackendStub(channel)
            config.GetNetworkPolicyConfigs(empty_pb2.Empty(), timeout=TIMEOUT)
            claim("GetNetworkPolicyConfigs is answered", True)
            judge_health(health, health_stubs.HealthStub(channel))
            reflection = channel.unary_unary("/grpc.reflection.v1.ServerReflection/X")
            error = refusal(lambda: reflection(b"", timeout=TIMEOUT))
            claim("there is no reflection", error and error.code() == grpc.StatusCode.UNIMPLEMENTED)
    return 1 if failed else 0


def judge_pods(rpc, pods):
    add = rpc.AddNetworkRequest(k8s_pod_name="peer", k8s_pod_namespace="default", **SANDBOX)
    first = pods.AddNetwork(add, timeout=TIMEOUT)
    claim("AddNetwork succeeds", first.success and len(first.ip_allocation_metadata) == 1)
    again = pods.AddNetwork(add, timeout=TIMEOUT)
    claim("the same request gets the same reply", again == first)
    delete = rpc.DelNetworkRequest(reason="PodDeleted", **SANDBOX)
    released = pods.DelNetwork(delete, timeout=TIMEOUT)
    same = list(released.ip_allocation_metadata) == list(first.ip_allocation_metadata)
    claim("DelNetwork names what was held", released.success and same)
    error = refusal(lambda: pods.DelNetwork(delete, timeout=TIMEOUT))
    told = error is not None and "datastore: unknown pod" in error.details()
    claim("a second DelNetwork is refused in upstream's words", told)
    claim("... with upstream's code", told and error.code() == grpc.StatusCode.UNKNOWN)


def judge_health(health, stub):
    for service in ["", "grpc.health.v1.aws-node"]:
        answer = stub.Check(health.HealthCheckRequest(service=service), timeout=TIMEOUT)
        claim(f"health of {service!r} is SERVING", answer.status == 1)
    error = refusal(lambda: stub.Check(health.HealthCheckRequest(service="x"), timeout=TIMEOUT))
    claim("health of others is NOT_FOUND", error and error.code() == grpc.StatusCode.NOT_FOUND)
    watched = next(stub.Watch(health.HealthCheckRequest(), timeout=TIMEOUT))
    claim("health can be watched", watched.status == 1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
