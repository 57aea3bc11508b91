//! The system calls, one by one.

mod calls;
mod write_now;
