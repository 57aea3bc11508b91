//! The library libevent: a persistent event for each descriptor, in a loop of its own.

use std::ffi::{CStr, c_char, c_int, c_short, c_void};
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

use tripoll::Backend;

use super::library::{Library, Opaque, function};
use crate::workload::driver::Driver;
use crate::workload::helper::Sender;
use crate::workload::peer::steps::Steps;
use crate::workload::pipes::Link;

/// `EV_READ | EV_PERSIST`.
const READ_PERSIST: c_short = 0x02 | 0x10;
/// The bits of glibc's `fd_set`. libevent's `select` aborts the process above them, as Debian builds it.
const SET_SIZE: c_int = 1_024;

type Callback = unsafe extern "C" fn(c_int, c_short, *mut c_void);

/// The functions that are used.
#[derive(Clone, Copy)]
struct Functions {
    config_new: unsafe extern "C" fn() -> Opaque,
    config_avoid_method: unsafe extern "C" fn(Opaque, *const c_char) -> c_int,
    config_free: unsafe extern "C" fn(Opaque),
    base_new_with_config: unsafe extern "C" fn(Opaque) -> Opaque,
    base_free: unsafe extern "C" fn(Opaque),
    base_loop: unsafe extern "C" fn(Opaque, c_int) -> c_int,
    base_loopbreak: unsafe extern "C" fn(Opaque) -> c_int,
    base_get_method: unsafe extern "C" fn(Opaque) -> *const c_char,
    event_new: unsafe extern "C" fn(Opaque, c_int, c_short, Callback, *mut c_void) -> Opaque,
    event_add: unsafe extern "C" fn(Opaque, *const c_void) -> c_int,
    event_free: unsafe extern "C" fn(Opaque),
}

impl Functions {
    fn load() -> io::Result<Self> {
        let library = Library::LIBEVENT.load()?;
        // SAFETY: the types are those of libevent's headers, which no version 2 has changed.
        unsafe {
            Ok(Functions {
                config_new: function(library, "event_config_new")?,
                config_avoid_method: function(library, "event_config_avoid_method")?,
                config_free: function(library, "event_config_free")?,
                base_new_with_config: function(library, "event_base_new_with_config")?,
                base_free: function(library, "event_base_free")?,
                base_loop: function(library, "event_base_loop")?,
                base_loopbreak: function(library, "event_base_loopbreak")?,
                base_get_method: function(library, "event_base_get_method")?,
                event_new: function(library, "event_new")?,
                event_add: function(library, "event_add")?,
                event_free: function(library, "event_free")?,
            })
        }
    }
}

pub(crate) struct LibeventDriver<'a> {
    functions: Functions,
    base: Opaque,
    events: Vec<Opaque>,
    /// The arguments of the callbacks. Their addresses stay the same.
    slots: Vec<Slot<'a>>,
    links: &'a [Link<'a>],
    /// Only reached through this pointer, because callbacks have it, too.
    steps: *mut Steps<'a>,
}

/// What a callback gets.
struct Slot<'a> {
    index: usize,
    steps: *mut Steps<'a>,
    base: Opaque,
    stop: unsafe extern "C" fn(Opaque) -> c_int,
}

unsafe extern "C" fn on_ready(_: c_int, _: c_short, argument: *mut c_void) {
    // SAFETY: the argument is a slot of the driver, which lives as long as the loop. Nothing else uses
    // the steps while the loop runs.
    unsafe {
        let slot = &*argument.cast::<Slot<'_>>();
        if !(*slot.steps).ready(slot.index) {
            (slot.stop)(slot.base);
        }
    }
}

impl<'a> LibeventDriver<'a> {
    pub(crate) fn new(backend: Backend, links: &'a [Link<'a>]) -> io::Result<Self> {
        let highest = links.iter().map(|link| link.from.as_raw_fd()).max();
        if backend == Backend::Select && highest >= Some(SET_SIZE) {
            let message = format!("libevent's select has no descriptor above {}", SET_SIZE - 1);
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        let functions = Functions::load()?;
        let others: &[&CStr] = match backend {
            Backend::Select => &[c"epoll", c"poll"],
            Backend::Poll => &[c"epoll", c"select"],
            _ => &[c"poll", c"select"],
        };
        // SAFETY: the configuration is used between its creation and its end.
        let base = unsafe {
            let config = (functions.config_new)();
            if config.is_null() {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            others.iter().for_each(|other| {
                (functions.config_avoid_method)(config, other.as_ptr());
            });
            let base = (functions.base_new_with_config)(config);
            (functions.config_free)(config);
            base
        };
        if base.is_null() {
            return Err(io::Error::other(format!("libevent has no {backend}")));
        }
        let steps = Box::into_raw(Box::new(Steps::new(links)));
        let (events, slots) = (Vec::new(), Vec::with_capacity(links.len()));
        let driver = LibeventDriver { functions, base, events, slots, links, steps };
        // SAFETY: the base is valid, and returns a string that lives as long as the library.
        let method = unsafe { CStr::from_ptr((functions.base_get_method)(base)) };
        if method.to_bytes() != backend.name().as_bytes() {
            return Err(io::Error::other(format!("libevent took {method:?} for {backend}")));
        }
        Ok(driver)
    }

    fn run(&mut self) -> io::Result<()> {
        // SAFETY: the base, its events and their slots are valid, and nothing else uses the steps.
        match unsafe { (self.functions.base_loop)(self.base, 0) } {
            // SAFETY: the loop has ended.
            0 => unsafe { (*self.steps).end() },
            _ => Err(io::Error::other("event_base_loop failed")),
        }
    }
}

impl Driver for LibeventDriver<'_> {
    fn register(&mut self) -> io::Result<()> {
        let Functions { event_new, event_add, base_loopbreak, .. } = self.functions;
        let (steps, base) = (self.steps, self.base);
        let slot = |index| Slot { index, steps, base, stop: base_loopbreak };
        self.slots.extend((0..self.links.len()).map(slot));
        for (link, slot) in self.links.iter().zip(&mut self.slots) {
            let (fd, argument) = (link.from.as_raw_fd(), (&raw mut *slot).cast());
            // SAFETY: the base is valid, and the slot lives as long as the event.
            let event = unsafe { event_new(base, fd, READ_PERSIST, on_ready, argument) };
            if event.is_null() {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            self.events.push(event);
            // SAFETY: the event is valid. No timeout is given.
            if unsafe { event_add(event, null_mut()) } != 0 {
                return Err(io::Error::other("event_add failed"));
            }
        }
        Ok(())
    }

    fn ring(&mut self, writes: u64, _: u8) -> io::Result<()> {
        // SAFETY: the loop does not run.
        unsafe { (*self.steps).begin_ring(writes) };
        self.run()
    }

    fn watch(&mut self, operations: u64, _: &Sender) -> io::Result<()> {
        // SAFETY: the loop does not run.
        unsafe { (*self.steps).begin_watch(operations) }?;
        self.run()
    }
}

impl Drop for LibeventDriver<'_> {
    fn drop(&mut self) {
        // SAFETY: each is freed once, the events before their base, and the steps after both.
        unsafe {
            self.events.iter().for_each(|&event| (self.functions.event_free)(event));
            (self.functions.base_free)(self.base);
            drop(Box::from_raw(self.steps));
        }
    }
}
