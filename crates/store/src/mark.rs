//! Whether a SQLite database is as it was, told without asking it.
//!
//! In WAL mode a commit becomes visible when the header of the WAL index is replaced, in the file beside the database that
//! all its connections share as memory, those of other processes too: it counts transactions, and has the number of the last
//! frame, the salts of the log and a checksum over all of it (<https://www.sqlite.org/walformat.html>, 2.1). Every reader begins
//! by looking at it. So what was read after a look at the header is right as long as the header is the same.
//!
//! The header is there twice. A writer replaces the second copy first, so a reader that finds both alike has a whole one.

use crate::Store;
#[cfg(unix)]
use crate::database::Kind;

/// The length of one copy of the header, in bytes.
const HEADER: usize = 48;

/// Stands for everything that is in the database at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark([u8; HEADER]);

impl Store {
    /// What the database is like now: what is read from now on stays right as long as this is the same. `None` where that
    /// is known only by asking, as on PostgreSQL.
    pub fn mark(&self) -> Option<Mark> {
        #[cfg(unix)]
        if let Kind::Sqlite { index, .. } = &self.pools.kind {
            return index.mark();
        }
        None
    }
}

#[cfg(unix)]
pub(crate) use index::Index;

#[cfg(unix)]
mod index {
    use super::{HEADER, Mark};
    use std::{
        ffi::OsString,
        fs::File,
        os::unix::fs::{FileExt as _, MetadataExt as _},
        path::{Path, PathBuf},
        sync::{Arc, Mutex, PoisonError, RwLock},
    };

    /// Closing any descriptor of a file takes away all locks that the process has on it (fcntl(2)), those of SQLite too:
    /// none is ever closed.
    static NEVER_CLOSED: Mutex<Vec<Arc<File>>> = Mutex::new(Vec::new());

    /// The file of the WAL index.
    #[derive(Debug)]
    pub(crate) struct Index {
        path: PathBuf,
        open: RwLock<Option<Arc<File>>>,
    }

    impl Index {
        /// Of the database at this path.
        pub(crate) fn of(database: &Path) -> Self {
            let mut path = OsString::from(database);
            path.push("-shm");
            Self { path: path.into(), open: RwLock::default() }
        }

        pub(crate) fn mark(&self) -> Option<Mark> {
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(file) = open {
                let read = header(&file);
                // Looked at afterwards: a file that is there then was there before.
                if is_there(&file) {
                    return read;
                }
            }
            let file = self.reopen()?;
            header(&file).filter(|_| is_there(&file))
        }

        /// SQLite deletes the file with its last connection, and makes a new one with the next.
        fn reopen(&self) -> Option<Arc<File>> {
            let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(file) = open.as_ref().filter(|file| is_there(file)) {
                return Some(Arc::clone(file));
            }
            let file = Arc::new(File::open(&self.path).ok()?);
            NEVER_CLOSED.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&file));
            *open = Some(Arc::clone(&file));
            is_there(&file).then_some(file)
        }
    }

    /// The header of a file, where it is a whole one.
    fn header(file: &File) -> Option<Mark> {
        let mut both = [0; HEADER * 2];
        file.read_exact_at(&mut both, 0).ok()?;
        let (first, second) = both.split_at(HEADER);
        // Byte 12: whether it was ever written.
        let is_whole = first == second && first[12] != 0;
        is_whole.then(|| first.try_into().ok().map(Mark)).flatten()
    }

    /// SQLite deletes the file with its last connection; it never comes back.
    fn is_there(file: &File) -> bool {
        file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
    }
}
