//! The notes by number. The index and the graph name a note by its number; paths lead to numbers elsewhere.

use super::note::Note;
use super::pages::Pages;

/// Names one version of one note while it is on the shelf. Reused afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoteId(pub u32);

/// All notes, published or being taken in or out.
#[derive(Debug)]
pub struct Shelf {
    notes: Pages<Option<Box<Note>>>,
    free: Vec<NoteId>,
}

impl Shelf {
    /// Empty.
    pub fn new() -> Shelf {
        Shelf { notes: Pages::new(), free: Vec::new() }
    }

    /// Puts a note on the shelf.
    pub fn put(&mut self, note: Note) -> NoteId {
        match self.free.pop() {
            Some(id) => {
                if let Some(slot) = self.notes.get_mut(id.0 as usize) {
                    *slot = Some(Box::new(note));
                }
                id
            }
            None => {
                let id =
                    NoteId(u32::try_from(self.notes.len()).expect("a file is over a byte of address space"));
                self.notes.push(Some(Box::new(note)));
                id
            }
        }
    }

    /// The note, unless it has been taken away.
    pub fn note(&self, id: NoteId) -> Option<&Note> {
        self.notes.get(id.0 as usize)?.as_deref()
    }

    /// Takes a note off the shelf; nothing may name it any longer.
    pub fn take(&mut self, id: NoteId) -> Option<Box<Note>> {
        let note = self.notes.get_mut(id.0 as usize)?.take();
        if note.is_some() {
            self.free.push(id);
        }
        note
    }
}
