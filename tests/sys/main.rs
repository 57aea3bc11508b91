//! The system calls, one by one.

mod calls;
mod nesting;
mod write_now;
