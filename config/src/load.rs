//! From a file, a text or nothing to settings.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;

use crate::report::{Finding, Report, without_secrets};
use crate::{Checked, Errors, Overrides, Settings, read};

/// The longest file that is read, in octets.
const FILE_MAX: u64 = 1 << 20;

impl Settings {
    /// What the configuration `text` means. `file_name` is only for the errors.
    ///
    /// Instances and listeners given by name are looked up, which may block.
    pub fn parse(text: &str, file_name: &str) -> Result<Checked, Errors> {
        Self::parse_with(text, file_name, &Overrides::default())
    }

    /// As [`Settings::parse`], with the flags that override the file.
    pub fn parse_with(
        text: &str,
        file_name: &str,
        overrides: &Overrides,
    ) -> Result<Checked, Errors> {
        if text.len() as u64 > FILE_MAX {
            return Err(whole_file(file_name, too_long()));
        }
        let read = read::file(text, overrides);
        let text = without_secrets(text, &read.secrets);
        if !read.errors.is_empty() {
            return Err(Errors(Report::new(file_name, &text, read.errors)));
        }
        Ok(Checked {
            settings: overrides.apply(read.settings),
            warnings: crate::Warnings(Report::new(file_name, &text, read.warnings)),
        })
    }

    /// Reads the file at `path`: UTF-8, at most 1 MiB.
    pub fn load(path: &Path) -> Result<Checked, Errors> {
        Self::load_with(path, &Overrides::default())
    }

    /// As [`Settings::load`], with the flags that override the file.
    pub fn load_with(path: &Path, overrides: &Overrides) -> Result<Checked, Errors> {
        let name = path.display().to_string();
        let octets = read_up_to(path, FILE_MAX + 1)
            .map_err(|error| whole_file(&name, format!("cannot be read: {error}")))?;
        let mut checked = Self::read(&octets, &name, overrides)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        checked.settings.find_files_from(directory);
        Ok(checked)
    }

    /// The content of a file.
    pub(crate) fn read(
        octets: &[u8],
        name: &str,
        overrides: &Overrides,
    ) -> Result<Checked, Errors> {
        if octets.len() as u64 > FILE_MAX {
            return Err(whole_file(name, too_long()));
        }
        match str::from_utf8(octets) {
            Ok(text) => Self::parse_with(text, name, overrides),
            Err(error) => Err(not_utf8(name, octets, error.valid_up_to())),
        }
    }

    /// Paths of certificates count from there.
    fn find_files_from(&mut self, directory: &Path) {
        if let Some(root) = self.acme.as_mut().and_then(|acme| acme.root.as_mut()) {
            *root = directory.join(&root);
        }
        let tls = self
            .listen
            .iter_mut()
            .filter_map(|listen| listen.tls.as_mut());
        for tls in tls {
            for files in &mut tls.certificates {
                files.certificate = directory.join(&files.certificate);
                files.key = directory.join(&files.key);
            }
            if let Some(clients) = &mut tls.clients {
                clients.ca = directory.join(&clients.ca);
            }
        }
        let apps = self.apps.values_mut();
        for tls in apps.filter_map(|app| app.upstream.tls.as_mut()) {
            tls.ca = directory.join(&tls.ca);
            if let Some(files) = &mut tls.shown {
                files.certificate = directory.join(&files.certificate);
                files.key = directory.join(&files.key);
            }
        }
    }

    /// What holds without a file: one app, `default`, that takes every host and path, with every limit at its default.
    pub fn without_file(listen: Vec<SocketAddr>) -> Self {
        let overrides = Overrides {
            listen,
            ..Overrides::default()
        };
        let read = read::file("[app.default]", &overrides);
        overrides.apply(read.settings)
    }
}

fn read_up_to(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut octets)?;
    Ok(octets)
}

fn too_long() -> String {
    format!("longer than {} KiB", FILE_MAX >> 10)
}

fn whole_file(name: &str, message: String) -> Errors {
    let finding = Finding {
        place: None,
        message,
        example: None,
        hint: None,
    };
    Errors(Report::new(name, "", vec![finding]))
}

fn not_utf8(name: &str, octets: &[u8], valid: usize) -> Errors {
    let text = String::from_utf8_lossy(octets);
    let finding = Finding {
        // The valid part is the same in both; what follows is a replacement character.
        place: Some(valid..valid + char::REPLACEMENT_CHARACTER.len_utf8()),
        message: "not UTF-8".to_owned(),
        example: None,
        hint: Some("this octet is no UTF-8".to_owned()),
    };
    Errors(Report::new(name, &text, vec![finding]))
}
