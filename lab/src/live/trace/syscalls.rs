//! The system calls of a turn, nearly as `strace` shows them.
//!
//! The changes of an epoll are found in the table: what was added, what was changed and what has gone.

use std::fmt::Write as _;

use super::super::record::{Call, Raw, Row, Turn};
use super::rows::Rows;

pub(super) const LEGEND_EN: &str = "\
# The system calls, as strace shows them. Of data, the first bytes stand here. A turn that has no record
# has no lines. Changes of an epoll stand before the wait that they precede. The library itself may use
# epoll_pwait2, ppoll and pselect6, which do the same with a finer timeout.
";

pub(super) const LEGEND_ZH: &str = "\
# 系统调用，写法与 strace 相同。数据只写出开头的字节。没有记录的轮没有行。epoll 的更改写在随后的等待之前。
# 库本身可能使用 epoll_pwait2、ppoll 和 pselect6，它们做同样的事，超时更精细。
";

pub(super) fn write(turn: &Turn, before: &Rows, out: &mut String) {
    if turn.skipped > 0 {
        let _ = writeln!(out, "# {} turns without a record", turn.skipped);
    }
    let _ = writeln!(out, "{}", wait(turn, before));
    for call in &turn.calls {
        let _ = writeln!(out, "{}", self::call(call, turn));
    }
    if turn.wait.call == "epoll_wait" {
        changes(turn, before, out);
    }
}

fn wait(turn: &Turn, before: &Rows) -> String {
    let wait = &turn.wait;
    let millis = wait.timeout_ms.map_or_else(|| "-1".to_string(), |ms| ms.to_string());
    let result = match &wait.error {
        Some(error) => format!("-1 {error}"),
        None => wait.raw.len().to_string(),
    };
    let raw =
        |show: &dyn Fn(&Raw) -> String| wait.raw.iter().map(show).collect::<Vec<_>>().join(", ");
    // What was asked for in this wait is what the table had before it. In the first turn, what it has now.
    let asked: Vec<&Row> = match before.is_empty() {
        true => turn.sources.iter().collect(),
        false => before.values().collect(),
    };
    match &*wait.call {
        "epoll_wait" => {
            let events = raw(&|raw| {
                format!("{{events={}, data={{fd={}}}}}", prefixed(&raw.mask, "EPOLL"), raw.fd)
            });
            let number = |key: &str| {
                let rest = wait.args.split(key).nth(1).unwrap_or_default().trim_start();
                rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().to_string()
            };
            let room = wait.args.split(" events").next().unwrap_or_default();
            let room = room.rsplit(' ').next().unwrap_or_default();
            format!("epoll_wait({}, [{events}], {room}, {millis}) = {result}", number("epfd"))
        }
        "poll" => {
            let line =
                |row: &&Row| format!("{{fd={}, events={}}}", row.fd, prefixed(&row.asked, "POLL"));
            let lines = asked.iter().filter(|row| !row.asked.is_empty()).map(line);
            let lines: Vec<_> = lines.collect();
            let events =
                raw(&|raw| format!("{{fd={}, revents={}}}", raw.fd, prefixed(&raw.mask, "POLL")));
            let found =
                if events.is_empty() { " (Timeout)".into() } else { format!(" ([{events}])") };
            let count = lines.len();
            format!("poll([{}], {count}, {millis}) = {result}{found}", lines.join(", "))
        }
        _ => {
            let set = |of: &str, all: &mut dyn Iterator<Item = (i32, &str)>| {
                let fds = all.filter(|(_, sets)| sets.split('|').any(|it| it == of));
                let fds: Vec<_> = fds.map(|(fd, _)| fd.to_string()).collect();
                if fds.is_empty() { None } else { Some(format!("[{}]", fds.join(" "))) }
            };
            let given = ["r", "w", "e"].map(|of| {
                let mut all = asked.iter().map(|row| (row.fd, row.asked.as_str()));
                set(of, &mut all).unwrap_or_else(|| "NULL".into())
            });
            let found = [("r", "in"), ("w", "out"), ("e", "exc")].map(|(of, name)| {
                let mut all = wait.raw.iter().map(|raw| (raw.fd, raw.mask.as_str()));
                set(of, &mut all).map(|fds| format!("{name} {fds}"))
            });
            let found: Vec<String> = found.into_iter().flatten().collect();
            let found = if found.is_empty() { "Timeout".into() } else { found.join(", ") };
            let nfds = asked.iter().map(|row| row.fd).max().map_or(0, |fd| fd + 1);
            let [r, w, e] = given;
            let ms = wait.timeout_ms.unwrap_or_default();
            let time = match wait.timeout_ms {
                Some(_) => format!("{{tv_sec={}, tv_usec={}}}", ms / 1_000, ms % 1_000 * 1_000),
                None => "NULL".into(),
            };
            format!("select({nfds}, {r}, {w}, {e}, {time}) = {result} ({found})")
        }
    }
}

