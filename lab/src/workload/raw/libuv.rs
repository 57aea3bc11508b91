//! The library libuv: a poll handle for each descriptor.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::AsRawFd;

use super::library::{Library, Opaque, function};
use crate::workload::driver::Driver;
use crate::workload::helper::Sender;
use crate::workload::peer::steps::Steps;
use crate::workload::pipes::Link;

/// `UV_READABLE`.
const READABLE: c_int = 1;
/// `UV_POLL`, the type of a handle.
const POLL_HANDLE: c_int = 8;
/// `UV_RUN_DEFAULT`, and `UV_RUN_NOWAIT`.
const RUN_DEFAULT: c_int = 0;
const RUN_NOWAIT: c_int = 2;

type OnPoll = unsafe extern "C" fn(Opaque, c_int, c_int);
type OnClose = unsafe extern "C" fn(Opaque);

/// The functions that are used.
#[derive(Clone, Copy)]
struct Functions {
    loop_size: unsafe extern "C" fn() -> usize,
    handle_size: unsafe extern "C" fn(c_int) -> usize,
    loop_init: unsafe extern "C" fn(Opaque) -> c_int,
    loop_close: unsafe extern "C" fn(Opaque) -> c_int,
    run: unsafe extern "C" fn(Opaque, c_int) -> c_int,
    stop: unsafe extern "C" fn(Opaque),
    poll_init: unsafe extern "C" fn(Opaque, Opaque, c_int) -> c_int,
    poll_start: unsafe extern "C" fn(Opaque, c_int, OnPoll) -> c_int,
    close: unsafe extern "C" fn(Opaque, Option<OnClose>),
    handle_set_data: unsafe extern "C" fn(Opaque, *mut c_void),
}

impl Functions {
    fn load() -> io::Result<Self> {
        let library = Library::LIBUV.load()?;
        // SAFETY: the types are those of libuv's headers, which no version 1 has changed.
        unsafe {
            Ok(Functions {
                loop_size: function(library, "uv_loop_size")?,
                handle_size: function(library, "uv_handle_size")?,
                loop_init: function(library, "uv_loop_init")?,
                loop_close: function(library, "uv_loop_close")?,
                run: function(library, "uv_run")?,
                stop: function(library, "uv_stop")?,
                poll_init: function(library, "uv_poll_init")?,
                poll_start: function(library, "uv_poll_start")?,
                close: function(library, "uv_close")?,
                handle_set_data: function(library, "uv_handle_set_data")?,
            })
        }
    }
}

pub(crate) struct LibuvDriver<'a> {
    functions: Functions,
    event_loop: Memory,
    /// The handles that were initialised.
    handles: Vec<Memory>,
    /// The data of the handles. Their addresses stay the same.
    slots: Vec<Slot<'a>>,
    links: &'a [Link<'a>],
    /// Only reached through this pointer, because callbacks have it, too.
    steps: *mut Steps<'a>,
}

/// Memory for what libuv initialises. Its address stays the same.
struct Memory(Box<[u128]>);

impl Memory {
    fn new(bytes: usize) -> Self {
        Memory(vec![0; bytes.div_ceil(size_of::<u128>())].into())
    }

    fn address(&mut self) -> Opaque {
        self.0.as_mut_ptr().cast()
    }
}

/// The data of a handle.
struct Slot<'a> {
    index: usize,
    steps: *mut Steps<'a>,
    event_loop: Opaque,
    functions: Functions,
}

unsafe extern "C" fn on_ready(handle: Opaque, _: c_int, _: c_int) {
    // The data is the first field of a handle. `register` checks that it is.
    // SAFETY: the data is a slot of the driver, which lives as long as the loop. Nothing else uses the
    // steps while the loop runs.
    unsafe {
        let slot = &**handle.cast::<*mut Slot<'_>>();
        if !(*slot.steps).ready(slot.index) {
            (slot.functions.stop)(slot.event_loop);
        }
    }
}

/// Returns an error for the number that a function returned.
fn checked(result: c_int) -> io::Result<()> {
    match result {
        0.. => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

impl<'a> LibuvDriver<'a> {
    pub(crate) fn new(links: &'a [Link<'a>]) -> io::Result<Self> {
        let functions = Functions::load()?;
        // SAFETY: the function only returns a number.
        let mut event_loop = Memory::new(unsafe { (functions.loop_size)() });
        // SAFETY: the memory is as large as the library asks.
        checked(unsafe { (functions.loop_init)(event_loop.address()) })?;
        let steps = Box::into_raw(Box::new(Steps::new(links)));
        let (handles, slots) = (Vec::new(), Vec::with_capacity(links.len()));
        Ok(LibuvDriver { functions, event_loop, handles, slots, links, steps })
    }

    fn run(&mut self) -> io::Result<()> {
        // SAFETY: the loop, its handles and their slots are valid, and nothing else uses the steps.
        checked(unsafe { (self.functions.run)(self.event_loop.address(), RUN_DEFAULT) })?;
        // SAFETY: the loop has ended.
        unsafe { (*self.steps).end() }
    }
}

impl Driver for LibuvDriver<'_> {
    fn register(&mut self) -> io::Result<()> {
        let (steps, functions) = (self.steps, self.functions);
        let event_loop = self.event_loop.address();
        let slot = |index| Slot { index, steps, event_loop, functions };
        self.slots.extend((0..self.links.len()).map(slot));
        // SAFETY: the function only returns a number.
        let size = unsafe { (functions.handle_size)(POLL_HANDLE) };
        for (link, slot) in self.links.iter().zip(&mut self.slots) {
            let mut handle = Memory::new(size);
            let address = handle.address();
            let fd = link.from.as_raw_fd();
            // SAFETY: the memory is as large as the library asks, and stays until it is closed.
            checked(unsafe { (functions.poll_init)(event_loop, address, fd) })?;
            self.handles.push(handle);
            let data = (&raw mut *slot).cast::<c_void>();
            // SAFETY: the handle is initialised, and the slot lives as long as the loop.
            unsafe { (functions.handle_set_data)(address, data) };
            // SAFETY: as above.
            if unsafe { address.cast::<*mut c_void>().read() } != data {
                return Err(io::Error::other("the handles of this libuv are unknown"));
            }
            // SAFETY: the handle is initialised.
            checked(unsafe { (functions.poll_start)(address, READABLE, on_ready) })?;
        }
        // The kernel is told of the handles in the first turn, which is not to be measured.
        // SAFETY: the loop and its handles are valid, and no descriptor is ready.
        checked(unsafe { (functions.run)(event_loop, RUN_NOWAIT) })
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

impl Drop for LibuvDriver<'_> {
    fn drop(&mut self) {
        // SAFETY: each handle is closed once. The loop runs until that is done, and is closed then.
        unsafe {
            let close = |handle: &mut Memory| (self.functions.close)(handle.address(), None);
            self.handles.iter_mut().for_each(close);
            (self.functions.run)(self.event_loop.address(), RUN_DEFAULT);
            (self.functions.loop_close)(self.event_loop.address());
            drop(Box::from_raw(self.steps));
        }
    }
}
