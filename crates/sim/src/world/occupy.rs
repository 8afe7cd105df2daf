//! Addresses that somebody else in the account takes and gives back: how a subnet runs dry, or
//! into pieces too small for a prefix, without a thousand instances in it.

use std::net::Ipv4Addr;

use serde::Deserialize;
use vpc_model::SubnetId;

use super::World;
use crate::error::ApiError;

/// Which of a subnet's free addresses are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Occupation {
    /// The lowest ones that are not reserved, until so many of those are left.
    AllBut {
        /// How many are left.
        left: usize,
    },
    /// One of each block that a prefix could be made of, so that there is none any more.
    OneOfEachBlock,
}

impl World {
    /// Lets somebody else take free addresses of a subnet, besides those they have; which ones.
    ///
    /// # Errors
    /// `InvalidSubnetID.NotFound`.
    pub fn occupy(
        &mut self,
        subnet: &SubnetId,
        occupation: Occupation,
    ) -> Result<Vec<Ipv4Addr>, ApiError> {
        let subnet = self.subnet_mut(subnet)?;
        let taken = match occupation {
            Occupation::AllBut { left } => {
                let count = subnet.space.choosable().saturating_sub(left);
                subnet.space.take(count).unwrap_or_default()
            }
            Occupation::OneOfEachBlock => subnet.space.break_blocks(),
        };
        subnet.others.extend(&taken);
        self.changed();
        Ok(taken)
    }

    /// Lets somebody else give back all the addresses of a subnet that they took; which ones.
    ///
    /// # Errors
    /// `InvalidSubnetID.NotFound`.
    pub fn vacate(&mut self, subnet: &SubnetId) -> Result<Vec<Ipv4Addr>, ApiError> {
        let subnet = self.subnet_mut(subnet)?;
        let given = std::mem::take(&mut subnet.others);
        for address in &given {
            subnet.space.give(*address);
        }
        self.changed();
        Ok(given)
    }
}
