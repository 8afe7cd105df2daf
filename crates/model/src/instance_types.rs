//! Instance types and their network limits.
//!
//! A type's limits decide how many ENIs a node may have and how many addresses each may hold. They
//! come from a table in the crate (`data/instance-types.tsv`, made by
//! `scripts/gen-instance-types.py`), so that a node needs no EC2 call to learn them. For a type
//! that is newer than the table, EC2's DescribeInstanceTypes gives the same figures.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::OnceLock;

use crate::ids::InstanceType;
use crate::kernel::NetworkCard;
use crate::nearest::nearest;

/// The table's text.
const BUILTIN: &str = include_str!("../data/instance-types.tsv");

/// What an instance runs on. Prefixes can be assigned on Nitro and on bare metal only (EC2 user
/// guide, "Assigning prefixes to network interfaces").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hypervisor {
    /// AWS Nitro.
    Nitro,
    /// Xen.
    Xen,
    /// None: bare metal.
    Metal,
}

impl FromStr for Hypervisor {
    type Err = TableError;

    fn from_str(text: &str) -> Result<Self, TableError> {
        match text {
            "nitro" => Ok(Hypervisor::Nitro),
            "xen" => Ok(Hypervisor::Xen),
            "metal" => Ok(Hypervisor::Metal),
            _ => Err(TableError::Field {
                field: "hypervisor",
                value: text.to_owned(),
            }),
        }
    }
}

/// One network card's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardLimits {
    /// Which card.
    pub card: NetworkCard,
    /// The most ENIs on it.
    pub enis: u32,
}

/// The network limits of an instance type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceLimits {
    /// The most ENIs on the default network card, the primary included.
    pub enis: u32,
    /// The most IPv4 addresses on an ENI, its own primary address included.
    pub ipv4_per_eni: u32,
    /// What the instance runs on.
    pub hypervisor: Hypervisor,
    /// Its virtual CPUs, with the default number of threads per core.
    pub vcpus: u32,
    /// The card of the primary ENI, and of further ENIs unless another is named.
    pub default_card: NetworkCard,
    /// All cards, in their order; at least one.
    pub cards: Vec<CardLimits>,
}

impl InstanceLimits {
    /// How many addresses, or prefixes, an ENI holds beside its own primary address.
    #[must_use]
    pub fn secondary_addresses_per_eni(&self) -> u32 {
        self.ipv4_per_eni.saturating_sub(1)
    }

    /// Whether prefixes can be assigned to the instance's ENIs.
    #[must_use]
    pub fn supports_prefixes(&self) -> bool {
        match self.hypervisor {
            Hypervisor::Nitro | Hypervisor::Metal => true,
            Hypervisor::Xen => false,
        }
    }
}

/// A line of the table that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A field is not of its kind.
    #[error("{field} is {value:?}, which the table of instance types cannot hold")]
    Field {
        /// Which field.
        field: &'static str,
        /// What stands there.
        value: String,
    },
    /// A line has more or fewer fields than seven.
    #[error("line {0:?} has not seven fields separated by tabs")]
    Fields(String),
    /// The default card is not among the cards, or its limit is not the line's.
    #[error("{0}: the limit of the default network card is not that of the type")]
    DefaultCard(InstanceType),
}

/// Instance types with their limits, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstanceTypes {
    limits: BTreeMap<InstanceType, InstanceLimits>,
}

impl InstanceTypes {
    /// The crate's own table. Read at the first call.
    #[must_use]
    pub fn builtin() -> &'static InstanceTypes {
        static TABLE: OnceLock<InstanceTypes> = OnceLock::new();
        // A test reads every line; one that could not be read would only be missing here.
        TABLE.get_or_init(|| InstanceTypes {
            limits: lines(BUILTIN).filter_map(Result::ok).collect(),
        })
    }

    /// Reads a table of the same form as the crate's own: a line for each type, seven fields
    /// separated by tabs, `#` before comments.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub fn parse(text: &str) -> Result<InstanceTypes, TableError> {
        Ok(InstanceTypes {
            limits: lines(text).collect::<Result<_, _>>()?,
        })
    }

    /// The limits of a type; nothing for a type that the table does not have.
    #[must_use]
    pub fn get(&self, instance_type: &InstanceType) -> Option<&InstanceLimits> {
        self.limits.get(instance_type)
    }

    /// All types, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&InstanceType, &InstanceLimits)> {
        self.limits.iter()
    }

    /// How many types the table has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.limits.len()
    }

    /// Whether the table has no type.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// The types whose names are nearest to a name that the table does not have, for the error
    /// message; at most `count`, nearest first.
    #[must_use]
    pub fn near(&self, name: &str, count: usize) -> Vec<&str> {
        nearest(name, self.limits.keys().map(InstanceType::as_str), count)
    }
}

