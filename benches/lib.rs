//! The benchmarks of tripoll. They are a package of their own, so that the tests of the library do
//! not build criterion and the lab.
//!
//! | bench | measures |
//! |---|---|
//! | `wait` | a wait for one ready descriptor of N |
//! | `ring` | an event of libevent's ring, with A descriptors of N ready |
//! | `interest` | the same with changes of interest in each event |
//! | `churn` | a descriptor that is registered and removed, among N others |
//! | `wake` | a wake of a loop that sleeps in another thread |
//! | `timers` | a timer that is set and cancelled among N others |
//! | `echo` | a line to a server over TCP and back, beside N idle connections |
//! | `socketserver` | a connection to each kind of server, and to CPython's if there is a `python3` |
//!
//! `cargo bench` runs all of them. Criterion's arguments follow the name of a bench:
//!
//! ```text
//! cargo bench --bench ring -- 1000-of-1000          only benchmarks with this text in their name
//! cargo bench -- --save-baseline before             measure, and keep the figures
//! cargo bench -- --baseline before                  measure, and compare with the kept figures
//! ```
//!
//! All but `socketserver` measure the processor time of the thread, which other work disturbs less than
//! wall-clock time. With `--features peers` the crate polling is among the contenders of `wait` and
//! `ring`.
//!
//! The report is `target/criterion/report/index.html`.
//!
//! The script `benches/instructions` counts the instructions of an event, with valgrind.
