//! The system calls, one by one.

mod calls;
