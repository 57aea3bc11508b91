//! The lab under hostile clients: its port, and the faults of its own clients.

mod faults;
#[path = "../live_support/mod.rs"]
mod live_support;
mod port;

use std::process::Command;

/// Runs this test in a process of its own: the others open and close descriptors, too, and a limit is
/// that of the process.
fn alone(name: &str, body: impl FnOnce()) {
    const MARK: &str = "LAB_ALONE";
    if std::env::var_os(MARK).is_some() {
        return body();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args([name, "--exact", "--nocapture"]).env(MARK, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
