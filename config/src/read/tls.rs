//! `tls` of a `[[listen]]`

use std::path::PathBuf;

use super::acme;
use crate::table::Table;
use crate::{CertificateFiles, ClientCertificates, Tls};

/// Each is read and kept in memory.
const CERTIFICATES_MAX: usize = 1_000;
/// The longest path of a file, in octets: Linux's `PATH_MAX`, less the zero at the end.
const PATH_MAX: usize = 4095;

/// `agreed`: there is an `[acme]`.
pub(super) fn read(mut table: Table<'_>, agreed: bool) -> Option<Tls> {
    if !table.is_present() {
        return None;
    }
    let acme = table.value("acme", r#"["shop.example.com"]"#);
    // Whoever gets its certificates from an authority needs no file; half of a pair is a slip all the same.
    let begun = ["certificate", "key"].map(|key| table.place_of(key).is_some());
    let first = files(&mut table, acme.place().is_none() || begun.contains(&true));
    let acme = acme::names(acme, agreed);
    let also = table.tables("also").into_iter().take(CERTIFICATES_MAX);
    let also: Vec<_> = also
        .filter_map(|mut table| {
            let files = files(&mut table, true);
            table.end();
            files
        })
        .collect();
    let clients = clients(&mut table);
    table.end();
    Some(Tls {
        certificates: first.into_iter().chain(also).collect(),
        clients,
        acme,
    })
}

fn files(table: &mut Table<'_>, needed: bool) -> Option<CertificateFiles> {
    let certificate = path(table, "certificate", r#""cert.pem""#, needed);
    let key = path(table, "key", r#""key.pem""#, needed);
    Some(CertificateFiles {
        certificate: certificate?,
        key: key?,
    })
}

fn clients(table: &mut Table<'_>) -> Option<ClientCertificates> {
    let ca = table.value("client_ca", r#""clients.pem""#);
    let required = table.value("client_required", "true");
    if required.place().is_some() && ca.place().is_none() {
        let _: Option<()> = required.wrong("needs `client_ca`: whose certificates are good?");
    }
    Some(ClientCertificates {
        ca: ca.parsed(file)?,
        required: required.flag().unwrap_or(true),
    })
}

fn path(
    table: &mut Table<'_>,
    key: &'static str,
    example: &'static str,
    needed: bool,
) -> Option<PathBuf> {
    if needed {
        table.needs(key, example);
    }
    table.value(key, example).parsed(file)
}

/// A file's path, from the configuration's directory if it does not begin with a slash.
pub(super) fn file(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("the path is empty".to_owned()),
        _ if text.len() > PATH_MAX => Err(format!(
            "the path has at most {PATH_MAX} characters, not {}",
            text.len()
        )),
        _ if text.contains('\0') => Err("no zero may stand in a path".to_owned()),
        path => Ok(path.into()),
    }
}
