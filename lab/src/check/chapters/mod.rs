//! The exercises, in the order of the book.

mod apart;
mod calls;
mod completion;
mod faults;
mod muduo;
mod one_loop;
mod onwards;
mod reactor;
mod shared;

use super::exercise::Exercise;

/// All exercises.
pub const EXERCISES: &[&Exercise] = &[
    &calls::SELECT,
    &calls::POLL,
    &calls::EPOLL,
    &calls::EDGE,
    &one_loop::ONE_AT_A_TIME,
    &one_loop::INPUTS,
    &one_loop::MESSAGE_DICT,
    &one_loop::BACK_PRESSURE,
    &one_loop::PORTS,
    &reactor::TOKENS,
    &reactor::CONTRACT,
    &reactor::ANSWERS,
    &reactor::TIMERS,
    &reactor::SWITCH,
    &apart::TWO_LOOPS,
    &apart::THREADS,
    &apart::PROCESSES,
    &apart::POOL,
    &apart::SHUTDOWN,
    &faults::ALWAYS_WRITABLE,
    &faults::BLOCKING_EDGE,
    &faults::GOODBYES,
    &faults::SLOW_HANDLER,
    &faults::WORKER_ANSWERS,
    &faults::OUT_OF_DESCRIPTORS,
    &shared::ONE_LISTENER,
    &shared::ONE_SHOT,
    &onwards::CONNECT,
    &shared::NO_PROMISE,
    &onwards::IDLE,
    &shared::CHILDREN,
    &onwards::ASYNC,
    &onwards::SIGNAL_DRIVEN,
    &onwards::PROXY,
    &completion::COMPLETION,
    &muduo::CHAT,
    &muduo::SUDOKU,
    &muduo::IDLE_CONNECTIONS,
    &muduo::PING_PONG,
];
