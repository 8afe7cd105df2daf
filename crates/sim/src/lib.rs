//! An honest small AWS: a world of VPCs, subnets, instances and ENIs behind EC2's and IMDS's protocols.
