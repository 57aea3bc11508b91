//! The commands.

use std::time::{Duration, Instant};

use super::reply::Reply;
use super::request::{Request, integer};
use super::store::{Store, WrongType};

const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
const SYNTAX: &str = "ERR syntax error";
const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
const NO_ROOM: &str = "OOM command not allowed when used memory > 'maxmemory'";

/// The names of all commands, for the error of one with other arguments.
const NAMES: &[&str] = &[
    "command", "config", "dbsize", "decr", "del", "echo", "exists", "expire", "get", "incr",
    "llen", "lpush", "lrange", "mget", "mset", "persist", "pexpire", "ping", "pttl", "quit",
    "rpush", "set", "ttl",
];

/// Answers a request. Returns whether the client goes on: false after QUIT.
pub fn run(request: &Request, store: &mut Store, out: &mut Vec<u8>) -> bool {
    let mut strings = request.strings();
    let name = strings.next().unwrap_or_default().to_ascii_lowercase();
    let arguments: Vec<&[u8]> = strings.collect();
    let mut reply = Reply::new(out);
    if let Err(error) = answer(&name, &arguments, store, &mut reply) {
        reply.error(&error);
    }
    reply.end();
    name != b"quit"
}

impl From<WrongType> for String {
    fn from(_: WrongType) -> Self {
        WRONG_TYPE.into()
    }
}

fn answer(
    name: &[u8],
    arguments: &[&[u8]],
    store: &mut Store,
    reply: &mut Reply,
) -> Result<(), String> {
    match (name, arguments) {
        (b"ping", []) => reply.text("PONG"),
        (b"ping" | b"echo", [text]) => reply.bulk(text),
        (b"quit", _) => reply.text("OK"),
        // Of what a client might want to know, nothing is known.
        (b"command", _) => reply.array(0),
        (b"config", [get, names @ ..]) if get.eq_ignore_ascii_case(b"get") => {
            reply.array(2 * names.len());
            names.iter().for_each(|name| (reply.bulk(name), reply.bulk(b"")).0);
        }
        (b"dbsize", []) => reply.count(store.count()),

        (b"get", [key]) => match store.string(key)? {
            Some(text) => reply.bulk(text),
            None => reply.null(),
        },
        (b"set", [key, text, options @ ..]) => set(key, text, options, store, reply)?,
        (b"mget", [_, ..]) => {
            reply.array(arguments.len());
            for key in arguments {
                match store.string(key) {
                    Ok(Some(text)) => reply.bulk(text),
                    Ok(None) | Err(WrongType) => reply.null(),
                }
            }
        }
        (b"mset", [_, _, ..]) if arguments.len().is_multiple_of(2) => {
            check_room(arguments, store)?;
            arguments.chunks_exact(2).for_each(|pair| store.set(pair[0], pair[1], None));
            reply.text("OK");
        }
        (b"incr", [key]) => add(key, 1, store, reply)?,
        (b"decr", [key]) => add(key, -1, store, reply)?,

        (b"del", [_, ..]) => {
            reply.count(arguments.iter().filter(|key| store.remove(key)).count());
        }
        (b"exists", [_, ..]) => {
            reply.count(arguments.iter().filter(|key| store.contains(key)).count());
        }
        (b"expire", [key, time]) => expire(key, "expire", time, 1_000, store, reply)?,
        (b"pexpire", [key, time]) => expire(key, "pexpire", time, 1, store, reply)?,
        (b"persist", [key]) => {
            let expires = store.expires(key).flatten().is_some();
            reply.count(usize::from(expires && store.set_expires(key, None)));
        }
        (b"ttl", [key]) => ttl(key, 1_000, store, reply),
        (b"pttl", [key]) => ttl(key, 1, store, reply),

        (b"lpush" | b"rpush", [key, texts @ ..]) if !texts.is_empty() => {
            check_room(arguments, store)?;
            reply.count(store.push(key, name == b"lpush", texts)?);
        }
        (b"llen", [key]) => reply.count(store.list(key)?.map_or(0, |list| list.len())),
        (b"lrange", [key, first, last]) => {
            let first = integer(first).ok_or(NOT_AN_INTEGER)?;
            let last = integer(last).ok_or(NOT_AN_INTEGER)?;
            let Some(list) = store.list(key)? else {
                reply.array(0);
                return Ok(());
            };
            let length = list.len() as i64;
            // A negative number counts from the end.
            let place =
                |n: i64| if n < 0 { n.saturating_add(length).max(0) } else { n.min(length) };
            let end = if last < -length { 0 } else { place(last).saturating_add(1).min(length) };
            let range = place(first) as usize..end.max(place(first)) as usize;
            reply.array(range.len());
            list.range(range).for_each(|text| reply.bulk(text));
        }

        _ if NAMES.iter().any(|known| known.as_bytes() == name) => {
            let name = str::from_utf8(name).unwrap_or_default();
            return Err(format!("ERR wrong number of arguments for '{name}' command"));
        }
        _ => {
            let name = &name[..name.len().min(100)];
            return Err(format!("ERR unknown command '{}'", name.escape_ascii()));
        }
    }
    Ok(())
}

