//! Puts the kernel object where `kernel::object` embeds it. Without one (clippy, unit tests, a contributor without the
//! BPF toolchain) an empty file takes its place, and `gnomon-agent run` says how to build it.

use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=GNOMON_EBPF_OBJECT");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("gnomon.bpf.o");
    match env::var_os("GNOMON_EBPF_OBJECT").map(PathBuf::from) {
        Some(object) => {
            println!("cargo::rerun-if-changed={}", object.display());
            fs::copy(&object, &out).unwrap_or_else(|e| {
                panic!("GNOMON_EBPF_OBJECT={}: {e}. `cargo xtask build` sets it.", object.display())
            });
        }
        None => fs::write(&out, []).unwrap_or_else(|e| panic!("{}: {e}", out.display())),
    }
}
