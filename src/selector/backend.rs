//! The backends, by value and by name.

use std::str::FromStr;
use std::{fmt, io};

use super::Selector;
use super::auto::AutoSelector;
use super::epoll::EpollSelector;
use super::poll::PollSelector;
use super::select::SelectSelector;
use super::unknown_name::UnknownName;

/// The system call behind a selector, or the choice among them.
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
    /// `epoll(7)`, 2002. It is the default.
    #[default]
    Epoll,
    /// The mio crate's selector.
    #[cfg(feature = "mio")]
    Mio,
    /// `poll` or `epoll`, whichever costs less for the present load: [`AutoSelector`].
    Auto,
}

impl Backend {
    /// All backends of this build that are one call. [`Auto`](Self::Auto), which changes between two
    /// of them, is not among them.
    pub const ALL: &'static [Backend] = &[
        Backend::Select,
        Backend::Poll,
        Backend::Epoll,
        #[cfg(feature = "mio")]
        Backend::Mio,
    ];

    /// All backends that can be chosen by name.
    const NAMED: &'static [Backend] = &[
        Backend::Select,
        Backend::Poll,
        Backend::Epoll,
        #[cfg(feature = "mio")]
        Backend::Mio,
        Backend::Auto,
    ];

    /// Returns the name, as it is parsed.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Select => "select",
            Backend::Poll => "poll",
            Backend::Epoll => "epoll",
            #[cfg(feature = "mio")]
            Backend::Mio => "mio",
            Backend::Auto => "auto",
        }
    }

    /// Returns a new selector of this backend, with its defaults.
    ///
    /// # Errors
    ///
    /// epoll and mio fail when the process has no free descriptors or memory.
    pub fn selector(self) -> io::Result<Box<dyn Selector>> {
        Ok(match self {
            Backend::Select => Box::new(SelectSelector::new()),
            Backend::Poll => Box::new(PollSelector::new()),
            Backend::Epoll => Box::new(EpollSelector::new()?),
            #[cfg(feature = "mio")]
            Backend::Mio => Box::new(super::mio::MioSelector::new()?),
            Backend::Auto => Box::new(AutoSelector::new()),
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

    /// Parses `"select"`, `"poll"`, `"epoll"`, `"mio"` or `"auto"`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        UnknownName::find("backend", name, Backend::NAMED)
    }
}
