//! `tripoll check`: each check says "right" to a right solution and "wrong" to a wrong one, in Rust and
//! in Python, and what it says is in the book.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tripoll_lab::check::EXERCISES;

const TRIPOLL: &str = env!("CARGO_BIN_EXE_tripoll");
const RUST: &str = env!("CARGO_BIN_EXE_exercise");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn check(name: &str, command: &[&str]) -> Output {
    Command::new(TRIPOLL).args(["check", name, "--"]).args(command).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn has_python() -> bool {
    let version = Command::new("python3").arg("--version").output();
    let is_there = version.is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("python3 is missing: its solutions are skipped");
    }
    is_there
}

fn is_right(name: &str, command: &[&str]) {
    let output = check(name, command);
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{command:?}: {output:?}");
    assert!(report.ends_with("\nright\n") && !report.contains("WRONG"), "{command:?}: {report}");
}

fn is_wrong(name: &str, command: &[&str], sentence: &str) {
    let output = check(name, command);
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{command:?}: {output:?}");
    let line = report.lines().find_map(|line| line.strip_prefix("  WRONG  ")).expect(report);
    assert!(line.contains(sentence), "{command:?}: {line}");
    let place = report.lines().last().and_then(|line| line.strip_prefix("read ")).expect(report);
    let (page, anchor) = place.split_once('#').expect(place);
    let page = std::fs::read_to_string(root().join(page)).expect(place);
    assert!(page.contains(&format!("\n<a id=\"{anchor}\"></a>\n")), "{place}");
}

fn has_io_uring() -> bool {
    let output = Command::new(example("ch35_completion")).output().unwrap();
    let is_there = text(&output.stdout) != "this kernel refuses io_uring\n";
    if !is_there {
        eprintln!("this kernel refuses io_uring: exercise 35 is skipped");
    }
    is_there
}

/// Both solutions of an exercise, in both languages, side by side.
fn solutions(name: &str, sentence: &str) {
    if name == "35" && !has_io_uring() {
        return;
    }
    let is_chapter = name.starts_with(|first: char| first.is_ascii_digit());
    let file = format!("{}{name}.py", if is_chapter { "ch" } else { "" });
    let python = root().join("lab/solutions").join(file);
    let python = python.to_str().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| is_right(name, &[RUST, name, "right"]));
        scope.spawn(|| is_wrong(name, &[RUST, name, "wrong"], sentence));
        if has_python() {
            scope.spawn(|| is_right(name, &["python3", python, "right"]));
            scope.spawn(|| is_wrong(name, &["python3", python, "wrong"], sentence));
        }
    });
}

