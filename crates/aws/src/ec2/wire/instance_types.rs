//! `DescribeInstanceTypes` and what it says about networking.

use super::{Filter, Set};

request! {
    /// Asks what instance types can do, page by page.
    "DescribeInstanceTypes" DescribeInstanceTypesRequest -> DescribeInstanceTypesResponse {
        /// Only these types; an unknown one fails the call.
        instance_types: Vec<String> = "InstanceType",
        /// Only types that meet every condition.
        filters: Vec<Filter> = "Filter",
        /// Where the previous page ended.
        next_token: Option<String> = "NextToken",
        /// Page size, 5 to 100.
        max_results: Option<i32> = "MaxResults",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// Instance types.
    DescribeInstanceTypesResponse {
        /// The types, in no particular order.
        instance_types: Set<InstanceTypeInfo> = "instanceTypeSet",
        /// Where the next page begins; absent or empty on the last one.
        next_token: Option<String> = "nextToken",
    }
}

element! {
    /// What an instance type can do.
    InstanceTypeInfo {
        /// For example `m5.large`.
        instance_type: Option<String> = "instanceType",
        /// Whether it is offered to new customers.
        current_generation: Option<bool> = "currentGeneration",
        /// Whether there is no hypervisor.
        bare_metal: Option<bool> = "bareMetal",
        /// `nitro` or `xen`; absent on bare metal.
        hypervisor: Option<String> = "hypervisor",
        /// Processors.
        v_cpu_info: Option<VCpuInfo> = "vCpuInfo",
        /// Memory.
        memory_info: Option<MemoryInfo> = "memoryInfo",
        /// Networking.
        network_info: Option<NetworkInfo> = "networkInfo",
    }
}

element! {
    /// Processors of an instance type.
    VCpuInfo {
        /// How many virtual processors.
        default_v_cpus: Option<i32> = "defaultVCpus",
    }
}

element! {
    /// Memory of an instance type.
    MemoryInfo {
        /// In mebibytes.
        size_in_mi_b: Option<i64> = "sizeInMiB",
    }
}

element! {
    /// Networking of an instance type.
    NetworkInfo {
        /// In words, for example `Up to 10 Gigabit`.
        network_performance: Option<String> = "networkPerformance",
        /// ENIs over all network cards.
        maximum_network_interfaces: Option<i32> = "maximumNetworkInterfaces",
        /// Network cards.
        maximum_network_cards: Option<i32> = "maximumNetworkCards",
        /// The card an ENI goes to when none is named.
        default_network_card_index: Option<i32> = "defaultNetworkCardIndex",
        /// The cards.
        network_cards: Set<NetworkCardInfo> = "networkCards",
        /// IPv4 addresses per ENI, the primary included; a prefix counts as one.
        ipv4_addresses_per_interface: Option<i32> = "ipv4AddressesPerInterface",
        /// IPv6 addresses per ENI; a prefix counts as one.
        ipv6_addresses_per_interface: Option<i32> = "ipv6AddressesPerInterface",
        /// Whether it can do IPv6.
        ipv6_supported: Option<bool> = "ipv6Supported",
        /// `unsupported`, `supported` or `required`.
        ena_support: Option<String> = "enaSupport",
        /// Whether it can have EFA interfaces.
        efa_supported: Option<bool> = "efaSupported",
    }
}

element! {
    /// A network card of an instance type.
    NetworkCardInfo {
        /// The card's number, from 0.
        network_card_index: Option<i32> = "networkCardIndex",
        /// In words.
        network_performance: Option<String> = "networkPerformance",
        /// ENIs on this card.
        maximum_network_interfaces: Option<i32> = "maximumNetworkInterfaces",
    }
}
