//! A vector that never moves what it holds: growing it costs one page, not a copy of everything.
//!
//! `Vec` doubles, and copying 20 MB takes longer than a turn may.

/// Items by index, in pages of [`PAGE`].
#[derive(Debug, Clone)]
pub struct Pages<T> {
    pages: Vec<Vec<T>>,
}

impl<T> Pages<T> {
    /// Holds nothing yet.
    pub fn new() -> Pages<T> {
        Pages { pages: Vec::new() }
    }

    /// Items held.
    pub fn len(&self) -> usize {
        match self.pages.split_last() {
            Some((last, full)) => full.len() * PAGE + last.len(),
            None => 0,
        }
    }

    /// Appends one item.
    pub fn push(&mut self, item: T) {
        if self.pages.last().is_none_or(|page| page.len() == PAGE) {
            self.pages.push(Vec::with_capacity(PAGE));
        }
        if let Some(page) = self.pages.last_mut() {
            page.push(item);
        }
    }

    /// The item at `index`.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.pages.get(index / PAGE)?.get(index % PAGE)
    }

    /// The item at `index`, to change.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.pages.get_mut(index / PAGE)?.get_mut(index % PAGE)
    }
}

impl<T> Default for Pages<T> {
    fn default() -> Pages<T> {
        Pages::new()
    }
}

/// Items in a page: 16 to 48 KiB for the types we keep.
pub const PAGE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_found_across_pages() {
        let mut pages = Pages::new();
        (0..3 * PAGE + 1).for_each(|n| pages.push(n));
        assert_eq!(pages.len(), 3 * PAGE + 1);
        assert_eq!(
            (pages.get(PAGE), pages.get(3 * PAGE), pages.get(3 * PAGE + 1)),
            (Some(&PAGE), Some(&(3 * PAGE)), None)
        );
    }
}