/// A test for each exercise, with the beginning of what is wrong with the wrong solution.
macro_rules! solutions {
    ($($test:ident: $name:literal, $sentence:literal;)*) => {
        $(
            #[test]
            fn $test() {
                solutions($name, $sentence);
            }
        )*

        #[test]
        fn every_exercise_has_its_solutions() {
            let names: Vec<_> = EXERCISES.iter().map(|exercise| exercise.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

solutions! {
    exercise_01_select: "01", "expected that the server sleeps while no client sends, seen: it is busy";
    exercise_02_poll: "02", "expected that the server sleeps while clients wait that have reset";
    exercise_03_epoll: "03", "files in the list after 10 clients have left, seen: 2";
    exercise_04_edge: "04", "(1024 bytes)\", then nothing for 3 s";
    exercise_05_one_at_a_time: "05", "expected that ann reads the end of the stream, seen: nothing for";
    exercise_06_inputs: "06", "seen: nothing for 3 s; dora had sent much, and read nothing";
    exercise_07_message_dict: "07", "expected that bob reads the end of the stream, seen: \"好\"";
    exercise_08_back_pressure: "08", "expected that the server keeps less than 16 MiB";
    exercise_09_ports: "09", "seen: a reset of the connection; bob had sent something";
    exercise_10_tokens: "10", "dora, who has the number of cy, gets nothing yet, seen: \"the line of cy";
    exercise_11_contract: "11", "\"abc\", then nothing for 3 s; an urgent byte came behind abc";
    exercise_12_answers: "12", "expected that the server sleeps while ann's lines wait, seen: it is busy";
    exercise_13_timers: "13", "; she sends a byte each 0.3 s";
    exercise_14_switch: "14", "expected that 70 clients are watched by epoll, seen: 0 files";
    exercise_15_two_loops: "15", "expected that bob gets \"LLO\", seen: the end";
    exercise_16_threads: "16", "expected that the server sleeps while all clients are silent";
    exercise_17_processes: "17", "expected that client 2 gets \"2\\n\", seen: \"1\\n\"";
    exercise_18_pool: "18", "seen: nothing for 3 s; fifty silent clients came before";
    exercise_19_shutdown: "19", "expected that ann gets \"done\\n\", seen: the end; SIGTERM came before";
    exercise_20_always_writable: "20", "expected that the server sleeps while no client asks, seen: it is busy";
    exercise_21_blocking_edge: "21", "seen: nothing for 3 s; ann was answered before, and is silent now";
    exercise_22_goodbyes: "22", "expected that ann gets \"5\\n\", seen: the end";
    exercise_23_slow_handler: "23", "while ann's calculation runs, seen: ann's answer before bob's";
    exercise_24_worker_answers: "24", "expected that ann gets \"slow a\\nquick b\\nslow c\\nquick d\\n\", seen: \"quick b";
    exercise_25_out_of_descriptors: "25", "while it has no descriptor for the clients that wait, seen: it is busy";
    exercise_26_one_listener: "26", "expected that 30 clients wake one loop each, seen: ";
    exercise_27_one_shot: "27", "expected that ann gets \"90\", seen: \"0\"; the 0 came while a thread worked";
    exercise_28_connect: "28", " connected\"";
    exercise_29_no_promise: "29", "expected a listener that does not block";
    exercise_30_idle: "30", "no line end, is closed after 2 s, seen: no end";
    exercise_31_children: "31", "expected that bob reads the end of the stream, seen: nothing for 3 s; a helper runs";
    exercise_32_async: "32", "costs less than a mebibyte, seen: the server has grown by ";
    exercise_33_signal_driven: "33", "of 10 at once gets \"HELLO\", seen: nothing for 3 s";
    exercise_34_proxy: "34", "expected that ann gets \"the answer\", seen: the end; ann had finished sending";
    exercise_35_completion: "35", "at once gets \"i am number ";
    exercise_chat: "chat", "in between\", seen: \"\\0\\0\\0\\0";
    exercise_sudoku: "sudoku", "expected that bob gets nothing yet, seen: \"Bad Request!";
    exercise_idle: "idle", "; it sends twice a second";
    exercise_ping_pong: "ping-pong", " bytes back, seen: ";
}

/// An example of the course, run from where it was built.
fn example(name: &str) -> PathBuf {
    let target = Path::new(TRIPOLL).parent().unwrap();
    let program = target.join("examples").join(name);
    assert!(program.exists(), "{program:?} is missing; `cargo build --examples` builds it");
    program
}

#[test]
fn programs_of_the_course_are_right() {
    for exercise in EXERCISES {
        if let Some(command) = exercise.example
            && (exercise.name != "35" || has_io_uring())
        {
            let mut words = command.split(' ');
            let program = example(words.next().unwrap());
            let arguments: Vec<_> = [program.to_str().unwrap()].into_iter().chain(words).collect();
            is_right(exercise.name, &arguments);
        }
    }
}

#[test]
fn programs_of_the_course_with_bugs_are_wrong() {
    for (name, program, sentence) in [
        (
            "01",
            "message_dict_literal",
            "expected that bob gets \"hello\", seen: \"hello\" and then",
        ),
        ("07", "message_dict_literal", "expected that bob reads the end of the stream, seen: \"好"),
        ("09", "multiport", "expected that ann gets \"hello from "),
    ] {
        is_wrong(name, &[example(program).to_str().unwrap()], sentence);
    }
}

#[test]
fn the_book_names_each_check_and_has_its_paragraph() {
    for exercise in EXERCISES {
        for language in ["en", "zh"] {
            let path = format!("book/{language}/src/{}.md", exercise.page);
            let page = std::fs::read_to_string(root().join(&path)).expect(&path);
            let anchor = format!("\n<a id=\"{}\"></a>\n", exercise.anchor);
            assert!(page.contains(&anchor), "{path} has no {anchor}");
            let command = format!("`cargo run --release -- check {} -- COMMAND`", exercise.name);
            assert!(page.contains(&command), "{path} has no {command}");
        }
    }
}

#[test]
fn every_exercise_is_explained() {
    let list = Command::new(TRIPOLL).args(["check", "--list"]).output().unwrap();
    for (exercise, line) in EXERCISES.iter().zip(text(&list.stdout).lines()) {
        assert!(line.starts_with(exercise.name) && line.ends_with(exercise.title), "{line}");
        let output = Command::new(TRIPOLL).args(["check", exercise.name]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let explained = text(&output.stdout);
        for part in [exercise.title, "Hints:", "-- COMMAND", "{}", exercise.page] {
            assert!(explained.contains(part), "{explained}");
        }
        let mut text = explained.lines().filter(|line| !line.starts_with("  cargo "));
        assert!(text.all(|line| line.chars().count() <= 80), "{explained}");
    }
    assert_eq!(text(&list.stdout).lines().count(), EXERCISES.len());
}

#[test]
fn wrong_arguments_are_one_line_and_two() {
    for (arguments, reason) in [
        (&["check", "99"][..], "no exercise is named '99'"),
        (&["check"], "required"),
        (&["check", "01", "--", "/no/such/program"], "cannot start"),
    ] {
        let output = Command::new(TRIPOLL).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let message = text(&output.stderr);
        assert!(message.contains(reason) && message.lines().count() == 1, "{message}");
    }
}

/// A program for the shell, which needs nothing but a shell.
fn shell(program: &str) -> [&str; 3] {
    ["sh", "-c", program]
}

#[test]
fn a_program_that_is_no_server_gets_a_sentence_in_time() {
    for (program, sentence) in [
        ("echo oh no >&2; exit 3", "it has ended with exit status: 3; its last words: oh no"),
        ("sleep 100", "after 1 s it does not listen; it has printed nothing"),
        ("yes garbage", "after 1 s it does not listen; its last words: garbage"),
        ("sleep 100 & sleep 100 & echo started; wait", "its last words: started"),
        ("(setsid sleep 100 &); exit 0", "it has ended with exit status: 0"),
    ] {
        let begin = Instant::now();
        let output = Command::new(TRIPOLL)
            .args(["check", "01", "--start-within", "1", "--"])
            .args(shell(program))
            .output()
            .unwrap();
        let report = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{program}: {output:?}");
        assert!(report.contains("WRONG  expected that the program listens on 127."), "{report}");
        assert!(report.contains(sentence), "{program}: {report}");
        assert!(begin.elapsed() < Duration::from_secs(30), "{program}");
    }
}

#[test]
fn a_program_that_forks_without_end_is_ended() {
    let program = "while true; do sleep 100 & done";
    let output = check("01", &shell(program));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("the program has started "), "{output:?}");
}

#[test]
fn a_server_that_dies_or_floods_gets_a_sentence() {
    if !has_python() {
        return;
    }
    let server = "import os, socket\n\
        host, port = os.environ['HOST'], int(os.environ['PORT'])\n\
        s = socket.create_server((host, port))\n\
        c, _ = s.accept()\n";
    for (then, sentence) in [
        (
            "raise SystemExit('enough')",
            "the program has ended: exit status: 1; its last words: enough",
        ),
        ("while True: c.send(b'garbage' * 1000)", "expected that bob gets \"hello\""),
        ("while True: print('garbage' * 10000, flush=True)", "the program has printed "),
        ("while True: os.read(c.fileno(), 9) and s.accept()", "expected that bob gets \"hello\""),
    ] {
        let program = format!("{server}{then}");
        let output = check("01", &["python3", "-c", &program]);
        let report = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{then}: {output:?}");
        assert!(report.contains(sentence), "{then}: {report}");
    }
}

#[test]
fn the_address_is_given_in_each_way() {
    if !has_python() {
        return;
    }
    let echo = |address: &str, then: &str| {
        format!(
            "import os, sys, socketserver\n\
             class H(socketserver.BaseRequestHandler):\n\
             \x20   def handle(self):\n\
             \x20       while data := self.request.recv(1024): self.request.sendall(data)\n\
             socketserver.TCPServer.allow_reuse_address = True\n\
             s = socketserver.TCPServer({address}, H)\n{then}\n\
             s.handle_error = lambda *_: None\n\
             s.serve_forever()"
        )
    };
    let environment = echo("(os.environ['HOST'], int(os.environ['PORT']))", "");
    let place = echo("('127.0.0.1', int(sys.argv[1].split(':')[1]))", "");
    let listen = echo("('127.0.0.1', int(sys.argv[2].split(':')[1]))", "");
    let own = echo(
        "('127.0.0.1', 0)",
        "print('listening on 127.0.0.1:%d' % s.server_address[1], flush=True)",
    );
    is_right("05", &["python3", "-c", &environment]);
    is_right("05", &["python3", "-c", &place, "{}"]);
    is_right("05", &["python3", "-c", &listen]);
    is_right("05", &["python3", "-c", &own]);
}

#[test]
fn ctrl_c_ends_the_program_and_all_that_it_has_started() {
    let mut check = Command::new(TRIPOLL)
        .args(["check", "01", "--start-within", "60", "--"])
        .args(shell("sleep 100 & (setsid sleep 100 &); echo; wait"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let descendants = || {
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_below = |pid: &i32| {
            let mut pid = *pid;
            while pid > 1 && pid != check.id() as i32 {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
                pid = parent.map_or(0, |parent| parent.parse().unwrap());
            }
            pid == check.id() as i32
        };
        pids.filter(is_below).filter(|&pid| pid != check.id() as i32).collect::<Vec<_>>()
    };
    let mut started = descendants();
    while started.len() < 3 {
        thread::sleep(Duration::from_millis(5));
        started = descendants();
    }
    kill_process(Pid::from_child(&check), Signal::INT).unwrap();
    assert_eq!(check.wait().unwrap().code(), Some(130));
    for pid in started {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let is_gone = stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']));
        assert!(is_gone, "{stat}");
    }
}
