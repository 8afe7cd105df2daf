//! Every series that is exported: name, type, labels and what it says. The exposition is written
//! from here, docs/metrics.md too, and tests hold both against upstream's list.

/// A series' type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A value that only grows.
    Counter,
    /// A sum and a count; no quantiles.
    Summary,
    /// Counts in buckets.
    Histogram,
}

/// A series, or a family of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Series {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its labels, in the order of their values.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
    /// Whether upstream exports it too.
    pub upstream: bool,
}

macro_rules! series {
    ($($id:ident $upstream:ident $kind:ident $name:literal [$($label:literal),*] $help:literal)+) => {
        $(pub(super) static $id: Series = Series {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
            upstream: series!(@ $upstream),
        };)+

        /// All of them, upstream's first.
        pub static ALL: &[&Series] = &[$(&$id),+];
    };
    (@ theirs) => { true };
    (@ ours) => { false };
}

series! {
    BUILD_INFO theirs Gauge "awscni_build_info" ["version", "goversion"]
        "Always 1. `goversion` is empty."
    ENI_MAX theirs Gauge "awscni_eni_max" []
        "The most ENIs the node can use for pods: what it may have, less those that are not for pods."
    IP_MAX theirs Gauge "awscni_ip_max" []
        "The most addresses for pods these can have, in the mode that is set."
    ENI_ALLOCATED theirs Gauge "awscni_eni_allocated" []
        "ENIs of the node that are for pods."
    TOTAL_IPS theirs Gauge "awscni_total_ip_addresses" []
        "Addresses for pods on these, those of prefixes included."
    ASSIGNED_IPS theirs Gauge "awscni_assigned_ip_addresses" []
        "Addresses that pods have."
    TOTAL_PREFIXES theirs Gauge "awscni_total_ipv4_prefixes" []
        "Prefixes on the node's ENIs."
    ASSIGNED_PER_CIDR theirs Gauge "awscni_assigned_ip_per_cidr" ["cidr"]
        "Addresses that pods have, per prefix; single addresses are counted under their subnet's network."
    ASSIGNED_PER_ENI theirs Gauge "awscni_assigned_ip_per_eni" ["eni"]
        "Addresses that pods have, per ENI."
    ADD_REQUESTS theirs Counter "awscni_add_ip_req_count" []
        "ADDs that the plugin asked for."
    DEL_REQUESTS theirs Counter "awscni_del_ip_req_count" ["reason"]
        "DELs, by the plugin's reason: PodDeleted, SetupNSFailed (an ADD that failed half-way), Queued (while ipamd was away), other."
    NO_ADDRESS theirs Counter "awscni_no_available_ip_addresses" []
        "ADDs that got no address in the time they may wait."
    IPAMD_ERRORS theirs Counter "awscni_ipamd_error_count" ["fn"]
        "What went wrong in the pool's work, by upstream's words for it."
    IN_PROGRESS theirs Gauge "awscni_ipamd_action_inprogress" ["fn"]
        "1 while the node is being learned (nodeInit), slots or ENIs are on their way (increaseDatastorePool), or on their way back (decreaseDatastorePool). nodeIPPoolReconcile is 0: a comparison is done between two scrapes."
    RECONCILED theirs Counter "awscni_reconcile_count" ["fn"]
        "What comparisons with instance metadata and EC2 changed in the pool: ENIs and slots that others added or took away."
    FORCE_REMOVED_ENIS theirs Counter "awscni_force_removed_enis" []
        "ENIs that were taken away while pods had addresses of them. ipamd itself never does."
    FORCE_REMOVED_IPS theirs Counter "awscni_force_removed_ips" []
        "Addresses that were taken away while pods had them. ipamd itself never does."
    POD_ENI_ERRORS theirs Counter "awscni_pod_eni_error_count" ["fn"]
        "Security groups for pods: not supported yet, so always 0."
    API_LATENCY theirs Summary "awscni_aws_api_latency_ms" ["api", "error", "status"]
        "Calls to EC2 in milliseconds. `status` is 200, or EC2's error code for the kind of failure."
    API_ERRORS theirs Counter "awscni_aws_api_error_count" ["api", "error"]
        "Calls to EC2 that failed, by EC2's error code for the kind of failure."
    UTILS_ERRORS theirs Counter "awscni_aws_utils_error_count" ["fn", "error"]
        "Deletions and detachments of ENIs that EC2 refused; `error` is its code, not a text."
    EC2_REQUESTS theirs Counter "awscni_ec2api_req_count" ["fn"]
        "Calls to EC2, by action."
    EC2_ERRORS theirs Counter "awscni_ec2api_error_count" ["fn"]
        "Calls to EC2 that failed, by action."
    STARTUP theirs Histogram "awscni_ipamd_startup_duration_seconds" ["success", "with_api_server", "failure_reason"]
        "From the daemon's start until the node could first serve a pod."
    NODE_INIT theirs Histogram "awscni_ipamd_node_initialization_duration_seconds" ["success"]
        "From the daemon's start until the node's ENIs were known and wired."
    CONNMARK_BACKEND theirs Gauge "awscni_connmark_backend" ["backend"]
        "1 for the backend in use; that is always nftables."
    CONNMARK_RECONCILES theirs Counter "awscni_connmark_reconcile_total" ["result"]
        "Rounds in which the nftables table, marks among it, was compared with what it should be."

    ADD_SECONDS ours Histogram "vpc_cni_add_duration_seconds" ["outcome"]
        "ADDs in ipamd, from the request to the answer, waiting included."
    DEL_SECONDS ours Histogram "vpc_cni_del_duration_seconds" ["outcome"]
        "DELs in ipamd, from the request to the answer."
    WAIT_SECONDS ours Histogram "vpc_cni_address_wait_seconds" ["outcome"]
        "How long ADDs that found no free address waited for one, or in vain."
    WAITING ours Gauge "vpc_cni_waiting_pods" []
        "ADDs that wait for an address now."
    READY ours Gauge "vpc_cni_ready" []
        "1 while the node can give a pod an address."
    ADDRESSES ours Gauge "vpc_cni_addresses" ["state", "subnet"]
        "Addresses for pods on the node's ENIs: allocated, free, cooling (resting after a release), leaving (on their way back)."
    UNPLACED ours Gauge "vpc_cni_unplaced_addresses" []
        "Addresses of pods that no ENI is known to have."
    ENIS ours Gauge "vpc_cni_enis" ["kind", "state"]
        "The node's ENIs; `state` is ready, returning, excluded (not for pods) or creating."
    COMING ours Gauge "vpc_cni_addresses_coming" []
        "Addresses that EC2 was asked for and that are not here yet."
    WANTED ours Gauge "vpc_cni_addresses_wanted" ["which"]
        "What the targets ask for at least: free addresses, and addresses in all (total)."
    HELD_BACK ours Gauge "vpc_cni_held_back" ["reason"]
        "What the pool would do and does not now, by reason; the names are those of `vpcctl explain`."
    EC2_SECONDS ours Histogram "vpc_cni_ec2_call_duration_seconds" ["action", "outcome"]
        "Calls to EC2 that left, each try for itself; `outcome` is ok or the kind of failure."
    EC2_RATE ours Gauge "vpc_cni_ec2_call_rate" ["action"]
        "Calls a second that the node's budget allows now; lower than usual after EC2 throttled."
    EC2_HELD_BACK ours Counter "vpc_cni_ec2_calls_held_back_total" ["action"]
        "Calls to EC2 that did not leave, because the budget would have let them go too late."
    EC2_WAITED ours Counter "vpc_cni_ec2_budget_wait_seconds_total" ["action"]
        "Time that calls to EC2 waited for the budget."
    REPAIRS ours Counter "vpc_cni_kernel_repairs_total" ["what"]
        "Rules, routes, links and nftables state that were not as they should be and were put right."
    TRANSLATED ours Counter "vpc_cni_translated_connections_total" []
        "Connections that left with the node's address. Counted by the kernel from the first start of ipamd on; absent where nothing is translated."
    CONNTRACK ours Gauge "vpc_cni_conntrack_entries" []
        "Connections that the node's connection tracking knows."
    CONNTRACK_LIMIT ours Gauge "vpc_cni_conntrack_limit" []
        "The most connections it may know."
    CONNTRACK_INSERT_FAILED ours Counter "vpc_cni_conntrack_insert_failed_total" []
        "New connections that were lost since another has the same addresses and ports: no source port was left, or two packets raced. Counted by the kernel since the node's start."
    CONNTRACK_DROPPED ours Counter "vpc_cni_conntrack_dropped_total" ["which"]
        "Connections that were lost at the limit: `new` ones that were not let in, `old` ones that made room. Counted by the kernel since the node's start."
    JOURNAL_SYNCS ours Counter "vpc_cni_journal_syncs_total" []
        "Times the journal of allocations was synced to the disk."
    JOURNAL_BYTES ours Gauge "vpc_cni_journal_bytes" []
        "The journal's size."
    LOG_REPEATS ours Counter "vpc_cni_log_lines_left_out_total" []
        "Log lines that were left out because they repeated what was written; the log says how many of which."
    CPU ours Counter "process_cpu_seconds_total" []
        "Processor time of the daemon."
    MEMORY ours Gauge "process_resident_memory_bytes" []
        "Memory of the daemon."
    STARTED ours Gauge "process_start_time_seconds" []
        "When the daemon started, in seconds since 1970."
    OPEN_FILES ours Gauge "process_open_fds" []
        "Open files of the daemon."
}

/// The tables of docs/metrics.md: upstream's series, then ours.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::new();
    for (title, upstream) in [("Upstream's series", true), ("Further series", false)] {
        text.push_str(&format!(
            "## {title}\n\n| series | type | labels | what it says |\n|---|---|---|---|\n"
        ));
        for series in ALL.iter().filter(|series| series.upstream == upstream) {
            let labels: Vec<String> = series
                .labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect();
            text.push_str(&format!(
                "| `{}` | {} | {} | {} |\n",
                series.name,
                series.kind.as_str(),
                labels.join(", "),
                series.help
            ));
        }
        text.push('\n');
    }
    text
}
