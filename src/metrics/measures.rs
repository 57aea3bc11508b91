//! The metrics of this crate.

use super::value::{Kind, Value};
use crate::net::ListenerCounters;
use crate::net::loops::LoopCounters;
use crate::pool::PoolCounters;
use crate::reactor::Counters;

/// One metric: its name, what it is, and a line of help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// The name, such as `tripoll_loop_turns_total`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// A line of help.
    pub help: &'static str,
}

const fn counter(name: &'static str, help: &'static str) -> Measure {
    Measure { name, kind: Kind::Counter, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Measure {
    Measure { name, kind: Kind::Gauge, help }
}

/// What has metrics: the counters of this crate, and types of yours.
///
/// ```
/// use tripoll::metrics::{Exposition, Kind, Measure, Measures, Value};
///
/// struct Shop {
///     orders: u64,
/// }
///
/// impl Measures for Shop {
///     const MEASURES: &'static [Measure] =
///         &[Measure { name: "shop_orders_total", kind: Kind::Counter, help: "Orders." }];
///
///     fn values(&self) -> Vec<Value> {
///         vec![self.orders.into()]
///     }
/// }
///
/// let mut text = Exposition::new();
/// text.add([([], Shop { orders: 3 })]);
/// assert!(text.as_str().contains("shop_orders_total 3"));
/// ```
pub trait Measures {
    /// The metrics.
    const MEASURES: &'static [Measure];

    /// Returns the values, in the order of the metrics.
    fn values(&self) -> Vec<Value>;
}

/// Metrics with names that begin with `tripoll_loop_`.
impl Measures for Counters {
    const MEASURES: &'static [Measure] = &[
        counter("tripoll_loop_turns_total", "Turns of the loop."),
        counter("tripoll_loop_waits_total", "System calls that wait."),
        counter("tripoll_loop_events_total", "Events that the kernel reported."),
        counter(
            "tripoll_loop_dispatches_total",
            "Calls of handlers because their source was ready.",
        ),
        counter("tripoll_loop_spurious_total", "Calls of handlers in vain."),
        counter(
            "tripoll_loop_idle_total",
            "Calls of handlers that did nothing with their source and kept it.",
        ),
        counter("tripoll_loop_stale_total", "Events of sources that were removed before."),
        counter(
            "tripoll_loop_parked_total",
            "Sources that were parked because of an error that stays.",
        ),
        counter("tripoll_loop_cut_off_total", "Calls of handlers that the budget ended."),
        counter(
            "tripoll_loop_controls_total",
            "System calls that changed what the kernel watches.",
        ),
        counter(
            "tripoll_loop_controls_saved_total",
            "Changes of interest that needed no system call.",
        ),
        counter("tripoll_loop_repairs_total", "Repairs of the kernel's list."),
        counter("tripoll_loop_wakes_total", "Wakes that needed a system call."),
        counter("tripoll_loop_wakes_saved_total", "Wakes that needed none."),
        counter("tripoll_loop_timers_total", "Timers and deadlines that fired."),
        counter("tripoll_loop_jobs_total", "Jobs that ran in the loop."),
        counter("tripoll_loop_errors_total", "Sources that were removed because of an error."),
        counter("tripoll_loop_panics_total", "Handlers, timers and jobs that panicked."),
        counter("tripoll_loop_switches_total", "Switches to another backend."),
    ];

    fn values(&self) -> Vec<Value> {
        vec![
            self.turns.into(),
            self.waits.into(),
            self.events.into(),
            self.dispatches.into(),
            self.spurious.into(),
            self.idle.into(),
            self.stale.into(),
            self.parked.into(),
            self.cut_off.into(),
            self.controls.into(),
            self.controls_saved.into(),
            self.repairs.into(),
            self.wakes.into(),
            self.wakes_saved.into(),
            self.timers.into(),
            self.jobs.into(),
            self.errors.into(),
            self.panics.into(),
            self.switches.into(),
        ]
    }
}

/// Metrics with names that begin with `tripoll_pool_`.
impl Measures for PoolCounters {
    const MEASURES: &'static [Measure] = &[
        gauge("tripoll_pool_queued", "Jobs in the queue."),
        gauge("tripoll_pool_working", "Jobs that workers run."),
        counter("tripoll_pool_done_total", "Jobs that have ended."),
        counter(
            "tripoll_pool_waited_total",
            "Jobs that had to wait because all workers were busy.",
        ),
        counter("tripoll_pool_refused_total", "Jobs that were refused because the queue was full."),
        counter("tripoll_pool_panics_total", "Jobs that panicked."),
    ];

    fn values(&self) -> Vec<Value> {
        vec![
            self.queued.into(),
            self.working.into(),
            self.done.into(),
            self.waited.into(),
            self.refused.into(),
            self.panics.into(),
        ]
    }
}

/// Metrics with names that begin with `tripoll_listener_`.
impl Measures for ListenerCounters {
    const MEASURES: &'static [Measure] = &[
        gauge("tripoll_listener_alive", "Connections that are open."),
        counter("tripoll_listener_accepted_total", "Connections that were accepted and passed on."),
        counter(
            "tripoll_listener_refused_total",
            "Connections that were closed at once by an error, a panic or a full pool.",
        ),
        counter(
            "tripoll_listener_shed_total",
            "Connections that were closed at once in a shortage of descriptors or memory.",
        ),
        counter("tripoll_listener_pauses_total", "Pauses of accepting because of an error."),
        counter(
            "tripoll_listener_paused_at_limit_total",
            "Pauses of accepting at the limit of connections or of the pool.",
        ),
    ];

    fn values(&self) -> Vec<Value> {
        vec![
            self.alive.into(),
            self.accepted.into(),
            self.refused.into(),
            self.shed.into(),
            self.pauses.into(),
            self.paused_at_limit.into(),
        ]
    }
}

/// Metrics with names that begin with `tripoll_loops_`.
impl Measures for LoopCounters {
    const MEASURES: &'static [Measure] = &[
        gauge("tripoll_loops_alive", "Connections that are open."),
        counter("tripoll_loops_accepted_total", "Connections that the loop has begun to serve."),
        counter(
            "tripoll_loops_refused_per_peer_total",
            "Connections that were closed at once because of their peer.",
        ),
        counter(
            "tripoll_loops_paused_at_limit_total",
            "Pauses of accepting at the limit of all connections.",
        ),
    ];

    fn values(&self) -> Vec<Value> {
        vec![
            self.alive.into(),
            self.accepted.into(),
            self.refused_per_peer.into(),
            self.paused_at_limit.into(),
        ]
    }
}
