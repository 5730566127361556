//! Releases and reasons are few and occur in every record: each is kept once.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use http::HeaderValue;

/// The names that have occurred.
#[derive(Default)]
pub(crate) struct Names(RefCell<HashSet<Arc<str>>>);

impl Names {
    /// This field's value; what is not text in it does not matter.
    pub(crate) fn name(&self, value: &HeaderValue) -> Arc<str> {
        self.text(value.to_str().unwrap_or("?"))
    }

    pub(crate) fn text(&self, text: &str) -> Arc<str> {
        let mut names = self.0.borrow_mut();
        if let Some(known) = names.get(text) {
            return known.clone();
        }
        let name: Arc<str> = text.into();
        names.insert(name.clone());
        name
    }
}
