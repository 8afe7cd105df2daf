//! The programs as files: what a node image has to have for them is nothing.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::path::Path;

use common::{bin_dir, skip};

/// Design budget of the plugin, which is read from disk for each pod and verb.
const AWS_CNI_BUDGET: u64 = 3 * 1024 * 1024;

/// ELF program headers that only dynamically linked programs have (elf(5)).
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;

#[test]
fn release_programs_are_static_and_the_plugin_is_small() {
    let folder = bin_dir();
    if is_debug_build(&folder.join("aws-cni")) {
        skip(
            "binaries",
            "the programs under test are a debug build, which is neither",
        );
        return;
    }
    for program in ["ipamd", "aws-cni", "vpc-lab"] {
        let types = program_header_types(&folder.join(program));
        assert!(
            types.contains(&1),
            "{program} has no loadable segment: {types:?}"
        );
        for dynamic in [PT_DYNAMIC, PT_INTERP] {
            assert!(
                !types.contains(&dynamic),
                "{program} is not static: {types:?}"
            );
        }
    }
    let size = std::fs::metadata(folder.join("aws-cni"))
        .expect("aws-cni")
        .len();
    assert!(
        size <= AWS_CNI_BUDGET,
        "aws-cni has {size} bytes; budget {AWS_CNI_BUDGET}"
    );
}

/// Release builds are stripped; a debug build has section names of debug information.
fn is_debug_build(program: &Path) -> bool {
    let bytes = std::fs::read(program).expect("a program");
    bytes.windows(12).any(|window| window == b".debug_info\0")
}

/// The `p_type` of each program header of a 64-bit little-endian ELF file.
fn program_header_types(program: &Path) -> Vec<u32> {
    let bytes = std::fs::read(program).expect("a program");
    assert_eq!(
        &bytes[..6],
        b"\x7fELF\x02\x01",
        "{} is no 64-bit ELF file",
        program.display()
    );
    let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let offset = u64::from_le_bytes(bytes[32..40].try_into().expect("eight bytes"));
    let offset = usize::try_from(offset).expect("an offset within the file");
    let (size, count) = (usize::from(word(54)), usize::from(word(56)));
    (0..count)
        .map(|index| offset + index * size)
        .map(|at| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")))
        .collect()
}
