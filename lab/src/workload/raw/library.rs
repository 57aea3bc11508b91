//! Libraries of C that are loaded when they are needed.

use std::ffi::c_void;
use std::io;

/// A library that may be installed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Library {
    name: &'static str,
    /// The names of its file, the most specific first.
    files: &'static [&'static str],
    /// The package of Debian that has it.
    package: &'static str,
}

impl Library {
    /// libevent 2.1.
    pub(crate) const LIBEVENT: Library = Library {
        name: "libevent",
        files: &["libevent_core-2.1.so.7", "libevent-2.1.so.7", "libevent_core.so"],
        package: "libevent-core-2.1-7",
    };
    /// libuv 1.
    pub(crate) const LIBUV: Library =
        Library { name: "libuv", files: &["libuv.so.1", "libuv.so"], package: "libuv1" };

    /// Returns why it cannot be used. `None` if it can.
    pub(crate) fn missing(&self) -> Option<String> {
        self.load().err().map(|error| error.to_string())
    }

    /// Loads the library. It is never unloaded.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is not installed.
    pub(crate) fn load(&self) -> io::Result<&'static libloading::Library> {
        let load = |file: &&str| {
            // SAFETY: the constructors of these libraries do nothing that could harm.
            unsafe { libloading::Library::new(*file) }.ok()
        };
        let library = self.files.iter().find_map(load).ok_or_else(|| {
            let Library { name, files, package } = self;
            let message = format!("{name} is not installed: {} ({package} in Debian)", files[0]);
            io::Error::new(io::ErrorKind::NotFound, message)
        })?;
        // The system counts how often it was loaded, and keeps one copy.
        Ok(Box::leak(Box::new(library)))
    }
}

/// Returns the address of a function.
///
/// # Safety
///
/// `F` is the type of the function of this name.
pub(crate) unsafe fn function<F: Copy>(
    library: &'static libloading::Library,
    name: &str,
) -> io::Result<F> {
    // SAFETY: the caller's promise.
    let symbol = unsafe { library.get::<F>(name.as_bytes()) };
    symbol.map(|symbol| *symbol).map_err(|error| io::Error::other(error.to_string()))
}

/// What the libraries point to and do not show.
pub(crate) type Opaque = *mut c_void;
