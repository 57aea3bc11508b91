//! A descriptor that is registered and removed, among N others.

mod thread_time;

use std::io::{PipeReader, pipe};
use std::os::fd::AsRawFd;

use criterion::{Criterion, criterion_group, criterion_main};
use thread_time::{ThreadTime, by_thread_time};
use tripoll::{Backend, Interest, Token, Trigger};

fn churn(criterion: &mut Criterion<ThreadTime>) {
    for n in [0, 100, 1_000] {
        let mut group = criterion.benchmark_group(format!("churn/among-{n}"));
        let pipes: Vec<_> =
            (0..=n).map(|_| pipe().expect("the descriptor limit allows it")).collect();
        let readers: Vec<&PipeReader> = pipes.iter().map(|(reader, _)| reader).collect();
        for &backend in Backend::ALL {
            let mut selector = backend.selector().expect("a descriptor is free");
            let trigger = match selector.caps().triggers.contains(&Trigger::Level) {
                true => Trigger::Level,
                false => Trigger::Edge,
            };
            let add = |selector: &mut dyn tripoll::Selector, index: usize| {
                let token = Token::new(index as u32, 0);
                let fd = readers[index].as_raw_fd();
                selector.add(fd, token, Interest::READ, trigger).expect("it is not registered");
            };
            (0..n).for_each(|index| add(&mut *selector, index));
            group.bench_function(backend.name(), |bencher| {
                bencher.iter(|| {
                    add(&mut *selector, n);
                    selector.remove(readers[n].as_raw_fd()).expect("it is registered");
                })
            });
        }
    }
}

criterion_group! { name = benches; config = by_thread_time(); targets = churn }
criterion_main!(benches);
