//! Packages for Python and Node, beside this binary: they go where cargo's own files are, and nowhere else.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::real::find;

/// How long an installation may take.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(300);

/// What is asked for.
const REQUIREMENTS: &str = include_str!("../clients/requirements.txt");
const PACKAGE: &str = include_str!("../clients/package.json");

/// Where the packages are.
fn directory() -> PathBuf {
    let binary = std::env::current_exe().unwrap_or_default();
    binary.with_file_name("real-clients")
}

/// The Python that has them.
pub(crate) fn python() -> PathBuf {
    directory().join("venv/bin/python3")
}

/// Where Node looks for them.
pub(crate) fn node_modules() -> PathBuf {
    directory().join("node/node_modules")
}

/// Installs what Python needs, or says why it cannot.
pub(crate) async fn install_for_python() -> Result<(), String> {
    let needed = need("python3", "apt-get install python3-venv");
    let system = needed?;
    let venv = directory().join("venv");
    let wanted = venv.join("requirements.txt");
    if std::fs::read_to_string(&wanted).is_ok_and(|there| there == REQUIREMENTS) {
        return Ok(());
    }
    let _ = std::fs::remove_dir_all(&venv);
    let hint = "python3 -m venv (Debian: apt-get install python3-venv)";
    run(
        Command::new(system).args(["-m", "venv"]).arg(&venv),
        Path::new("/"),
        hint,
    )
    .await?;
    let asked = directory().join("requirements.txt");
    write(&asked, REQUIREMENTS)?;
    let mut pip = Command::new(python());
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ])
    .arg(&asked);
    run(&mut pip, &venv, "pip install -r requirements.txt").await?;
    // Last: so it is there only if all of them are.
    write(&wanted, REQUIREMENTS)
}

/// Installs what Node needs, or says why it cannot.
pub(crate) async fn install_for_node() -> Result<(), String> {
    need("node", "apt-get install nodejs")?;
    let place = directory().join("node");
    let done = place.join("done");
    if std::fs::read_to_string(&done).is_ok_and(|there| there == PACKAGE) {
        return Ok(());
    }
    let npm = need("npm", "apt-get install npm")?;
    write(&place.join("package.json"), PACKAGE)?;
    let mut npm = Command::new(npm);
    npm.args([
        "install",
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
        "--ignore-scripts",
    ]);
    run(&mut npm, &place, "npm install").await?;
    write(&done, PACKAGE)
}

/// Where a program is, or how to get it.
pub(crate) fn need(program: &str, how: &str) -> Result<PathBuf, String> {
    find(program).ok_or_else(|| format!("{program} is not installed ({how})"))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let parent = path.parent().unwrap_or(path);
    let made = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(path, text));
    made.map_err(|why| format!("{}: {why}", path.display()))
}

async fn run(command: &mut Command, place: &Path, what: &str) -> Result<(), String> {
    let command = command.current_dir(place).stdin(Stdio::null());
    let Ok(ended) = timeout(INSTALL_TIMEOUT, command.kill_on_drop(true).output()).await else {
        return Err(format!("{what}: not within {INSTALL_TIMEOUT:?}"));
    };
    let output = ended.map_err(|why| format!("{what}: {why}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{what}: {}", String::from_utf8_lossy(&said).trim()))
}
