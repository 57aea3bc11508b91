//! The help of the example servers is true.

use std::path::Path;

use rustix::process::Signal;
use support::example::{Server, example, run};

/// Returns the names of all programs that have `--listen`.
pub fn servers() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let servers: Vec<String> = files
        .filter(|path| {
            let source = if path.is_dir() { path.join("main.rs") } else { path.clone() };
            std::fs::read_to_string(source).is_ok_and(|source| source.contains("-- --listen "))
        })
        .map(|path| path.file_stem().unwrap().to_str().unwrap().into())
        .filter(|name| cfg!(feature = "tls") || name != "tls_echo") // it is not built then
        .collect();
    assert!(servers.len() >= 28, "{servers:?}");
    servers
}

pub fn help(name: &str) -> String {
    let output = run(name, &["--help"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_begins_with_what_the_program_does() {
    let servers = servers();
    let mut first_lines: Vec<_> =
        servers.iter().map(|name| help(name).lines().next().unwrap().to_string()).collect();
    assert!(first_lines.iter().all(|line| !line.starts_with("Usage")), "{first_lines:?}");
    first_lines.sort();
    first_lines.dedup();
    // Two of them differ in one word, and share their help.
    assert_eq!(first_lines.len(), servers.len() - 1, "{first_lines:?}");
}

#[test]
fn each_listens_where_its_help_says_and_nowhere_else() {
    for name in servers() {
        let help = help(&name);
        let path = std::env::temp_dir().join(format!("tripoll-{name}-{}", std::process::id()));
        let abstract_name = format!("@tripoll-{name}-{}", std::process::id());
        for (address, word) in [
            ("127.0.0.1:0", "HOST:PORT (port 0"),
            (path.to_str().unwrap(), "path of a Unix socket"),
            (&abstract_name, "@NAME"),
        ] {
            let mut command = example(&name);
            command.args(["--listen", address]);
            if help.contains(word) {
                let mut server = Server::start_with(&mut command);
                server.stop(Signal::TERM);
                assert!(!path.exists(), "{name} leaves {path:?} behind");
            } else {
                let output = support::example::run_command(&mut command);
                assert!(
                    matches!(output.status.code(), Some(1 | 2)),
                    "{name} {address}: {output:?}"
                );
                let said = String::from_utf8(output.stderr).unwrap();
                assert_eq!(said.lines().count(), 1, "{name} {address}: {said}");
            }
        }
    }
}

#[test]
fn a_mistyped_option_is_refused_with_the_one_that_is_meant() {
    for name in servers() {
        let output = run(&name, &["--lisen", "127.0.0.1:0"]);
        assert_eq!(output.status.code(), Some(2), "{name}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{name}: {said}");
        assert!(said.contains("a similar argument exists: '--listen'"), "{name}: {said}");
    }
}

#[test]
fn a_socket_file_that_a_killed_server_has_left_is_replaced_and_one_in_use_is_not() {
    let mut paths = 0;
    for name in servers() {
        if !help(&name).contains("path of a Unix socket") {
            continue;
        }
        paths += 1;
        let path =
            std::env::temp_dir().join(format!("tripoll-stale-{name}-{}", std::process::id()));
        let mut command = example(&name);
        command.args(["--listen", path.to_str().unwrap()]);
        Server::start_with(&mut command).stop(Signal::KILL);
        assert!(path.exists(), "{name}");

        let mut server = Server::start_with(&mut command);
        let output = support::example::run_command(&mut command);
        assert_eq!(output.status.code(), Some(1), "{name}: {output:?}");
        assert!(path.exists(), "{name}: a second one has taken the file");
        server.stop(Signal::TERM);
        assert!(!path.exists(), "{name}");
    }
    assert!(paths >= 9, "{paths}");
}
