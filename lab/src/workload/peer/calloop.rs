//! The crate `calloop`: a callback for each descriptor.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use calloop::generic::Generic;
use calloop::{EventLoop, Interest, Mode, PostAction};

use super::steps::Steps;
use crate::workload::driver::Driver;
use crate::workload::pipes::Link;

pub(crate) struct CalloopDriver<'a> {
    event_loop: EventLoop<'a, Steps<'a>>,
    steps: Steps<'a>,
    readers: Vec<Arc<OwnedFd>>,
}

impl<'a> CalloopDriver<'a> {
    pub(crate) fn new(links: &'a [Link<'a>], readers: &[Arc<OwnedFd>]) -> io::Result<Self> {
        let event_loop = EventLoop::try_new().map_err(io::Error::other)?;
        Ok(CalloopDriver { event_loop, steps: Steps::new(links), readers: readers.to_vec() })
    }

    fn run(&mut self) -> io::Result<()> {
        while self.steps.are_left() {
            self.event_loop.dispatch(None, &mut self.steps).map_err(io::Error::other)?;
        }
        self.steps.end()
    }
}

impl Driver for CalloopDriver<'_> {
    fn register(&mut self) -> io::Result<()> {
        let handle = self.event_loop.handle();
        for (index, reader) in self.readers.iter().enumerate() {
            let source = Generic::new(Arc::clone(reader), Interest::READ, Mode::Level);
            let inserted = handle.insert_source(source, move |_, _, steps| {
                steps.ready(index);
                Ok(PostAction::Continue)
            });
            inserted.map_err(|error| io::Error::other(error.to_string()))?;
        }
        Ok(())
    }

    fn ring(&mut self, writes: u64, _: u8) -> io::Result<()> {
        self.steps.begin_ring(writes);
        self.run()
    }

    fn watch(&mut self, operations: u64, _: &crate::workload::helper::Sender) -> io::Result<()> {
        self.steps.begin_watch(operations)?;
        self.run()
    }
}
