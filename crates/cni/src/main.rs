//! `aws-cni`: executed by a container runtime, see [`vpc_cni`].

use std::io::{self, Write};
use std::process::ExitCode;

use vpc_cni::Plugin;
use vpc_cni::spec::{Environment, ErrorObject, SpecVersion};

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        print(&internal_error(panic), &panic.to_string());
    }));
    let outcome = Plugin::default().run(&Environment::of_process(), &mut io::stdin().lock());
    print(&outcome.stdout, &outcome.stderr);
    ExitCode::from(outcome.status)
}

/// What a runtime gets for a bug of ours: an error object like any other.
fn internal_error(panic: &std::panic::PanicHookInfo<'_>) -> String {
    let object = ErrorObject {
        cni_version: SpecVersion::LATEST.as_str(),
        code: 199,
        msg: "internal error in aws-cni; report it with the details".to_owned(),
        details: panic.to_string(),
    };
    object.render()
}

fn print(stdout: &str, stderr: &str) {
    // A runtime that has closed its end is not there to be told.
    let _ = io::stdout().write_all(stdout.as_bytes());
    let _ = io::stderr().write_all(stderr.as_bytes());
}
