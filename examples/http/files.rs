//! The files of the server.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Advice, Mode, OFlags, ResolveFlags, fadvise, openat2};
use rustix::io::{Errno, retry_on_intr};
use tripoll::pool::Pool;

use super::protocol::{Status, Version};

/// A file that was opened, with its version, or the reason why it was not.
pub type Opened = Result<(File, Version), Status>;

/// A folder with files, and a pool to open them, since `open(2)` may wait for a disk.
pub struct Files {
    root: Arc<File>,
    pub pool: Pool,
}

impl Files {
    pub fn new(root: &Path) -> io::Result<Self> {
        let named = |error| io::Error::other(format!("{}: {error}", root.display()));
        let root = Arc::new(File::open(root).map_err(named)?);
        Ok(Files { root, pool: Pool::new(2, 1_000)? })
    }

    /// Returns the job that opens a file.
    pub fn job(&self, path: &str) -> impl FnOnce() -> Opened + Send + use<> {
        let (root, path) = (Arc::clone(&self.root), path.into());
        move || open(&root, path)
    }
}

/// Opens a file below `root`. Whatever the path is, it leads nowhere else, not by a link either.
fn open(root: &File, mut path: String) -> Opened {
    if path.is_empty() || path.ends_with('/') {
        path.push_str("index.html");
    }
    // Without `NONBLOCK`, the open of a FIFO would wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let opened = retry_on_intr(|| openat2(root, &path, flags, Mode::empty(), beneath));
    let file = File::from(opened.map_err(|error| match error {
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::NXIO => Status::NOT_FOUND,
        // A link that leads out of the root is no file, either.
        Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::XDEV => Status::NOT_FOUND,
        _ => Status::UNAVAILABLE, // there are no descriptors, or there is no memory
    })?);
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => {
            // The kernel begins to read it, so that the loop has less to wait for. This may fail.
            let _ = fadvise(&file, 0, None, Advice::WillNeed);
            let modified = (metadata.mtime(), metadata.mtime_nsec());
            Ok((file, Version { length: metadata.len(), modified }))
        }
        _ => Err(Status::NOT_FOUND),
    }
}
