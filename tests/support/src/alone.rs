//! A test that needs a process to itself, for its limits, its logger or its count of descriptors.

use std::process::{Child, Command, Stdio};
use std::{env, thread};

/// Runs `body` in a child process in which `test`, its name with its modules, runs alone.
pub fn in_own_process(test: &str, body: impl FnOnce()) {
    in_own_processes(test, &[""], |_| body());
}

/// Runs `body` in a child process for each of `cases`, all at the same time, and gives it its case.
pub fn in_own_processes(test: &str, cases: &[impl AsRef<str>], body: impl FnOnce(&str)) {
    const CASE: &str = "TRIPOLL_TEST_CASE";
    if let Ok(case) = env::var(CASE) {
        return body(&case);
    }
    let spawn = |case: &str| {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(CASE, case)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children: Vec<(&str, Child)> =
        cases.iter().map(|case| (case.as_ref(), spawn(case.as_ref()))).collect();
    assert!(!children.is_empty());
    for (case, child) in children {
        let output = child.wait_with_output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!thread::panicking() && output.status.success(), "{case}: {stdout}{stderr}");
        // A wrong name would run no test at all.
        assert!(stdout.contains("1 passed"), "{case}: {stdout}");
    }
}
