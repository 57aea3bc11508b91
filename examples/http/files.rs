//! The files of the server.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Advice, Mode, OFlags, ResolveFlags, fadvise, openat2};
use rustix::io::{Errno, ReadWriteFlags, preadv2, retry_on_intr};
use tripoll::pool::Pool;

use super::protocol::{Status, Version};

/// A file that was opened, with its version, or the reason why it was not.
pub type Opened = Result<(File, Version), Status>;

/// A folder with files, and a pool to open them where that may wait for a disk.
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

    /// Opens a file, if the kernel has its path, its beginning and its end in memory: then neither this nor
    /// the sending waits for a disk. `None` if it has not, or if there is no such file.
    pub fn open_cached(&self, path: &str) -> Option<(File, Version)> {
        let (file, version) = open(&self.root, path, ResolveFlags::CACHED).ok()?;
        let is_cached = |at| {
            let mut byte = [0];
            preadv2(&file, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT).is_ok()
        };
        (is_cached(0) && is_cached(version.length.saturating_sub(1))).then_some((file, version))
    }

    /// Returns the job that opens a file.
    pub fn job(&self, path: &str) -> impl FnOnce() -> Opened + Send + use<> {
        let (root, path) = (Arc::clone(&self.root), path.to_string());
        move || {
            let (file, version) = open(&root, &path, ResolveFlags::empty())?;
            // The kernel begins to read it, so that the loop has less to wait for. This may fail.
            let _ = fadvise(&file, 0, None, Advice::WillNeed);
            Ok((file, version))
        }
    }
}

/// Opens a file below `root`. Whatever the path is, it leads nowhere else, not by a link either.
fn open(root: &File, path: &str, how: ResolveFlags) -> Opened {
    let is_folder = path.is_empty() || path.ends_with('/');
    let path = if is_folder { Cow::from(format!("{path}index.html")) } else { path.into() };
    // Without `NONBLOCK`, the open of a FIFO would wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let how = how | ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let opened = retry_on_intr(|| openat2(root, &*path, flags, Mode::empty(), how));
    let file = File::from(opened.map_err(|error| match error {
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::NXIO => Status::NOT_FOUND,
        // A link that leads out of the root is no file, either.
        Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::XDEV => Status::NOT_FOUND,
        _ => Status::UNAVAILABLE, // there are no descriptors, or there is no memory
    })?);
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => {
            let modified = (metadata.mtime(), metadata.mtime_nsec());
            Ok((file, Version { length: metadata.len(), modified }))
        }
        _ => Err(Status::NOT_FOUND),
    }
}
