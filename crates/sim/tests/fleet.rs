//! Fleets that start in the same second, in virtual time.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use vpc_aws::BudgetConfig;
use vpc_ipam::Mode;
use vpc_ipam::targets::WarmSettings;
use vpc_sim::fleet::{CallCounts, FleetConfig, Outcome, Rules, SdkRetries, run};
use vpc_sim::{ActionLimits, Bucket, RateLimits};

/// A fifth of what AWS gives to an account, for a fifth of a thousand nodes.
fn a_fifth() -> RateLimits {
    let bucket = |size: u32, per_second: u32| {
        Some(Bucket {
            size: size / 5,
            per_second: per_second / 5,
        })
    };
    let requests = |size, per_second| ActionLimits {
        requests: bucket(size, per_second),
        ..ActionLimits::default()
    };
    let described = ActionLimits {
        unfiltered: bucket(50, 10),
        ..requests(100, 20)
    };
    let actions = [
        ("AssignPrivateIpAddresses", requests(100, 5)),
        ("AttachNetworkInterface", requests(50, 5)),
        ("CreateNetworkInterface", requests(100, 5)),
        ("CreateTags", requests(100, 10)),
        ("DeleteNetworkInterface", requests(100, 5)),
        ("DescribeInstances", described),
        ("DescribeNetworkInterfaces", described),
        ("DescribeSubnets", requests(100, 20)),
        ("DetachNetworkInterface", requests(50, 5)),
        ("ModifyNetworkInterfaceAttribute", requests(100, 5)),
    ];
    let named = actions.map(|(action, limits)| (action.to_owned(), limits));
    RateLimits {
        actions: named.into(),
    }
}

fn fleet(nodes: u32, seed: u64) -> FleetConfig {
    FleetConfig {
        limits: Some(a_fifth()),
        horizon: Duration::from_secs(1800),
        ..FleetConfig::new("m5.large".parse().unwrap(), nodes, 20, seed)
    }
}

fn ours(config: &FleetConfig) -> Outcome {
    run(config, &Rules::Ours(Box::new(BudgetConfig::NODE))).unwrap()
}

fn upstream(config: &FleetConfig, retries: SdkRetries) -> Outcome {
    run(config, &Rules::Upstream(retries)).unwrap()
}

fn seconds(outcome: &Outcome, hundredths: usize) -> u64 {
    outcome.usable.percentile(hundredths).unwrap().as_secs()
}

#[test]
fn all_nodes_that_start_together_become_usable_sooner_than_by_upstreams_rules() {
    let config = fleet(200, 1);
    let mine = ours(&config);
    assert_eq!((mine.serving.never, mine.usable.never), (0, 0));
    assert_eq!(mine.usable.reached.len(), 200);
    for retries in [SdkRetries::Standard, SdkRetries::Twelve] {
        let theirs = upstream(&config, retries);
        for hundredths in [50, 90, 99, 100] {
            let (mine, theirs) = (seconds(&mine, hundredths), seconds(&theirs, hundredths));
            assert!(
                mine < theirs,
                "p{hundredths}: {mine} s, {retries:?} {theirs} s"
            );
        }
        let (mine, theirs) = (mine.total(), theirs.total());
        assert!(2 * mine.throttled < theirs.throttled, "{mine}; {theirs}");
        assert!(2 * mine.made < theirs.made, "{mine}; {theirs}");
        assert!(mine.refused <= theirs.refused, "{mine}; {theirs}");
    }
}

#[test]
fn nothing_is_left_behind_and_aws_is_hardly_ever_idle() {
    let config = fleet(200, 2);
    let outcome = ours(&config);
    let served = |action| outcome.calls.get(action).map_or(0, CallCounts::served);
    // 20 pods: nine addresses on the primary ENI, and two more ENIs with nine each.
    assert_eq!(served("AssignPrivateIpAddresses"), 200);
    assert_eq!(served("AttachNetworkInterface"), 400);
    assert_eq!(served("ModifyNetworkInterfaceAttribute"), 400);
    // An ENI that could not be attached for minutes is deleted, and another one made.
    let given_up = served("DeleteNetworkInterface");
    assert!(given_up < 10, "{given_up}");
    assert_eq!(served("CreateNetworkInterface"), 400 + given_up);
    assert_eq!(outcome.total().refused, 0);
    // Ten attachments at once and one a second: nobody can be faster.
    let best = 400 - 10;
    assert!(
        seconds(&outcome, 99) < best * 5 / 4,
        "{}",
        seconds(&outcome, 99)
    );
}

#[test]
fn equal_seeds_give_equal_histories_and_others_do_not() {
    let config = fleet(30, 3);
    assert_eq!(ours(&config), ours(&config));
    assert_ne!(ours(&config).usable, ours(&fleet(30, 4)).usable);
    let standard = SdkRetries::Standard;
    assert_eq!(upstream(&config, standard), upstream(&config, standard));
}

#[test]
fn without_limits_both_kinds_of_nodes_are_usable_and_ours_sooner() {
    for mode in [Mode::SecondaryIps, Mode::Prefixes] {
        let config = FleetConfig {
            limits: None,
            mode,
            warm: WarmSettings {
                warm_eni: 1,
                warm_prefix: Some(1),
                ..WarmSettings::default()
            },
            ..fleet(20, 5)
        };
        let (mine, theirs) = (ours(&config), upstream(&config, SdkRetries::Standard));
        assert_eq!((mine.usable.never, theirs.usable.never), (0, 0));
        assert_eq!(
            (mine.total().throttled, theirs.total().throttled),
            (0, 0),
            "{mode:?}"
        );
        assert!(seconds(&mine, 100) < seconds(&theirs, 50), "{mode:?}");
        assert_eq!(mine.refused_adds, 0, "{mode:?}");
    }
}
