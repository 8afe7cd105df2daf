//! `AssociateTrunkInterface`, `DisassociateTrunkInterface` and
//! `DescribeTrunkInterfaceAssociations`: which branch ENIs a trunk ENI carries.

use super::{Filter, Set, Tag};

request! {
    /// Puts a branch ENI on a trunk ENI.
    "AssociateTrunkInterface"
    AssociateTrunkInterfaceRequest -> AssociateTrunkInterfaceResponse {
        /// The branch ENI.
        branch_interface_id: Option<String> = "BranchInterfaceId",
        /// The trunk ENI.
        trunk_interface_id: Option<String> = "TrunkInterfaceId",
        /// The VLAN of the branch on the trunk's link.
        vlan_id: Option<i32> = "VlanId",
        /// The key of the branch, where the trunk carries GRE.
        gre_key: Option<i32> = "GreKey",
        /// Names the request: repetitions have no effect.
        client_token: Option<String> = "ClientToken",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// The association.
    AssociateTrunkInterfaceResponse {
        /// The association.
        interface_association: Option<TrunkInterfaceAssociation> = "interfaceAssociation",
        /// The token of the request.
        client_token: Option<String> = "clientToken",
    }
}

request! {
    /// Takes a branch ENI off its trunk ENI.
    "DisassociateTrunkInterface"
    DisassociateTrunkInterfaceRequest -> DisassociateTrunkInterfaceResponse {
        /// The association.
        association_id: Option<String> = "AssociationId",
        /// Names the request: repetitions have no effect.
        client_token: Option<String> = "ClientToken",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// Whether it was done.
    DisassociateTrunkInterfaceResponse {
        /// `true`.
        r#return: Option<bool> = "return",
        /// The token of the request.
        client_token: Option<String> = "clientToken",
    }
}

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
