//! A long list that only grows. A `Vec` that does is copied whole each time it doubles: a million requests, and whoever
//! measures stands still for 40 ms in the middle of it.

/// So many in one piece.
const PAGE: usize = 4096;

pub(super) struct Pages<T>(Vec<Vec<T>>);

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Pages<T> {
    pub(super) fn push(&mut self, one: T) {
        match self.0.last_mut() {
            Some(page) if page.len() < PAGE => page.push(one),
            _ => {
                let mut page = Vec::with_capacity(PAGE);
                page.push(one);
                self.0.push(page);
            }
        }
    }

    /// In the order in which they have come.
    pub(super) fn into_vec(self) -> Vec<T> {
        self.0.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_there_in_its_order_and_nothing_is_moved() {
        let mut pages = Pages::default();
        pages.push(0);
        let first: *const usize = &raw const pages.0[0][0];
        (1..10_000).for_each(|number| pages.push(number));
        assert_eq!(first, &raw const pages.0[0][0]);
        assert!(pages.into_vec().into_iter().eq(0..10_000));
    }
}
