//! The backends by name, to be chosen at run time.

use std::fmt;
use std::io;
use std::str::FromStr;

use super::{EpollSelector, PollSelector, SelectSelector, Selector};

/// Which kernel call a selector asks with.
///
/// ```
/// use tripoll::selector::Backend;
///
/// for &backend in Backend::ALL {
///     assert_eq!(backend.to_string().parse::<Backend>()?, backend);
///     assert_eq!(backend.selector()?.name(), backend.to_string());
/// }
/// assert!("kqueue".parse::<Backend>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// `select(2)`, 1983.
    Select,
    /// `poll(2)`, 1986.
    Poll,
    /// `epoll(7)`, 2002. The default.
    #[default]
    Epoll,
    /// The mio crate's selector.
    #[cfg(feature = "mio")]
    Mio,
}

impl Backend {
    /// All that this build has.
    pub const ALL: &'static [Backend] = &[
        Backend::Select,
        Backend::Poll,
        Backend::Epoll,
        #[cfg(feature = "mio")]
        Backend::Mio,
    ];

    /// Its name, as it is parsed.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Select => "select",
            Backend::Poll => "poll",
            Backend::Epoll => "epoll",
            #[cfg(feature = "mio")]
            Backend::Mio => "mio",
        }
    }

    /// A new selector of this kind, as its own `new` makes it.
    ///
    /// # Errors
    ///
    /// For epoll and mio when the process is out of descriptors or memory.
    pub fn selector(self) -> io::Result<Box<dyn Selector>> {
        Ok(match self {
            Backend::Select => Box::new(SelectSelector::new()),
            Backend::Poll => Box::new(PollSelector::new()),
            Backend::Epoll => Box::new(EpollSelector::new()?),
            #[cfg(feature = "mio")]
            Backend::Mio => Box::new(super::MioSelector::new()?),
        })
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Backend {
    type Err = UnknownName;

    /// `"select"`, `"poll"`, `"epoll"`, `"mio"`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        UnknownName::find("backend", name, Backend::ALL)
    }
}

/// A name that is none of those which this build knows; its message lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    message: String,
}

impl UnknownName {
    /// Finds the one of `known` that displays as `name`.
    pub(super) fn find<T: fmt::Display + Copy>(
        kind: &str,
        name: &str,
        known: &[T],
    ) -> Result<T, UnknownName> {
        known.iter().copied().find(|one| one.to_string() == name).ok_or_else(|| {
            let names: Vec<_> = known.iter().map(T::to_string).collect();
            let message = format!("unknown {kind} {name:?}; known are: {}", names.join(", "));
            UnknownName { message }
        })
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UnknownName {}
