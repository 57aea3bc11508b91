//! A lone wait: one descriptor of N is written to, waited for and read.
//!
//! The workload is the watch table of `tripoll compare`, driven by the same code, on the same pipes
//! for all: the C library's calls by themselves, mio by itself, and `tripoll::selector` and `tripoll::reactor`
//! over each.

use criterion::{Criterion, criterion_group, criterion_main};
use tripoll_lab::workload::{Contender, Pipes, Workload};

fn wait(criterion: &mut Criterion) {
    for n in [10, 100, 1_000] {
        let pipes = Pipes::open(n).expect("the descriptor limit allows them");
        let mut group = criterion.benchmark_group(format!("wait/1-of-{n}"));
        for contender in Contender::all() {
            group.bench_function(contender.to_string(), |bencher| {
                bencher.iter_custom(|operations| {
                    let run = Workload::Watch { n, operations }.run(contender, &pipes);
                    run.expect("pipes do not fail").wall
                })
            });
        }
    }
}

criterion_group!(benches, wait);
criterion_main!(benches);
