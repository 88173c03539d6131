//! System packages on Debian and Ubuntu; elsewhere the list of what to install.
use std::{fs, process::Command};

use anyhow::{Result, bail};

use super::kernel::kernel_compiler;
use crate::shell::{is_root, output, run, which};

/// What is needed and how to tell that it is there.
struct Need {
    what: &'static str,
    /// Debian packages that bring it.
    packages: &'static [&'static str],
    present: fn() -> bool,
}

const BUILD: &[Need] = &[
    Need { what: "C compiler and linker", packages: &["gcc", "libc6-dev"], present: || on_path(&["cc"]) },
    // `core` for the BPF target, prebuilt, and the LLVM of the same compiler.
    Need {
        what: "Rust compiler for kernel programs",
        packages: &["rustc-web", "libstd-rust-web-dev-bpf", "llvm-22-dev", "libpolly-22-dev"],
        present: || kernel_compiler().is_ok(),
    },
];

const TEST: &[Need] = &[
    Need { what: "curl", packages: &["curl"], present: || on_path(&["curl"]) },
    Need { what: "openssl", packages: &["openssl"], present: || on_path(&["openssl"]) },
    Need {
        what: "ip, unshare",
        packages: &["iproute2", "util-linux"],
        present: || on_path(&["ip", "unshare"]),
    },
    Need { what: "Node.js and npm", packages: &["nodejs", "npm"], present: || on_path(&["node", "npm"]) },
    Need {
        what: "Python with venv",
        packages: &["python3", "python3-venv"],
        present: || installed("python3-venv"),
    },
    Need { what: "nginx and wrk", packages: &["nginx-light", "wrk"], present: || on_path(&["nginx", "wrk"]) },
    Need { what: "QEMU", packages: &["qemu-system-x86"], present: || on_path(&["qemu-system-x86_64"]) },
    Need {
        what: "Chromium",
        packages: &["chromium", "chromium-driver"],
        present: || on_path(&["chromium", "chromedriver"]),
    },
];

/// Everything for building and testing.
pub(super) fn ensure() -> Result<((), String)> {
    install(BUILD.iter().chain(TEST))
}

/// Only what building needs.
pub(super) fn ensure_for_build() -> Result<((), String)> {
    install(BUILD.iter())
}

fn install<'a>(needs: impl Iterator<Item = &'a Need>) -> Result<((), String)> {
    let missing: Vec<&Need> = needs.filter(|need| !(need.present)()).collect();
    if missing.is_empty() {
        return Ok(((), "all present".to_owned()));
    }
    let packages: Vec<&str> = missing
        .iter()
        .flat_map(|need| need.packages.iter().copied())
        .filter(|name| !installed(name))
        .collect();
    let wanted = missing.iter().map(|need| need.what).collect::<Vec<_>>().join(", ");
    if !is_debian() || which("apt-get").is_none() {
        bail!(
            "this is not Debian or Ubuntu, so nothing was installed; please install: {wanted}\n(Debian calls them: {})",
            packages.join(" ")
        );
    }
    if !is_root() {
        bail!(
            "missing: {wanted}; run as root: apt-get install --no-install-recommends {}",
            packages.join(" ")
        );
    }
    println!();
    run(apt().arg("update"))?;
    run(apt().args(["install", "--yes", "--no-install-recommends"]).args(&packages))?;
    if let Some(need) = missing.iter().find(|need| !(need.present)()) {
        bail!("{} is still missing after installing {}", need.what, need.packages.join(" "));
    }
    Ok(((), format!("installed {}", packages.join(" "))))
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn on_path(names: &[&str]) -> bool {
    names.iter().all(|name| which(name).is_some())
}

fn installed(package: &str) -> bool {
    output(Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]))
        .is_ok_and(|status| status == "installed")
}

fn is_debian() -> bool {
    fs::read_to_string("/etc/os-release").is_ok_and(|text| {
        text.lines()
            .any(|line| line.starts_with("ID") && (line.contains("debian") || line.contains("ubuntu")))
    })
}
