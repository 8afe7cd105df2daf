//! From environment and standard input to standard output and exit status.

use std::io::Read;
use std::time::Duration;

use crate::error::Error;
use crate::ipamd::Ipamd;
use crate::job::Job;
use crate::log::Record;
use crate::policy::{self, PolicyAgent};
use crate::spec::{Environment, ErrorObject, NetConf, SpecVersion, Verb, supported_versions};
use crate::{add, check, del, gc, settings, status};

/// The plugin, with how long it waits for others.
#[derive(Clone, Copy, Debug)]
pub struct Plugin {
    /// For ipamd's answer to ADD, DEL and GC. ipamd itself may wait a few seconds for an address.
    pub ipamd: Duration,
    /// For the network-policy agent.
    pub policy: Duration,
    /// For ipamd's answer to STATUS, which runtimes ask often.
    pub status: Duration,
}

impl Default for Plugin {
    fn default() -> Self {
        Self {
            ipamd: Duration::from_secs(10),
            policy: Duration::from_secs(10),
            status: Duration::from_secs(2),
        }
    }
}

/// What the process is to leave behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// For standard output: a result, an error object, or nothing.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
    /// Exit status: 0, or 1 with an error object.
    pub status: u8,
}

impl Plugin {
    /// Does what the environment asks for.
    #[must_use]
    pub fn run(&self, environment: &Environment, input: &mut dyn Read) -> Outcome {
        let verb = match environment.verb() {
            Ok(Some(Verb::Version)) => return Outcome::printed(supported_versions()),
            Ok(Some(verb)) => verb,
            Ok(None) => return Outcome::about(),
            Err(error) => return Outcome::failed(&error, SpecVersion::LATEST),
        };
        let mut record = Record::begin(verb);
        let (version, done) = match configuration(verb, environment, input) {
            Ok(conf) => (
                conf.version,
                self.perform(verb, environment, &conf, &mut record),
            ),
            Err(error) => (SpecVersion::LATEST, Err(error)),
        };
        let stderr = record.finish(done.as_ref().err());
        let outcome = match done {
            Ok(stdout) => Outcome::printed(stdout),
            Err(error) => Outcome::failed(&error, version),
        };
        Outcome { stderr, ..outcome }
    }

    fn perform(
        &self,
        verb: Verb,
        environment: &Environment,
        conf: &NetConf,
        record: &mut Record,
    ) -> Result<String, Error> {
        match settings::log(conf) {
            Ok(log) => record.send_to(log),
            // A sandbox must go, whatever became of the configuration since.
            Err(_) if verb == Verb::Del => {}
            Err(error) => return Err(error),
        }
        let nothing = |()| String::new();
        let on = Subject {
            plugin: *self,
            environment,
            conf,
            record,
        };
        match verb {
            Verb::Add => on.sandbox(add::add),
            Verb::Del => on.sandbox(|job| del::del(job).map(nothing)),
            Verb::Check => on.sandbox(|job| check::check(job).map(nothing)),
            Verb::Gc => {
                let socket = settings::socket(conf)?;
                gc::gc(conf, &socket, self.ipamd, on.record).map(nothing)
            }
            Verb::Status => {
                let socket = settings::socket(conf)?;
                status::status(&socket, self.status).map(nothing)
            }
            Verb::Version => Ok(supported_versions()),
        }
    }
}

/// What a verb is carried out with.
struct Subject<'a> {
    plugin: Plugin,
    environment: &'a Environment,
    conf: &'a NetConf,
    record: &'a mut Record,
}

impl Subject<'_> {
    /// Carries out a verb on the sandbox interface the environment names.
    fn sandbox(
        self,
        verb: impl FnOnce(&mut Job<'_>) -> Result<String, Error>,
    ) -> Result<String, Error> {
        let Self {
            plugin,
            environment,
            conf,
            record,
        } = self;
        let sandbox = environment.sandbox()?;
        record.field("containerId", sandbox.container_id.as_str());
        record.field("ifName", sandbox.if_name.as_str());
        record.field("pod", sandbox.args.pod.to_string());
        let socket = settings::socket(conf)?;
        let policy = PolicyAgent {
            socket: socket.with_file_name(policy::SOCKET),
            deadline: plugin.policy,
        };
        let ipamd = Ipamd {
            socket,
            deadline: plugin.ipamd,
            network: &conf.name,
            sandbox: &sandbox,
        };
        verb(&mut Job {
            environment,
            conf,
            sandbox: &sandbox,
            ipamd,
            policy,
            record,
        })
    }
}

/// The network configuration, once it is clear that the verb can be carried out with it.
fn configuration(
    verb: Verb,
    environment: &Environment,
    input: &mut dyn Read,
) -> Result<NetConf, Error> {
    environment.require(verb)?;
    let mut conf = NetConf::read(input)?;
    // A sandbox must go, whatever became of the result of its ADD since.
    if verb != Verb::Del
        && let Some(error) = conf.bad_prev_result.take()
    {
        return Err(error);
    }
    let since = match verb {
        Verb::Add | Verb::Del | Verb::Version => SpecVersion::V0_1_0,
        Verb::Check => SpecVersion::V0_4_0,
        Verb::Gc | Verb::Status => SpecVersion::V1_1_0,
    };
    if conf.version < since {
        return Err(Error::VerbTooNew {
            verb: verb.as_str(),
            version: conf.version,
            since,
        });
    }
    Ok(conf)
}

impl Outcome {
    fn printed(stdout: String) -> Self {
        Self {
            stdout,
            stderr: String::new(),
            status: 0,
        }
    }

    fn failed(error: &Error, version: SpecVersion) -> Self {
        let object = ErrorObject {
            cni_version: version.as_str(),
            code: error.code(),
            msg: error.to_string(),
            details: error.details(),
        };
        Self {
            stdout: object.render(),
            stderr: String::new(),
            status: 1,
        }
    }

    /// For a person who runs the plugin by hand.
    fn about() -> Self {
        let stderr = format!(
            "aws-cni {}: CNI plugin for pods with VPC addresses. A container runtime runs it and \
             sets CNI_COMMAND.\nCNI versions: {}\n",
            env!("CARGO_PKG_VERSION"),
            SpecVersion::list()
        );
        Self {
            stdout: String::new(),
            stderr,
            status: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn version_is_answered_without_reading_anything() {
        let outcome = run("VERSION", b"not JSON");
        let versions: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let expected = json!({
            "cniVersion": "1.1.0",
            "supportedVersions": ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
        });
        assert_eq!((outcome.status, versions), (0, expected));
    }

    #[test]
    fn a_person_who_runs_it_is_told_what_it_is() {
        let outcome = run("", b"");
        assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""));
        assert!(outcome.stderr.contains("CNI plugin"));
    }

    #[test]
    fn an_error_speaks_the_version_of_its_caller() {
        let outcome = run(
            "STATUS",
            br#"{"cniVersion":"1.1.0","name":"n","ipamdSocket":"x"}"#,
        );
        let error: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(
            (&error["cniVersion"], &error["code"]),
            (&json!("1.1.0"), &json!(7))
        );
        assert_eq!(outcome.status, 1);
    }

    fn run(verb: &str, stdin: &[u8]) -> Outcome {
        let environment = Environment::from_iter([("CNI_COMMAND", verb), ("CNI_PATH", "/x")]);
        Plugin::default().run(&environment, &mut &*stdin)
    }
}
