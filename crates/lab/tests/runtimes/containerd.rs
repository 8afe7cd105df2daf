//! containerd on a node of the lab, driven by its CRI socket as kubelet drives it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vpc_lab::demo::stage::Demo;

use crate::common::bin_dir;
use crate::podman::which;

const IMAGE: &str = "docker.io/local/busybox:1";
/// Where distributions put the CNI project's plugins.
const PLUGINS: &str = "/usr/lib/cni";
/// Ours comes first; containerd itself calls for loopback.
const OTHERS: [&str; 4] = ["loopback", "portmap", "bandwidth", "tuning"];
/// How long it may take to serve.
const START: Duration = Duration::from_secs(30);

/// A containerd on the first node, with folders of its own.
pub(crate) struct Containerd {
    folder: tempfile::TempDir,
    python: PathBuf,
    process: Child,
}

impl Containerd {
    /// It serves, with an image made of the static busybox; or why that cannot be here.
    pub(crate) fn prepare(demo: &Demo) -> Result<Containerd, String> {
        for (program, package) in [
            ("containerd", "containerd"),
            ("ctr", "containerd"),
            ("runc", "runc"),
            ("busybox", "busybox-static"),
        ] {
            which(program).ok_or_else(|| format!("there is no {program} (package {package})"))?;
        }
        let venv = std::env::var_os("VPC_PEERS_VENV").unwrap_or_default();
        let python = Path::new(&venv).join("bin/python");
        if !python.is_file() {
            return Err("the CRI client could not be installed".to_owned());
        }
        let folder = tempfile::tempdir().expect("a folder");
        lay_out(folder.path(), demo)?;
        let log = fs::File::create(folder.path().join("log")).expect("a file");
        // Its mounts are its own, and go with it.
        let process = Command::new("nsenter")
            .arg(format!("--net={}", demo.node(1).netns().display()))
            .args(["--", "unshare", "--mount", "--propagation", "private"])
            .args(["containerd", "--config"])
            .arg(folder.path().join("config.toml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a program that starts");
        let containerd = Containerd {
            folder,
            python,
            process,
        };
        containerd.wait()?;
        containerd.import()?;
        Ok(containerd)
    }

    fn wait(&self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let asked = self.cri(&["clean", &self.at("socket")]);
            if asked.is_ok() || start.elapsed() > START {
                return asked.map(|_| ());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn import(&self) -> Result<(), String> {
        let busybox = which("busybox").expect("busybox, as looked for before");
        let archive = self.at("image.tar");
        self.cri(&["image", &archive, &busybox.to_string_lossy(), IMAGE])?;
        let mut ctr = Command::new("ctr");
        ctr.args(["--address", &self.at("socket"), "--namespace", "k8s.io"]);
        said(ctr.args(["images", "import", &archive])).map(|_| ())
    }

    /// Runs pods to their end, some at once: what each has to say.
    pub(crate) async fn pods(
        &self,
        all: usize,
        at_once: usize,
        neighbour: Ipv4Addr,
    ) -> Result<Vec<Value>, String> {
        let (all, at_once, neighbour) =
            (all.to_string(), at_once.to_string(), neighbour.to_string());
        let socket = self.at("socket");
        let lines = self.command(&["pods", &socket, IMAGE, &all, &at_once, &neighbour]);
        let lines = aside(lines).await?;
        let lines = lines.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().map_err(|e| e.to_string())
    }

    /// What a pod serves at a port of the first node, as the second node gets it.
    pub(crate) async fn served(&self, demo: &Demo, host_port: u16) -> Result<String, String> {
        aside(self.command(&[
            "served",
            &self.at("socket"),
            IMAGE,
            &host_port.to_string(),
            &demo.node(1).primary_address().to_string(),
            &demo.node(2).netns().to_string_lossy(),
        ]))
        .await
    }

    /// One container by `ctr run --cni`, which has the folders of CNI built in: what it says when
    /// it asks `neighbour` for an answer.
    pub(crate) async fn ctr_run(
        &self,
        demo: &Demo,
        name: &str,
        neighbour: Ipv4Addr,
    ) -> Result<String, String> {
        let script = "mount --bind \"$1\" /etc/cni/net.d && mount --bind \"$2\" \"$3\" && shift 3 \
                      && exec ctr \"$@\"";
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", demo.node(1).netns().display()))
            .args(["--", "unshare", "--mount", "--propagation", "private"])
            .args(["sh", "-ec", script, "sh"])
            .args([&self.at("net.d"), &self.at("bin"), PLUGINS])
            .args(["--address", &self.at("socket"), "--namespace", "k8s.io"])
            .args(["run", "--rm", "--cni", IMAGE, name])
            .args(["/bin/ping", "-c", "2", "-W", "2", &neighbour.to_string()]);
        aside(command).await
    }

    fn cri(&self, arguments: &[&str]) -> Result<String, String> {
        said(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/conformance/cri.py");
        let mut command = Command::new(&self.python);
        command.arg(script).args(arguments);
        command
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // Its shims outlive it, so the pods go first.
        let _ = self.cri(&["clean", &self.at("socket")]);
        let id = self.process.id().to_string();
        let _ = Command::new("kill").arg(id).status();
        let _ = self.process.wait();
    }
}

/// The configuration, and a folder of plugins: ours beside the CNI project's.
fn lay_out(folder: &Path, demo: &Demo) -> Result<(), String> {
    let plugins = folder.join("bin");
    let networks = folder.join("net.d");
    for made in [&plugins, &networks] {
        fs::create_dir(made).expect("a folder");
    }
    fs::copy(bin_dir().join("aws-cni"), plugins.join("aws-cni")).expect("a copy");
    for other in OTHERS {
        let program = Path::new(PLUGINS).join(other);
        if !program.is_file() {
            return Err(format!(
                "there is no {} (package containernetworking-plugins)",
                program.display()
            ));
        }
        // No link: `ctr` sees this folder in the place of that one.
        fs::copy(program, plugins.join(other)).expect("a copy");
    }
    let text = fs::read(demo.node(1).conflist()).expect("the daemon's conflist");
    let mut list: Value = serde_json::from_slice(&text).expect("JSON");
    let chain = list["plugins"].as_array_mut().expect("a list");
    chain.truncate(1);
    chain.extend([
        json!({ "type": "portmap", "snat": true, "capabilities": { "portMappings": true } }),
        json!({ "type": "bandwidth", "capabilities": { "bandwidth": true } }),
        json!({ "type": "tuning", "sysctl": { "net.core.somaxconn": "500" } }),
    ]);
    fs::write(networks.join("10-aws.conflist"), list.to_string()).expect("a file");
    let at = |name: &str| folder.join(name).display().to_string();
    let config = format!(
        "version = 2\nroot = {root:?}\nstate = {state:?}\n[grpc]\naddress = {socket:?}\n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = {IMAGE:?}\n\
         restrict_oom_score_adj = true\ndisable_apparmor = true\n\
         [plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = {bin:?}\nconf_dir = {conf:?}\n\
         [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n\
         runtime_type = \"io.containerd.runc.v2\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\n\
         SystemdCgroup = false\n",
        root = at("root"),
        state = at("state"),
        socket = at("socket"),
        bin = at("bin"),
        conf = at("net.d"),
    );
    fs::write(folder.join("config.toml"), config).expect("a file");
    Ok(())
}

/// Runs a program while the lab goes on.
async fn aside(mut command: Command) -> Result<String, String> {
    let run = tokio::task::spawn_blocking(move || said(&mut command)).await;
    run.expect("a task that ends")
}

fn said(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{} {}", text(&output.stdout), text(&output.stderr)))
    }
}
