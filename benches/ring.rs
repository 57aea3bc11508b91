//! libevent's ring: of N pipes, some hold a byte; each event reads it and writes it to the next.
//!
//! The workload is that of `tripoll compare`, driven by the same code. The contenders are the C
//! library's calls, mio, and `tripoll::selector` and `tripoll::reactor` over each. All use the same
//! pipes.

mod contenders;
mod thread_time;

use contenders::contenders;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use thread_time::{ThreadTime, by_thread_time};
use tripoll_lab::workload::{Pipes, Workload};

fn ring(criterion: &mut Criterion<ThreadTime>) {
    for n in [10, 100, 1_000] {
        let pipes = Pipes::open(n).expect("the descriptor limit allows them");
        for active in [1, n / 10, n] {
            if n == 10 && active == n / 10 {
                continue; // the same as `active == 1`
            }
            let mut group = criterion.benchmark_group(format!("ring/{active}-of-{n}"));
            group.throughput(Throughput::Elements(active as u64));
            for contender in contenders() {
                group.bench_function(contender.to_string(), |bencher| {
                    bencher.iter_custom(|laps| {
                        // Whole batches: a wait costs the same for one of its events as for all.
                        let writes = laps * active as u64;
                        let ring = Workload::Ring { n, active, writes, changes: 0 };
                        let run = ring.run(contender, &pipes);
                        run.expect("pipes do not fail").cpu
                    })
                });
            }
        }
    }
}

criterion_group! { name = benches; config = by_thread_time(); targets = ring }
criterion_main!(benches);
