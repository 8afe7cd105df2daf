//! The rules of ARCHITECTURE.md that a reader of the tree can check, checked: which crate may
//! depend on which, how long files may be, and where `unsafe` may stand.

// A test may read the tree it judges, and may fail where it stands.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Crate → the crates of this workspace it may depend on (test-only dependencies are free).
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("ipam", &["model"]),
    ("aws", &["model", "ipam"]),
    ("datapath", &["model", "ipam"]),
    ("rpc", &["model", "ipam"]),
    ("kube-api", &["model"]),
    ("sim", &["model", "ipam", "aws"]),
    (
        "ipamd",
        &["model", "ipam", "aws", "datapath", "rpc", "kube-api"],
    ),
    ("cni", &["model", "ipam", "datapath", "rpc"]),
    (
        "vpcctl",
        &["model", "ipam", "aws", "datapath", "rpc", "sim"],
    ),
    ("lab", &["model", "ipam", "aws", "datapath", "rpc", "sim"]),
];

/// What the two crates that only think may use from outside: data types and encodings, nothing
/// that waits, looks at a clock, or talks to anything.
const CORE_DEPENDENCIES: &[&str] = &["ipnet", "serde", "serde_json", "sha1", "thiserror"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn dependencies(manifest: &Path) -> Vec<String> {
    let text = fs::read_to_string(manifest).unwrap();
    let mut inside = false;
    let mut names = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line.trim() == "[dependencies]";
        } else if inside && !line.trim().is_empty() && !line.starts_with('#') {
            names.push(line.split(['.', ' ', '=']).next().unwrap().to_owned());
        }
    }
    names
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn production_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (name, _) in ARROWS {
        rust_files(
            &workspace().join("crates").join(name).join("src"),
            &mut files,
        );
    }
    files.retain(|path| path.file_name().is_some_and(|name| name != "tests.rs"));
    files.retain(|path| !path.components().any(|part| part.as_os_str() == "tests"));
    files.sort();
    files
}

/// Lines that are neither blank nor comment, up to the test module (tests stand last).
fn lines_of_code(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

#[test]
fn every_crate_is_in_the_map_and_on_the_disk() {
    let mut on_disk: Vec<String> = fs::read_dir(workspace().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    on_disk.sort();
    let mut in_map: Vec<String> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    in_map.sort();
    assert_eq!(on_disk, in_map);
}

#[test]
fn arrows_between_crates_point_down_only() {
    for (name, allowed) in ARROWS {
        let manifest = workspace().join("crates").join(name).join("Cargo.toml");
        for dependency in dependencies(&manifest) {
            if let Some(ours) = dependency.strip_prefix("vpc-") {
                assert!(allowed.contains(&ours), "{name} must not depend on {ours}");
            }
        }
    }
}

#[test]
fn the_core_depends_on_nothing_that_acts() {
    for name in ["model", "ipam"] {
        let manifest = workspace().join("crates").join(name).join("Cargo.toml");
        for dependency in dependencies(&manifest) {
            assert!(
                dependency.starts_with("vpc-") || CORE_DEPENDENCIES.contains(&dependency.as_str()),
                "{name} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn the_cores_clippy_bans_include_the_shared_ones() {
    let bans = |path: PathBuf| -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        text.lines()
            .filter(|line| line.contains("path = "))
            .map(|line| line.trim().to_owned())
            .collect()
    };
    let shared = bans(workspace().join("clippy.toml"));
    assert!(!shared.is_empty());
    for name in ["model", "ipam"] {
        let own = bans(workspace().join("crates").join(name).join("clippy.toml"));
        for ban in &shared {
            assert!(own.contains(ban), "crates/{name}/clippy.toml lacks {ban}");
        }
    }
}

#[test]
fn files_stay_within_the_size_budget() {
    let mut sizes: Vec<(usize, PathBuf)> = production_files()
        .into_iter()
        .map(|path| (lines_of_code(&path), path))
        .collect();
    sizes.sort();
    let (largest, path) = sizes.last().unwrap();
    assert!(
        *largest <= 700,
        "{} has {largest} lines of code; allowed: 700",
        path.display()
    );
    let (median, path) = &sizes[sizes.len() / 2];
    assert!(
        *median <= 150,
        "the median file, {}, has {median} lines",
        path.display()
    );
    let (ninth_decile, path) = &sizes[sizes.len() * 9 / 10];
    assert!(
        *ninth_decile <= 400,
        "{} has {ninth_decile} lines",
        path.display()
    );
}

#[test]
fn unsafe_code_stands_in_at_most_one_file() {
    let with_unsafe: Vec<PathBuf> = production_files()
        .into_iter()
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.lines().map(str::trim).any(|line| {
                !line.starts_with("//")
                    && (line.contains("unsafe {")
                        || line.contains("unsafe fn")
                        || line.contains("unsafe impl")
                        || line.contains("allow(unsafe_code)"))
            })
        })
        .collect();
    assert!(with_unsafe.len() <= 1, "{with_unsafe:?}");
}

#[test]
fn every_folder_of_the_map_has_a_line_in_the_architecture_document() {
    let document = fs::read_to_string(workspace().join("ARCHITECTURE.md")).unwrap();
    let mut missing = BTreeMap::new();
    for (name, _) in ARROWS {
        if !document.contains(&format!("`crates/{name}`")) {
            missing.insert(*name, "not mentioned");
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}
