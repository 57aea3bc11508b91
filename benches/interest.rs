//! The ring with a change of interest in each event: a system call on epoll, none on select and poll.

mod thread_time;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use thread_time::{ThreadTime, by_thread_time};
use tripoll_lab::workload::{Contender, Layer, Pipes, Workload};

fn interest(criterion: &mut Criterion<ThreadTime>) {
    let (n, active) = (100, 10);
    let pipes = Pipes::open(n).expect("the descriptor limit allows them");
    for changes in [0, 1, 2] {
        let mut group = criterion.benchmark_group(format!("interest/{changes}-changes"));
        group.throughput(Throughput::Elements(active as u64));
        for contender in Contender::all().into_iter().filter(|one| one.layer != Layer::RawZero) {
            group.bench_function(contender.to_string(), |bencher| {
                bencher.iter_custom(|laps| {
                    let writes = laps * active as u64;
                    let ring = Workload::Ring { n, active, writes, changes };
                    ring.run(contender, &pipes).expect("pipes do not fail").cpu
                })
            });
        }
    }
}

criterion_group! { name = benches; config = by_thread_time(); targets = interest }
criterion_main!(benches);
