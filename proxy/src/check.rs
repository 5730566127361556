//! `holdfast check`: every error of a configuration, or that there is none.

use std::io::Write;

use holdfast_config::Settings;

use crate::cli;

/// Prints what is wrong; true when the configuration is sound.
pub(crate) fn run(typed: &cli::Check) -> bool {
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let colour = std::io::IsTerminal::is_terminal(&err) && std::env::var_os("NO_COLOR").is_none();
    let checked = Settings::load(&typed.config);
    // A closed pipe is the reader's choice.
    let _ = match &checked {
        Ok(checked) if typed.json => {
            let object =
                serde_json::json!({ "ok": true, "errors": [], "warnings": checked.warnings });
            writeln!(out, "{object}")
        }
        Ok(checked) => {
            let _ = write!(err, "{}", checked.warnings.render(colour));
            writeln!(out, "{}: sound", typed.config.display())
        }
        Err(errors) if typed.json => {
            let object = serde_json::json!({ "ok": false, "errors": errors, "warnings": [] });
            writeln!(out, "{object}")
        }
        Err(errors) => write!(err, "{}", errors.render(colour)),
    };
    checked.is_ok()
}
