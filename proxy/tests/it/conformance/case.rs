//! The cases, as they are written down.

use serde::Deserialize;

/// Octets, written as a string of which each character is one.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Octets(pub(crate) Vec<u8>);

impl From<String> for Octets {
    fn from(text: String) -> Self {
        Self(text.chars().map(|octet| octet as u8).collect())
    }
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    #[serde(rename = "MUST")]
    Must,
    #[serde(rename = "SHOULD")]
    Should,
    #[serde(rename = "RECOMMENDED")]
    Recommended,
    #[serde(rename = "BEST")]
    Best,
    #[serde(rename = "MAY")]
    May,
}

/// What a client sends, and what may become of it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RequestCase {
    pub(super) id: String,
    pub(super) description: String,
    pub(crate) raw: Octets,
    pub(crate) expect: String,
    #[serde(default)]
    pub(super) also_ok: Vec<String>,
    pub(super) rfc: String,
    pub(super) level: Level,
    #[serde(default)]
    pub(super) forbid_upstream: Vec<String>,
    #[serde(default)]
    pub(super) must_upstream: Vec<String>,
    pub(super) upstream_count: Option<usize>,
    #[serde(default)]
    pub(super) must_close: bool,
    #[serde(default)]
    pub(super) half_close: bool,
    pub(crate) timeout_s: Option<u64>,
}

/// What an app answers, and what may become of it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ResponseCase {
    pub(super) id: String,
    pub(super) description: String,
    pub(super) raw: Octets,
    pub(super) expect: String,
    pub(super) rfc: String,
    pub(super) level: Level,
    pub(super) reuse: Option<bool>,
    #[serde(default)]
    pub(super) forbid_client: Vec<String>,
    #[serde(default)]
    pub(super) forbid_next: Vec<String>,
    #[serde(default)]
    pub(super) fin: bool,
    pub(super) request_headers: Option<String>,
    pub(super) timeout_s: Option<u64>,
}

pub(crate) fn requests() -> Vec<RequestCase> {
    serde_json::from_str(include_str!("requests.json")).unwrap()
}

pub(super) fn responses() -> Vec<ResponseCase> {
    serde_json::from_str(include_str!("responses.json")).unwrap()
}
