//! Tells the crate with what it is built: instruction counts are compared only between builds that are alike.

use std::env;
use std::process::Command;

/// What changes the code of a profile without a change of `Cargo.toml`.
const OVERRIDES: [&str; 4] = ["LTO", "CODEGEN_UNITS", "OPT_LEVEL", "PANIC"];

fn main() {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let version = Command::new(variable("RUSTC")).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let version = version.unwrap_or_default();
    let version = version.trim().trim_start_matches("rustc ");
    let mut profile = variable("PROFILE");
    let is_release = profile == "release";
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            profile.push_str(&format!(" {name}={value}"));
        }
    };
    for name in OVERRIDES {
        let name = format!("CARGO_PROFILE_RELEASE_{name}");
        if is_release {
            add(&name, variable(&name));
        }
        tell(&format!("rerun-if-env-changed={name}"));
    }
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    add("RUSTFLAGS", flags.replace('\x1f', " "));
    tell("rerun-if-changed=build.rs");
    tell(&format!("rustc-env=BENCHES_RUSTC={version}"));
    tell(&format!("rustc-env=BENCHES_TARGET={}", variable("TARGET")));
    tell(&format!("rustc-env=BENCHES_PROFILE={profile}"));
}

fn tell(line: &str) {
    println!("cargo:{line}");
}
