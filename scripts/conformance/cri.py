"""Drives a container runtime by its CRI socket, as kubelet does.

    cri.py image FILE BUSYBOX NAME     an image archive of the static busybox, for `ctr images import`
    cri.py pods SOCKET IMAGE ALL AT_ONCE NEIGHBOUR
                                       starts and stops so many pods, some at once; a line of JSON
                                       for each. In each pod a container asks NEIGHBOUR for an
                                       answer before the pod goes
    cri.py served SOCKET IMAGE HOST_PORT ADDRESS NETNS
                                       a pod that serves at a port of its node; what ADDRESS says
                                       there to somebody in another network namespace
    cri.py clean SOCKET                stops and removes every pod
"""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from cri_api.v1 import api_pb2 as api
from cri_api.v1 import api_pb2_grpc

APPLETS = ("sh", "sleep", "ping", "ip")
FOREVER = ["/bin/sleep", "2147483647"]
SERVED = "served by the pod"
SERVE = ["/bin/sh", "-c", f"busybox mkdir /www && echo '{SERVED}' > /www/index.html && "
                          "exec busybox httpd -f -p 8080 -h /www"]
ASK = ("import http.client, sys; to = http.client.HTTPConnection(sys.argv[1], sys.argv[2], "
       "timeout=2); to.request('GET', '/'); print(to.getresponse().read().decode())")
# For each call; the plugin's own deadlines are shorter.
PATIENCE = 120


def image(path, busybox, name):
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.add(busybox, "bin/busybox")
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    layer = layer.getvalue()
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": FOREVER},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }).encode()
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    members = {"layer.tar": layer, "config.json": config,
               "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(path, "w") as archive:
        for member, content in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


class Runtime:
    """A container runtime's side of CRI."""

    def __init__(self, socket):
        self.stub = api_pb2_grpc.RuntimeServiceStub(grpc.insecure_channel(
            f"unix://{socket}", options=[("grpc.default_authority", "localhost")]))

    def call(self, method, request):
        return getattr(self.stub, method)(request, timeout=PATIENCE)

    def pod(self, number, name, neighbour):
        """One pod's whole life; what there is to say of it."""
        config = pod_config(number)
        said = {"pod": config.metadata.name}
        sandbox = self.start(config)
        try:
            status = self.call("PodSandboxStatus",
                               api.PodSandboxStatusRequest(pod_sandbox_id=sandbox))
            said["address"] = status.status.network.ip
            container = self.container(sandbox, config, name, FOREVER)
            asked = self.call("ExecSync", api.ExecSyncRequest(
                container_id=container, cmd=["/bin/ping", "-c", "2", "-W", "2", neighbour],
                timeout=30))
            said["answered"] = asked.exit_code == 0
            if asked.exit_code != 0:
                said["output"] = (asked.stdout + asked.stderr).decode(errors="replace")
        finally:
            self.remove(sandbox)
        return said

    def served(self, name, host_port, address, netns):
        """What a pod serves at a port of its node, as somebody elsewhere gets it."""
        config = pod_config(0)
        config.port_mappings.append(api.PortMapping(
            protocol=api.TCP, container_port=8080, host_port=host_port))
        sandbox = self.start(config)
        try:
            self.container(sandbox, config, name, SERVE)
            ask = ["nsenter", f"--net={netns}", "--", sys.executable, "-c", ASK, address,
                   str(host_port)]
            for _ in range(20):
                answer = subprocess.run(ask, capture_output=True, text=True, check=False)
                if answer.returncode == 0:
                    return answer.stdout.strip()
                time.sleep(0.1)
            return answer.stderr.strip()
        finally:
            self.remove(sandbox)

    def start(self, config):
        return self.call("RunPodSandbox", api.RunPodSandboxRequest(config=config)).pod_sandbox_id

    def container(self, sandbox, config, name, command):
        container = self.call("CreateContainer", api.CreateContainerRequest(
            pod_sandbox_id=sandbox, sandbox_config=config, config=api.ContainerConfig(
                metadata=api.ContainerMetadata(name="one"), image=api.ImageSpec(image=name),
                command=command, linux=api.LinuxContainerConfig()))).container_id
        self.call("StartContainer", api.StartContainerRequest(container_id=container))
        return container

    def remove(self, sandbox):
        self.call("StopPodSandbox", api.StopPodSandboxRequest(pod_sandbox_id=sandbox))
        # Once more: kubelet repeats it.
        self.call("StopPodSandbox", api.StopPodSandboxRequest(pod_sandbox_id=sandbox))
        self.call("RemovePodSandbox", api.RemovePodSandboxRequest(pod_sandbox_id=sandbox))

    def sandboxes(self):
        return self.call("ListPodSandbox", api.ListPodSandboxRequest()).items


def pod_config(number):
    return api.PodSandboxConfig(
        metadata=api.PodSandboxMetadata(
            name=f"pod-{number}", namespace="default", uid=f"uid-{number}", attempt=0),
        linux=api.LinuxPodSandboxConfig())


def pods(socket, name, count, at_once, neighbour):
    runtime = Runtime(socket)

    def one(number):
        try:
            return runtime.pod(number, name, neighbour)
        except grpc.RpcError as error:
            return {"pod": f"pod-{number}", "error": error.details()}

    with ThreadPoolExecutor(at_once) as pool:
        for said in pool.map(one, range(count)):
            print(json.dumps(said), flush=True)


def main():
    match sys.argv[1:]:
        case ["image", path, busybox, name]:
            image(path, busybox, name)
        case ["pods", socket, name, count, at_once, neighbour]:
            pods(socket, name, int(count), int(at_once), neighbour)
        case ["served", socket, name, host_port, address, netns]:
            print(Runtime(socket).served(name, int(host_port), address, netns))
        case ["clean", socket]:
            runtime = Runtime(socket)
            for sandbox in runtime.sandboxes():
                runtime.remove(sandbox.id)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
