//! Holdfast's configuration: from the text of a TOML file to [`Settings`], or to every error in it.
//!
//! The file's shape is not the program's shape: the private file types say what may be written, [`Settings`] says what
//! is meant, with every default filled in.

mod settings;

pub use settings::{
    AccessLog, Admin, App, Control, Hold, Listen, Probe, ResumeRate, Server, Settings, Timeouts,
};
