//! An authority of our own, and a certificate for every site.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::trouble::Trouble;

/// The authority's certificate, for clients.
pub(super) const CA: &str = "ca.pem";

/// Writes the files, and says what stands under `[[listen]]` for them.
pub(super) fn write(directory: &Path, sites: &[String]) -> Result<String, Trouble> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = &mut authority.distinguished_name;
    name.push(DnType::CommonName, "load test authority");
    let key = KeyPair::generate()?;
    let ca = authority.self_signed(&key)?.pem();
    let issuer = Issuer::new(authority, key);

    let mut site = CertificateParams::new(sites.to_vec())?;
    site.distinguished_name.push(DnType::CommonName, "sites");
    site.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = site.signed_by(&key, &issuer)?.pem();

    let [cert_file, key_file] = ["site.pem", "site.key"].map(|name| directory.join(name));
    let write = |path: &Path, text: String| std::fs::write(path, text);
    write(&directory.join(CA), ca)
        .and_then(|()| write(&cert_file, certificate))
        .and_then(|()| write(&key_file, key.serialize_pem()))
        .map_err(|why| Trouble::io("the certificate", why))?;
    Ok(format!(
        "tls = {{ certificate = {cert_file:?}, key = {key_file:?} }}"
    ))
}
