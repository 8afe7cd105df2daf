//! Branch ENIs on trunk ENIs: associate, describe, disassociate.
//!
//! After the page "AssociateTrunkInterface" of the EC2 API reference. It names no error codes;
//! those here are the ones that EC2 has for the same mistakes with attachments.

use std::collections::BTreeSet;

use vpc_aws::ec2::wire::{
    AssociateTrunkInterfaceRequest, AssociateTrunkInterfaceResponse,
    DescribeTrunkInterfaceAssociationsRequest, DescribeTrunkInterfaceAssociationsResponse,
    DisassociateTrunkInterfaceRequest, DisassociateTrunkInterfaceResponse,
    TrunkInterfaceAssociation,
};
use vpc_model::{EniId, Timestamp};

use super::World;
use super::filter::chosen;
use super::lookup::required;
use super::modify::refuse_dry_run;
use super::page::Paging;
use super::state::{Association, Eni, Tags};
use crate::error::ApiError;

/// The VLANs of IEEE 802.1Q that can be given.
const VLANS: std::ops::RangeInclusive<i32> = 1..=4094;
const PREFIX: &str = "trunk-assoc-";
const PROTOCOL: &str = "VLAN";

impl World {
    /// Puts a branch ENI on a trunk ENI. A repetition with the same client token answers the same.
    ///
    /// # Errors
    /// As EC2's: unknown ENIs, ENIs of another type, a branch that is on a trunk already, another
    /// availability zone, a VLAN that cannot be or that the trunk has already.
    pub fn associate_trunk_interface(
        &mut self,
        request: &AssociateTrunkInterfaceRequest,
        now: Timestamp,
    ) -> Result<AssociateTrunkInterfaceResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let branch = self.eni_of_type(request.branch_interface_id.as_deref(), "branch")?;
        let trunk = self.eni_of_type(request.trunk_interface_id.as_deref(), "trunk")?;
        let vlan = vlan(request)?;
        let token = request.client_token.clone().unwrap_or_default();
        if let Some((id, there)) = self.association_by_token(&token) {
            if *id == branch && there.trunk == trunk && there.vlan == vlan {
                return Ok(associated(&branch, there, request));
            }
            return Err(ApiError::client(
                "IdempotentParameterMismatch",
                format!("The client token '{token}' was used with other parameters"),
            ));
        }
        if self.eni(&branch)?.association.is_some() {
            return Err(ApiError::client(
                "InvalidNetworkInterface.InUse",
                format!("Interface: [{branch}] in use."),
            ));
        }
        self.check_branch(&branch, &trunk, vlan)?;
        let association = Association {
            id: format!("{PREFIX}0{:016x}", self.random.next()),
            trunk,
            vlan,
            token,
        };
        let response = associated(&branch, &association, request);
        self.eni_mut(&branch)?.association = Some(association);
        self.changed();
        Ok(response)
    }

    fn association_by_token(&self, token: &str) -> Option<(&EniId, &Association)> {
        let enis = self.enis.iter();
        let mut all = enis.filter_map(|(id, eni)| Some((id, eni.association.as_ref()?)));
        all.find(|(_, association)| !token.is_empty() && association.token == token)
    }

    fn eni_of_type(&self, text: Option<&str>, kind: &str) -> Result<EniId, ApiError> {
        let id = self.eni_id(text)?;
        let found = &self.eni(&id)?.interface_type;
        if found == kind {
            return Ok(id);
        }
        Err(ApiError::invalid(format!(
            "Network interface '{id}' is of type '{found}'; it must be of type '{kind}'."
        )))
    }

    fn check_branch(&self, branch: &EniId, trunk: &EniId, vlan: u16) -> Result<(), ApiError> {
        if self.eni(branch)?.availability_zone != self.eni(trunk)?.availability_zone {
            return Err(ApiError::client(
                "InvalidParameterCombination",
                "The branch and the trunk network interface must be in the same availability zone",
            ));
        }
        if self
            .branches_of(trunk)
            .any(|(_, _, other)| other.vlan == vlan)
        {
            return Err(ApiError::invalid(format!(
                "VLAN ID {vlan} is already in use on trunk interface '{trunk}'."
            )));
        }
        Ok(())
    }

    /// The branch ENIs on a trunk ENI, by id.
    pub(super) fn branches_of<'a>(
        &'a self,
        trunk: &'a EniId,
    ) -> impl Iterator<Item = (&'a EniId, &'a Eni, &'a Association)> {
        let enis = self.enis.iter();
        enis.filter_map(move |(id, eni)| {
            let association = eni.association.as_ref().filter(|a| a.trunk == *trunk)?;
            Some((id, eni, association))
        })
    }

    /// Takes a branch ENI off its trunk ENI.
    ///
    /// # Errors
    /// `InvalidAssociationID.NotFound`.
    pub fn disassociate_trunk_interface(
        &mut self,
        request: &DisassociateTrunkInterfaceRequest,
        now: Timestamp,
    ) -> Result<DisassociateTrunkInterfaceResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let id = required(request.association_id.as_deref(), "associationId")?;
        let branch = self.branch_by_association(id)?;
        self.eni_mut(&branch)?.association = None;
        self.changed();
        Ok(DisassociateTrunkInterfaceResponse {
            r#return: Some(true),
            client_token: request.client_token.clone(),
            ..Default::default()
        })
    }

    fn branch_by_association(&self, id: &str) -> Result<EniId, ApiError> {
        let is_it = |eni: &Eni| eni.association.as_ref().is_some_and(|a| a.id == id);
        let mut enis = self.enis.iter();
        let found = enis.find(|(_, eni)| is_it(eni)).map(|(id, _)| id.clone());
        found.ok_or_else(|| not_found(id))
    }

    /// Describes associations, as lagging as descriptions of ENIs.
    ///
    /// # Errors
    /// As EC2's: an association that does not exist, an unknown filter, a bad page size or token.
    pub fn describe_trunk_interface_associations(
        &mut self,
        request: &DescribeTrunkInterfaceAssociationsRequest,
        now: Timestamp,
    ) -> Result<DescribeTrunkInterfaceAssociationsResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let mut missing: BTreeSet<&String> = request.association_ids.iter().collect();
        let mut found = Vec::new();
        for (branch, eni) in self.described_enis(&BTreeSet::new()) {
            let Some(association) = &eni.association else {
                continue;
            };
            let asked = missing.remove(&association.id) || request.association_ids.is_empty();
            let none: [&str; 0] = [];
            let meets = chosen(&request.filters, &Tags::new(), |facts| {
                facts
                    .with("interface-protocol", [PROTOCOL])
                    .with("gre-key", none)
            })?;
            if asked && meets {
                found.push((association.id.clone(), to_wire(branch, association)));
            }
        }
        if let Some(id) = missing.first() {
            return Err(not_found(id));
        }
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        let paging = Paging {
            max_results: request.max_results,
            next_token: request.next_token.as_deref(),
            by_id: !request.association_ids.is_empty(),
            sizes: (5, 255),
        };
        let (page, next_token) = paging.cut(found)?;
        Ok(DescribeTrunkInterfaceAssociationsResponse {
            interface_associations: page.into(),
            next_token,
            ..Default::default()
        })
    }

    /// A trunk ENI goes, and its associations with it.
    pub(super) fn drop_associations(&mut self, trunk: &EniId) {
        let branches = self.branches_of(trunk).map(|(id, _, _)| id.clone());
        for branch in branches.collect::<Vec<_>>() {
            self.before_change_of(&branch);
            if let Some(eni) = self.enis.get_mut(&branch) {
                eni.association = None;
            }
        }
    }
}