fn lines(text: &str) -> impl Iterator<Item = Result<(InstanceType, InstanceLimits), TableError>> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(line)
}

fn line(text: &str) -> Result<(InstanceType, InstanceLimits), TableError> {
    let fields: Vec<&str> = text.split('\t').collect();
    let [
        name,
        enis,
        ipv4_per_eni,
        hypervisor,
        vcpus,
        default_card,
        cards,
    ] = fields.as_slice()
    else {
        return Err(TableError::Fields(text.to_owned()));
    };
    let instance_type: InstanceType = name.parse().map_err(|_| TableError::Field {
        field: "instance type",
        value: (*name).to_owned(),
    })?;
    let cards = cards.split(',').zip(0..).map(|(enis, card)| {
        number("ENIs of a card", enis).map(|enis| CardLimits {
            card: NetworkCard(card),
            enis,
        })
    });
    let default_card: u8 = default_card.parse().map_err(|_| TableError::Field {
        field: "default network card",
        value: (*default_card).to_owned(),
    })?;
    let limits = InstanceLimits {
        enis: number("ENIs", enis)?,
        ipv4_per_eni: number("IPv4 addresses per ENI", ipv4_per_eni)?,
        hypervisor: hypervisor.parse()?,
        vcpus: number("vCPUs", vcpus)?,
        default_card: NetworkCard(default_card),
        cards: cards.collect::<Result<_, _>>()?,
    };
    match limits.cards.get(usize::from(default_card)) {
        Some(card) if card.enis == limits.enis => Ok((instance_type, limits)),
        _ => Err(TableError::DefaultCard(instance_type)),
    }
}

/// A count of at least one.
fn number(field: &'static str, text: &str) -> Result<u32, TableError> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(TableError::Field {
            field,
            value: text.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(name: &str) -> &'static InstanceLimits {
        InstanceTypes::builtin()
            .get(&name.parse().unwrap())
            .unwrap()
    }

    #[test]
    fn every_line_of_the_table_can_be_read_and_they_are_sorted() {
        let table = InstanceTypes::parse(BUILTIN).unwrap();
        assert_eq!(&table, InstanceTypes::builtin());
        assert_eq!(table.len(), 1409);
        let names: Vec<&str> = BUILTIN
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split('\t').next().unwrap())
            .collect();
        assert!(names.is_sorted());
        assert_eq!(
            names,
            table
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn limits_are_those_of_the_default_card() {
        let p5 = limits("p5.48xlarge");
        assert_eq!((p5.enis, p5.ipv4_per_eni, p5.vcpus), (2, 50, 192));
        assert_eq!(p5.cards.len(), 32);
        assert_eq!(
            p5.cards.get(31),
            Some(&CardLimits {
                card: NetworkCard(31),
                enis: 2
            })
        );
        assert_eq!(limits("m5.large").secondary_addresses_per_eni(), 9);
    }

    #[test]
    fn prefixes_need_nitro_or_bare_metal() {
        assert!(limits("m5.large").supports_prefixes());
        assert!(limits("m5.metal").supports_prefixes());
        assert!(!limits("t2.micro").supports_prefixes());
    }

    #[test]
    fn types_that_ec2_no_longer_lists_everywhere_are_there() {
        assert_eq!(limits("p3.16xlarge").enis, 8);
        assert_eq!(limits("u-24tb1.metal").enis, 15);
    }

    #[test]
    fn an_unknown_type_has_near_matches() {
        let table = InstanceTypes::builtin();
        assert!(table.get(&"m5.larg".parse().unwrap()).is_none());
        assert_eq!(table.near("m5.larg", 1), ["m5.large"]);
        assert!(table.near("nonsense.everywhere", 3).is_empty());
    }

    #[test]
    fn lines_that_say_nonsense_are_refused() {
        for bad in [
            "m5.large\t3\t10\tnitro\t2\t0",
            "m5.large\t3\t10\tnitro\t2\t0\t3\tmore",
            "m5large\t3\t10\tnitro\t2\t0\t3",
            "m5.large\t0\t10\tnitro\t2\t0\t0",
            "m5.large\t3\tten\tnitro\t2\t0\t3",
            "m5.large\t3\t10\tkvm\t2\t0\t3",
            "m5.large\t3\t10\tnitro\t2\t1\t3",
            "m5.large\t3\t10\tnitro\t2\t0\t4",
            "m5.large\t3\t10\tnitro\t2\t0\t",
        ] {
            assert!(InstanceTypes::parse(bad).is_err(), "{bad:?}");
        }
        assert!(
            InstanceTypes::parse("# only a comment\n\n")
                .unwrap()
                .is_empty()
        );
    }
}
