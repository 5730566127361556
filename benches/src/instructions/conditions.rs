//! With what and on what was counted. Code from another compiler has other counts, and so has another machine's: `memchr`,
//! the C library and the TLS library choose by what the CPU can do (callgrind shows them one of up to AVX2).

use std::process::Command;

use serde::{Deserialize, Serialize};

/// What counts depend on, besides the code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// The compiler's version.
    pub rustc: String,
    /// For which machines it was built.
    pub target: String,
    /// With which profile, and what was changed of it.
    pub profile: String,
    /// The version that counts.
    pub valgrind: String,
    /// The C library's version.
    pub libc: String,
    /// Whether programs find AVX2.
    pub avx2: bool,
}

/// How far counts that were taken under other conditions mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// They do.
    Same,
    /// Nearly: what was not written here may differ.
    Near,
    /// Not at all.
    Apart,
}

impl Conditions {
    /// Those of this program on this machine.
    pub(super) fn here(valgrind: &str) -> Self {
        Self {
            rustc: env!("BENCHES_RUSTC").to_owned(),
            target: env!("BENCHES_TARGET").to_owned(),
            profile: env!("BENCHES_PROFILE").to_owned(),
            valgrind: valgrind.to_owned(),
            libc: libc(),
            avx2: has_avx2(),
        }
    }

    pub(super) fn likeness(&self, other: &Self) -> Likeness {
        if self == other {
            Likeness::Same
        } else if (&self.target, &self.profile) == (&other.target, &other.profile) {
            Likeness::Near
        } else {
            Likeness::Apart
        }
    }

    /// What differs, in words: here, and in `other`.
    pub(super) fn differences(&self, other: &Self) -> String {
        let avx2 = |it: &Self| if it.avx2 { "yes" } else { "no" }.to_owned();
        let pairs = [
            ("rustc", self.rustc.clone(), other.rustc.clone()),
            ("target", self.target.clone(), other.target.clone()),
            ("profile", self.profile.clone(), other.profile.clone()),
            ("valgrind", self.valgrind.clone(), other.valgrind.clone()),
            ("libc", self.libc.clone(), other.libc.clone()),
            ("AVX2", avx2(self), avx2(other)),
        ];
        let differ = pairs.iter().filter(|(_, here, there)| here != there);
        let words = differ.map(|(what, here, there)| format!("{what} {here} instead of {there}"));
        words.collect::<Vec<_>>().join(", ")
    }
}

/// The last word of what `ldd` says of itself: it belongs to the C library. (What a distribution adds changes no count.)
fn libc() -> String {
    let output = Command::new("ldd").arg("--version").output();
    let output = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let said = output.unwrap_or_default();
    let words = said.lines().next().map(str::split_whitespace);
    let version = words.and_then(Iterator::last);
    version.unwrap_or("unknown").to_owned()
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}