fn not_found(id: &str) -> ApiError {
    ApiError::client(
        "InvalidAssociationID.NotFound",
        format!("The association ID '{id}' does not exist"),
    )
}

fn vlan(request: &AssociateTrunkInterfaceRequest) -> Result<u16, ApiError> {
    if request.gre_key.is_some() {
        // Trunks of pods' branch ENIs carry VLANs; nobody asks this emulator for the other kind.
        return Err(ApiError::client(
            "UnsupportedOperation",
            "The trunk interface does not support GRE.",
        ));
    }
    let id = request.vlan_id.ok_or_else(|| ApiError::missing("VlanId"))?;
    let valid = u16::try_from(id).ok().filter(|_| VLANS.contains(&id));
    valid.ok_or_else(|| {
        ApiError::invalid(format!(
            "Value ({id}) for parameter VlanId is invalid. It must be {} to {}.",
            VLANS.start(),
            VLANS.end()
        ))
    })
}

fn associated(
    branch: &EniId,
    association: &Association,
    request: &AssociateTrunkInterfaceRequest,
) -> AssociateTrunkInterfaceResponse {
    AssociateTrunkInterfaceResponse {
        interface_association: Some(to_wire(branch, association)),
        client_token: request.client_token.clone(),
        ..Default::default()
    }
}

fn to_wire(branch: &EniId, association: &Association) -> TrunkInterfaceAssociation {
    TrunkInterfaceAssociation {
        association_id: Some(association.id.clone()),
        branch_interface_id: Some(branch.to_string()),
        trunk_interface_id: Some(association.trunk.to_string()),
        interface_protocol: Some(PROTOCOL.to_owned()),
        vlan_id: Some(association.vlan.into()),
        ..Default::default()
    }
}
