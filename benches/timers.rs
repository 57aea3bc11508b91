//! A timer that is set and cancelled among N others, through the context of a reactor.

mod thread_time;

use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use thread_time::{ThreadTime, by_thread_time};
use tripoll::Reactor;

fn timers(criterion: &mut Criterion<ThreadTime>) {
    let mut group = criterion.benchmark_group("timers/set-and-cancel");
    for alive in [0, 1_000, 1_000_000_u64] {
        let mut reactor = Reactor::new().expect("the process has descriptors");
        let mut cx = reactor.context();
        let start = cx.now() + Duration::from_secs(3_600);
        // Spread by a multiplication: neither in order nor against it.
        let at = |i: u64| start + Duration::from_nanos(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
        for i in 0..alive {
            cx.set_timer(at(i), |_| ());
        }
        let mut next = alive;
        group.bench_function(format!("among-{alive}"), |bencher| {
            bencher.iter_batched(
                || {
                    next += 1;
                    at(next)
                },
                |at| {
                    let timer = cx.set_timer(at, |_| ());
                    cx.cancel_timer(timer)
                },
                BatchSize::SmallInput,
            )
        });
    }
}

criterion_group! { name = benches; config = by_thread_time(); targets = timers }
criterion_main!(benches);
