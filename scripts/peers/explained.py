"""Where our emulator and moto differ: the step and the path as patterns, and why.

EC2's own word is the API reference and user guide, the service model, and, where the reference is
silent, recorded answers.
"""

# The emulator answers what a CNI, its tools and the people who debug them look at.
NOT_OURS = "the emulator leaves it out: it is not about networking"
# EC2's answers do not have it, or have it otherwise.
MOTO = "moto differs from EC2: "
DELAYS = "ours runs without delays here: what is asked for is done when it answers"

EXPLAINED = [
    (".*", r".*\.PrivateDnsNameOptionsOnLaunch", NOT_OURS),
    ("an instance|the instance",
     r".*\.(BlockDeviceMappings|EbsOptimized|SriovNetSupport|RootDeviceName)", NOT_OURS),
    ("an instance|the instance", r".*\.Platform",
     MOTO + "the member is absent for instances that do not run Windows"),
    ("an instance|the instance", r".*\.StateReason",
     MOTO + "a running instance that was never stopped has no reason for its state"),
    ("an instance|the instance", r".*\.MetadataOptions\.(HttpProtocolIpv6|InstanceMetadataTags)",
     NOT_OURS),
    ("an instance|the instance", r".*\.MetadataOptions\.HttpTokens",
     "ours has IMDSv2 only, as accounts and images of today do"),
    ("an instance|the instance", r".*\.NetworkInterfaces\[\]\.Attachment\.DeleteOnTermination",
     MOTO + "the primary ENI of a launch goes with its instance unless the request says otherwise"),
    ("an instance|the instance", r".*\.NetworkInterfaces\[\]\.Description",
     MOTO + "the primary ENI of a launch has an empty description"),
    ("an instance|the instance", r".*\.SecurityGroups",
     MOTO + "an instance without named groups is in the VPC's default group"),
    ("an instance", r".*\.State\.(Code|Name)", DELAYS),
    ("terminated", r".*\.CurrentState\.(Code|Name)", DELAYS),
    ("its type", r"\.InstanceTypes\[\]\.(?!NetworkInfo)\w+(\.\w+)*", NOT_OURS),
    ("its type", r".*\.NetworkInfo\.\w*(Configuration|Srd\w*|Efa\w*|Ena\w*|Encryption\w*|Queues\w*"
                 r"|Ipv6\w*|Performance|SecondaryNetwork\w*)",
     "the emulator leaves it out: IPv4 limits are what it models"),
    ("its type", r".*\.NetworkCards\[\]\.\w*(Bandwidth\w*|Queue\w*|InterfaceTypes|Performance)",
     "the emulator leaves it out: it does not model bandwidth"),
    (".*", r".*\.RequesterId",
     MOTO + "an ENI that the account made itself has no requester"),
    ("attached again", r"\.(AttachmentId|NetworkCardIndex)",
     MOTO + "an ENI that is attached cannot be attached again (InvalidNetworkInterface.InUse)"),
    ("the tags", r".*\.Attachment\.DeviceIndex",
     MOTO + "so the second attachment, which ours refuses, took effect"),
    ("the tags", r".*\.Attachment\.DeleteOnTermination",
     MOTO + "and lost what was set on the first"),
    ("addresses", r"\.AssignedPrivateIpAddresses",
     MOTO + "the answer names the addresses of this call, not all of the ENI's"),
    ("the tags", r".*\.PrivateIpAddresses",
     MOTO + "and giving those back took the ENI's own with them"),
    ("a prefix|the prefix goes back", r"\.error", "moto does not implement prefixes of ENIs"),
    ("a subnet with IPv6", r".*\.Ipv6CidrBlockState\.State",
     MOTO + "it wraps the state twice"),
    ("IPv6 addresses( go back)?", r"\.(Una|A)ssignedIpv6Addresses",
     MOTO + "the answer names the addresses of this call, not all of the ENI's"),
    ("an IPv6 prefix|the IPv6 prefix goes back", r"\.error",
     "moto does not implement prefixes of ENIs"),
    ("a trunk|a branch", r".*\.InterfaceType", "moto knows one type of ENI only"),
    ("detached|deleted", r"\.error",
     MOTO + "the first attachment's id, which is right, is no longer known to it"),
]
