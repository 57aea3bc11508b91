//! A wait for one ready descriptor of N: a byte is written, waited for and read.
//!
//! The workload is the watch table of `tripoll compare`, driven by the same code. The contenders
//! are the C library's calls, mio, and `tripoll::selector` and `tripoll::reactor` over each. All
//! use the same pipes.

mod contenders;
mod thread_time;

use contenders::contenders;
use criterion::{Criterion, criterion_group, criterion_main};
use thread_time::{ThreadTime, by_thread_time};
use tripoll_lab::workload::{Pipes, Workload};

fn wait(criterion: &mut Criterion<ThreadTime>) {
    for n in [10, 100, 1_000] {
        let pipes = Pipes::open(n).expect("the descriptor limit allows them");
        let mut group = criterion.benchmark_group(format!("wait/1-of-{n}"));
        for contender in contenders() {
            group.bench_function(contender.to_string(), |bencher| {
                bencher.iter_custom(|operations| {
                    let run = Workload::Watch { n, operations }.run(contender, &pipes);
                    run.expect("pipes do not fail").cpu
                })
            });
        }
    }
}

criterion_group! { name = benches; config = by_thread_time(); targets = wait }
criterion_main!(benches);
