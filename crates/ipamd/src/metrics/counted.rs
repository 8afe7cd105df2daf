//! The series of what is counted while the daemon runs.

use super::catalogue as series;
use super::tally::Tally;
use super::text::Exposition;

/// Upstream's words for errors of security groups for pods, which are not supported yet.
const POD_ENI: [&str; 2] = ["nodeInit", "tryEnableSecurityGroupsForPods"];

pub(super) fn write(text: &mut Exposition, tally: &Tally) {
    text.single(&series::ADD_REQUESTS, tally.add_requests.get());
    text.counters(&series::DEL_REQUESTS, &tally.del_requests);
    text.single(&series::NO_ADDRESS, tally.no_address.get());
    text.counters(&series::IPAMD_ERRORS, &tally.errors);
    text.counters(&series::RECONCILED, &tally.reconciled);
    text.single(&series::FORCE_REMOVED_ENIS, tally.force_removed_enis.get());
    text.single(&series::FORCE_REMOVED_IPS, tally.force_removed_ips.get());
    let mut family = text.family(&series::POD_ENI_ERRORS);
    for action in POD_ENI {
        family.sample(&[action], 0);
    }
    // A start that fails ends the daemon: nobody could scrape it.
    let mut family = text.family(&series::STARTUP);
    family.durations(&["true", "false", ""], &tally.startup);
    let mut family = text.family(&series::NODE_INIT);
    family.durations(&["true"], &tally.node_init);
    text.family(&series::CONNMARK_BACKEND)
        .sample(&["nftables"], 1);
    text.counters(&series::CONNMARK_RECONCILES, &tally.host_checks);
    text.histograms(&series::ADD_SECONDS, &tally.adds);
    text.histograms(&series::DEL_SECONDS, &tally.dels);
    text.histograms(&series::WAIT_SECONDS, &tally.waits);
    text.counters(&series::REPAIRS, &tally.repairs);
    text.single(&series::JOURNAL_SYNCS, tally.journal_syncs.get());
    text.single(&series::JOURNAL_BYTES, tally.journal_bytes.get());
    text.single(&series::LOG_REPEATS, tally.log_repeats.get());
}
