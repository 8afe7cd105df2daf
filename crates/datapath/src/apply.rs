//! Carries changes out.

use crate::error::{Error, Errors};
use crate::netlink::Netlink;
use crate::step::{Changes, Effect, Step};
use crate::sysctl;

/// How often a difference is applied before we say that somebody works against us.
const ATTEMPTS: u32 = 4;

/// Tries all steps. One result for each.
pub(crate) fn outcomes(
    netlink: &mut Netlink,
    steps: &[Step],
) -> Result<Vec<Result<Effect, Error>>, Error> {
    let attempts = netlink.attempt(steps)?;
    let refused = |step: &Step, source| Error::Refused {
        doing: step.to_string(),
        source,
    };
    Ok(attempts
        .into_iter()
        .zip(steps)
        .map(|(attempt, step)| attempt.result.map_err(|source| refused(step, source)))
        .collect())
}

/// Makes all steps and reports the first refusal, if any; the steps behind it were tried too.
pub(crate) fn steps(netlink: &mut Netlink, steps: &[Step]) -> Result<Vec<Effect>, Error> {
    outcomes(netlink, steps)?.into_iter().collect()
}

/// Makes all steps and collects what went wrong.
pub(crate) fn all_steps(netlink: &mut Netlink, steps: &[Step]) -> Vec<Error> {
    match outcomes(netlink, steps) {
        Err(error) => vec![error],
        Ok(outcomes) => outcomes.into_iter().filter_map(Result::err).collect(),
    }
}

/// Looks and changes until there is nothing left to change: some changes undo others (deleting
/// an address takes routes along). Returns one sentence per change made.
pub(crate) fn converge(
    what: &str,
    netlink: &mut Netlink,
    mut look: impl FnMut(&mut Netlink) -> Result<Changes, Error>,
) -> Result<Vec<String>, Error> {
    let mut made = Vec::new();
    for _ in 0..ATTEMPTS {
        let changes = look(netlink)?;
        if changes.is_empty() {
            return Ok(made);
        }
        changes.sysctls.iter().try_for_each(sysctl::write)?;
        steps(netlink, &changes.steps)?;
        made.extend(changes.describe());
    }
    let rest = look(netlink)?.describe();
    if rest.is_empty() {
        return Ok(made);
    }
    let (what, rest) = (what.to_owned(), rest.join("; "));
    Err(Error::NotConverged {
        what,
        attempts: ATTEMPTS,
        rest,
    })
}

/// Logs what could not be undone after a failure: the failure itself is what the caller hears.
pub(crate) fn log_failed_undo(failed: Vec<Error>) {
    if let Err(errors) = Errors::check(failed) {
        tracing::warn!(%errors, "could not undo everything after a failure");
    }
}
