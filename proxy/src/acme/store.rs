//! What must outlive the process: the account and the certificates with their keys. One directory for each authority,
//! for the daemon's user alone; a file is replaced whole or not at all.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The longest file that is read, in octets.
const FILE_MAX: u64 = 1 << 20;
/// The longest name of an authority's directory.
const DIRECTORY_MAX: usize = 200;

/// A file or directory of the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{what} {}", path.display())]
pub(crate) struct StoreError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl StoreError {
    fn new(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self { what, path, source }
    }
}

/// What is kept of one authority.
#[derive(Clone, Debug)]
pub(super) struct Store(PathBuf);

/// One file of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum File<'n> {
    Account,
    /// The key, then the chain, of this name: together, so that they never differ.
    Certificate(&'n str),
}

impl Store {
    /// `directory`: the URL of the authority's directory.
    pub(super) fn open(state_dir: &Path, directory: &str) -> Result<Self, StoreError> {
        let all = state_dir.join("acme");
        let own = all.join(name_of(directory));
        for path in [&all, &own, &own.join(CERTIFICATES)] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            let made = made.and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o700)));
            made.map_err(StoreError::new("making the directory", path))?;
        }
        Ok(Self(own))
    }

    pub(super) fn path(&self, file: File<'_>) -> PathBuf {
        match file {
            File::Account => self.0.join("account.json"),
            // A name has letters, digits, hyphens and dots, and begins with no dot.
            File::Certificate(name) => self.0.join(CERTIFICATES).join(format!("{name}.pem")),
        }
    }

    /// None: there is no such file. Octets that are no UTF-8 are replaced: what reads the text will notice.
    pub(super) fn read(&self, file: File<'_>) -> Result<Option<String>, StoreError> {
        let path = self.path(file);
        let mut octets = Vec::new();
        let opened = match fs::File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened,
        };
        let read = opened.and_then(|file| file.take(FILE_MAX).read_to_end(&mut octets));
        read.map_err(StoreError::new("reading", &path))?;
        Ok(Some(String::from_utf8_lossy(&octets).into_owned()))
    }

    /// Returns when it is durable.
    pub(super) async fn write(self, file: File<'_>, text: String) -> Result<(), StoreError> {
        let path = self.path(file);
        let wrong = StoreError::new("writing", &path);
        let writing = tokio::task::spawn_blocking(move || replace(&path, text.as_bytes()));
        let written = writing.await.unwrap_or_else(|error| Err(error.into()));
        written.map_err(wrong)
    }

    /// Renames what cannot be used, for a person to look at.
    pub(super) fn set_aside(&self, file: File<'_>) -> Result<(), StoreError> {
        let path = self.path(file);
        fs::rename(&path, with_end(&path, ".old")).map_err(StoreError::new("renaming", &path))
    }
}

const CERTIFICATES: &str = "certificates";

/// `https://acme.example.com/directory` is `acme.example.com-directory`.
fn name_of(directory: &str) -> String {
    let bare = directory.strip_prefix("https://").unwrap_or(directory);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let name = bare.chars().map(|c| if plain(c) { c } else { '-' });
    let name: String = name.take(DIRECTORY_MAX).collect();
    // Nothing that means this directory or the one above.
    name.trim_matches(['.', '-']).to_owned()
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Write aside, sync, rename, and sync the directory.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let aside = with_end(path, ".new");
    // One that was left half-written.
    let _ = fs::remove_file(&aside);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written?;
    path.parent()
        .map_or(Ok(()), |directory| fs::File::open(directory)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn files_are_for_their_owner_alone_and_replaced_whole() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path(), "https://acme.test:14000/dir").unwrap();
        let file = File::Certificate("shop.test");
        assert_eq!(store.read(file).unwrap(), None);
        for text in ["one", "two"] {
            store.clone().write(file, text.to_owned()).await.unwrap();
            assert_eq!(store.read(file).unwrap().unwrap(), text);
        }
        let own = home.path().join("acme/acme.test-14000-dir");
        let path = own.join("certificates/shop.test.pem");
        assert_eq!(store.path(file), path);
        assert_eq!((mode(&path), mode(&own)), (0o600, 0o700));
        store.set_aside(file).unwrap();
        assert_eq!(store.read(file).unwrap(), None);
        let files = fs::read_dir(own.join("certificates")).unwrap();
        let names: Vec<_> = files.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["shop.test.pem.old"]);
    }

    #[test]
    fn each_authority_has_a_directory_of_its_own_and_none_leads_elsewhere() {
        let staging = "https://acme-staging-v02.api.letsencrypt.org/directory";
        assert_eq!(
            name_of(staging),
            "acme-staging-v02.api.letsencrypt.org-directory"
        );
        assert_eq!(name_of("https://../../x"), "x");
        assert_eq!(name_of("https://a?b=/../c"), "a-b--..-c");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path(), "https://a/d").unwrap();
        fs::create_dir(store.path(File::Account)).unwrap();
        let error = store.read(File::Account).unwrap_err();
        assert!(error.to_string().ends_with("a-d/account.json"), "{error}");
    }
}