/// Returns a mask with the names of the manual: `EPOLLIN|EPOLLRDHUP`.
fn prefixed(mask: &str, prefix: &str) -> String {
    if mask.is_empty() {
        return "0".into();
    }
    mask.split('|').map(|bit| format!("{prefix}{bit}")).collect::<Vec<_>>().join("|")
}

fn call(call: &Call, turn: &Turn) -> String {
    let result = match (&call.error, call.result) {
        (Some(error), _) => format!("-1 {error}"),
        (None, result) => result.unwrap_or_default().to_string(),
    };
    let fd = call.fd;
    match &*call.what {
        "accept" => {
            let accepted = turn
                .sources
                .iter()
                .find(|row| call.error.is_none() && Some(row.fd as u64) == call.result);
            let peer = accepted.and_then(|row| row.peer.as_deref()?.rsplit_once(':'));
            let address = peer.map_or_else(
                || "0x…, [16]".to_string(),
                |(host, port)| {
                    format!(
                        "{{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr(\"{host}\")}}, [16]"
                    )
                },
            );
            let address = if call.error.is_some() { "0x…, [128]".to_string() } else { address };
            format!("accept4({fd}, {address}, SOCK_CLOEXEC) = {result}")
        }
        what => {
            let text = call.text.as_deref().unwrap_or_default();
            let shown: String = text.chars().take(32).flat_map(char::escape_default).collect();
            let bytes = call.result.unwrap_or_default();
            let dots = if text.len() as u64 > 32 || bytes > text.len() as u64 { "..." } else { "" };
            format!("{what}({fd}, \"{shown}\"{dots}, …) = {result}")
        }
    }
}

/// Writes the calls that make the kernel's list of an epoll like the table.
fn changes(turn: &Turn, before: &Rows, out: &mut String) {
    let epoll = turn.wait.args.split(|c: char| !c.is_ascii_digit()).find(|it| !it.is_empty());
    let epoll = epoll.unwrap_or("-1");
    let mut change = |what: &str, row: &Row| {
        let events =
            format!("{{events={}, data={{fd={}}}}}", prefixed(&row.asked, "EPOLL"), row.fd);
        let events = if what == "DEL" { "NULL".to_string() } else { events };
        let _ = writeln!(out, "epoll_ctl({epoll}, EPOLL_CTL_{what}, {}, {events}) = 0", row.fd);
    };
    let is_same = |old: &Row, new: &Row| (old.slot, old.generation) == (new.slot, new.generation);
    let now = |old: &Row| turn.sources.iter().find(|new| new.fd == old.fd && is_same(old, new));
    let gone: Vec<&Row> = before.values().filter(|old| now(old).is_none()).collect();
    for row in &gone {
        change("DEL", row);
    }
    for row in &turn.sources {
        match before.get(&row.fd).filter(|old| is_same(old, row)) {
            None if !before.is_empty() => change("ADD", row),
            Some(old) if old.asked != row.asked => change("MOD", row),
            _ => {}
        }
    }
    for row in gone {
        let _ = writeln!(out, "close({}) = 0", row.fd);
    }
}
