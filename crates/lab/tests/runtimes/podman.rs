//! podman with its CNI backend, on a node of the lab: storage, state and configuration of its own.

use std::ffi::OsString;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use vpc_lab::demo::stage::Demo;

use crate::common::bin_dir;

const IMAGE: &str = "localhost/busybox:1";

/// Prints the container's address, then asks the other node for an answer.
const SCRIPT: &str = "ip -4 -o address show dev eth0 && ping -c 5 -W 1";

/// A podman on the first node.
pub(crate) struct Podman {
    folder: tempfile::TempDir,
    node: PathBuf,
}

impl Podman {
    /// Its folders, and an image made of the static busybox; or why that cannot be here.
    pub(crate) fn prepare(demo: &Demo) -> Result<Podman, String> {
        for (program, package) in [
            ("podman", "podman"),
            ("runc", "runc"),
            ("busybox", "busybox-static"),
        ] {
            which(program).ok_or_else(|| format!("there is no {program} (package {package})"))?;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let networks = folder.path().join("net.d");
        fs::create_dir(&networks).expect("a folder");
        let conflist = demo.node(1).conflist();
        let text = fs::read(conflist).expect("the daemon's conflist");
        let mut list: Value = serde_json::from_slice(&text).expect("JSON");
        // podman reads the MAC addresses in results.
        list["plugins"][0]["resultEncoding"] = Value::from("plain");
        fs::write(networks.join("10-aws.conflist"), list.to_string()).expect("a file");
        let text = format!(
            "[network]\nnetwork_backend = \"cni\"\ncni_plugin_dirs = [\"{}\"]\n\
             network_config_dir = \"{}\"\ndefault_network = \"aws-cni\"\n\
             [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime = \"runc\"\n\
             [containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n",
            bin_dir().display(),
            networks.display()
        );
        fs::write(folder.path().join("containers.conf"), text).expect("a file");
        let podman = Podman {
            folder,
            node: demo.node(1).netns().to_owned(),
        };
        let backend = podman.blocking(&["info", "--format", "{{.Host.NetworkBackend}}"])?;
        if backend.trim() != "cni" {
            return Err(format!("this podman has no CNI backend, only {backend}"));
        }
        podman.import()?;
        Ok(podman)
    }

    fn import(&self) -> Result<(), String> {
        let root = self.folder.path().join("image");
        fs::create_dir_all(root.join("bin")).expect("a folder");
        let busybox = which("busybox").expect("busybox, as looked for before");
        fs::copy(busybox, root.join("bin/busybox")).expect("a copy");
        for applet in ["sh", "ip", "ping"] {
            let link = root.join("bin").join(applet);
            std::os::unix::fs::symlink("busybox", link).expect("a link");
        }
        let archive = self.folder.path().join("image.tar");
        let packed = Command::new("tar")
            .arg("-cf")
            .arg(&archive)
            .arg("-C")
            .arg(&root)
            .arg(".")
            .status();
        assert!(packed.expect("tar").success());
        let archive = archive.to_string_lossy().into_owned();
        self.blocking(&["import", &archive, IMAGE]).map(|_| ())
    }

    /// Runs one container: it says its address and is answered by `neighbour`. Its address, or
    /// what went wrong.
    pub(crate) async fn run_to_its_end(
        &self,
        number: usize,
        neighbour: Ipv4Addr,
    ) -> Result<Ipv4Addr, String> {
        let (name, script) = (format!("c{number}"), format!("{SCRIPT} {neighbour}"));
        let mut command = self.command(&[
            "run",
            "--rm",
            "--name",
            &name,
            "--cap-add",
            "NET_RAW",
            IMAGE,
            "/bin/sh",
            "-c",
            &script,
        ]);
        let run = tokio::task::spawn_blocking(move || output(&mut command)).await;
        let said = run.expect("a task that ends")?;
        let address = said.split_whitespace().nth(3).unwrap_or_default();
        let address = address.split('/').next().unwrap_or_default();
        address
            .parse()
            .map_err(|_| format!("container {name} has no address: {said}"))
    }

    fn blocking(&self, arguments: &[&str]) -> Result<String, String> {
        output(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let at = |name: &str| self.folder.path().join(name).into_os_string();
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.node.display()));
        command.args(["--", "podman", "--storage-driver", "overlay"]);
        for (option, folder) in [
            ("--root", "root"),
            ("--runroot", "run"),
            ("--tmpdir", "tmp"),
        ] {
            command.args([OsString::from(option), at(folder)]);
        }
        command
            .args(arguments)
            .env("CONTAINERS_CONF", at("containers.conf"))
            .env("HOME", self.folder.path());
        command
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // Containers, images and the mount of its storage; the folder goes by itself.
        let _ = self.blocking(&["system", "reset", "--force"]);
        let storage = self.folder.path().join("root/overlay");
        let _ = Command::new("umount")
            .arg(storage)
            .stderr(Stdio::null())
            .status();
    }
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!(
            "podman failed: {} {}",
            text(&output.stdout),
            text(&output.stderr)
        ))
    }
}

/// A program that is installed.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let standard = ["/usr/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    std::env::split_paths(&folders)
        .chain(standard)
        .map(|folder| folder.join(Path::new(program)))
        .find(|path| path.is_file())
}
