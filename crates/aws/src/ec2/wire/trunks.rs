//! `DescribeTrunkInterfaceAssociations`: which branch ENIs a trunk ENI carries.

use super::{Filter, Set, Tag};

request! {
    /// Asks which branch ENIs belong to which trunk ENIs, page by page.
    "DescribeTrunkInterfaceAssociations"
    DescribeTrunkInterfaceAssociationsRequest -> DescribeTrunkInterfaceAssociationsResponse {
        /// Only these associations.
        association_ids: Vec<String> = "AssociationId",
        /// Only associations that meet every condition: `gre-key` and `interface-protocol` are
        /// all there are.
        filters: Vec<Filter> = "Filter",
        /// Where the previous page ended.
        next_token: Option<String> = "NextToken",
        /// Page size, 5 to 255.
        max_results: Option<i32> = "MaxResults",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// Associations.
    DescribeTrunkInterfaceAssociationsResponse {
        /// The associations, in no particular order.
        interface_associations: Set<TrunkInterfaceAssociation> = "interfaceAssociationSet",
        /// Where the next page begins; absent or empty on the last one.
        next_token: Option<String> = "nextToken",
    }
}

element! {
    /// A branch ENI on a trunk ENI.
    TrunkInterfaceAssociation {
        /// `trunk-assoc-…`.
        association_id: Option<String> = "associationId",
        /// The branch ENI.
        branch_interface_id: Option<String> = "branchInterfaceId",
        /// The trunk ENI.
        trunk_interface_id: Option<String> = "trunkInterfaceId",
        /// `VLAN` or `GRE`.
        interface_protocol: Option<String> = "interfaceProtocol",
        /// The VLAN on the trunk's link, with `VLAN`.
        vlan_id: Option<i32> = "vlanId",
        /// The key, with `GRE`.
        gre_key: Option<i32> = "greKey",
        /// The tags.
        tags: Set<Tag> = "tagSet",
    }
}