/// Asserts that there is room for these strings.
fn check_room(strings: &[&[u8]], store: &Store) -> Result<(), String> {
    let size = strings.iter().map(|text| text.len() + 100).sum();
    if store.has_room(size) { Ok(()) } else { Err(NO_ROOM.into()) }
}

fn set(
    key: &[u8],
    text: &[u8],
    mut options: &[&[u8]],
    store: &mut Store,
    reply: &mut Reply,
) -> Result<(), String> {
    let (mut expires, mut keeps, mut must_exist) = (None, false, None);
    while let [option, rest @ ..] = options {
        options = rest;
        match option.to_ascii_lowercase().as_slice() {
            b"nx" if must_exist.is_none() => must_exist = Some(false),
            b"xx" if must_exist.is_none() => must_exist = Some(true),
            b"keepttl" if expires.is_none() => keeps = true,
            unit @ (b"ex" | b"px") if expires.is_none() && !keeps => {
                let [time, rest @ ..] = rest else { return Err(SYNTAX.into()) };
                options = rest;
                let milliseconds = if unit == b"ex" { 1_000 } else { 1 };
                let time = integer(time).ok_or(NOT_AN_INTEGER)?;
                let at = later(time, milliseconds, store).filter(|_| time > 0);
                expires = Some(at.ok_or("ERR invalid expire time in 'set' command")?);
            }
            _ => return Err(SYNTAX.into()),
        }
    }
    if must_exist.is_some_and(|must| must != store.contains(key)) {
        reply.null();
        return Ok(());
    }
    check_room(&[key, text], store)?;
    if keeps {
        expires = store.expires(key).flatten();
    }
    store.set(key, text, expires);
    reply.text("OK");
    Ok(())
}

fn add(key: &[u8], delta: i64, store: &mut Store, reply: &mut Reply) -> Result<(), String> {
    let number = match store.string(key)? {
        Some(text) => integer(text).ok_or(NOT_AN_INTEGER)?,
        None => 0,
    };
    let sum = number.checked_add(delta).ok_or("ERR increment or decrement would overflow")?;
    check_room(&[key], store)?;
    let expires = store.expires(key).flatten();
    store.set(key, sum.to_string().as_bytes(), expires);
    reply.integer(sum);
    Ok(())
}

fn expire(
    key: &[u8],
    name: &str,
    time: &[u8],
    milliseconds: i64,
    store: &mut Store,
    reply: &mut Reply,
) -> Result<(), String> {
    let time = integer(time).ok_or(NOT_AN_INTEGER)?;
    let done = if time <= 0 {
        store.remove(key)
    } else {
        let at = later(time, milliseconds, store);
        let at = at.ok_or_else(|| format!("ERR invalid expire time in '{name}' command"))?;
        store.set_expires(key, Some(at))
    };
    reply.count(usize::from(done));
    Ok(())
}

/// Returns the time after so many units of so many milliseconds.
fn later(time: i64, milliseconds: i64, store: &Store) -> Option<Instant> {
    let time = u64::try_from(time.checked_mul(milliseconds)?).ok()?;
    store.now().checked_add(Duration::from_millis(time))
}

/// Answers how long a value lives, in units of so many milliseconds.
fn ttl(key: &[u8], milliseconds: u128, store: &mut Store, reply: &mut Reply) {
    reply.integer(match store.life(key) {
        None => -2,
        Some(None) => -1,
        Some(Some(left)) => left.as_millis().div_ceil(milliseconds) as i64,
    });
}
