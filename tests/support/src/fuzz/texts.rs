//! Texts that users, files of settings and peers write.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr};
use std::str;
use std::time::Duration;

use tripoll::net::{Address, ToAddress, Utf8Decoder, Watermarks};
use tripoll::reactor::Budget;
use tripoll::selector::Interest;
use tripoll::{Backend, Deadline, Token, Trigger};

/// Whether a text could begin a line of a log, or act on a terminal.
fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// Whether each character is shown as it is.
fn is_plain(text: &str) -> bool {
    let is_shown = |c: char| matches!(c, '\'' | '"') || c.escape_debug().eq([c]);
    text.chars().all(is_shown)
}

/// An address is parsed or refused. What it is printed as is the same address.
pub fn address(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match text.parse::<Address>() {
        Ok(address) => {
            assert_eq!(text.to_address().unwrap(), address);
            let shown = address.to_string();
            assert!(!has_control(&shown), "{shown:?}");
            if is_plain(text) {
                assert_eq!(shown.parse::<Address>().unwrap(), address);
            }
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let message = error.to_string();
            assert!(!has_control(&message), "{message:?}");
            if !message.contains("is a host name") {
                assert_eq!(text.to_address().unwrap_err().to_string(), message);
            }
        }
    }
}

/// A host and a port are the same address as their text. No name is resolved here.
pub fn host_and_port(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some((host, port)) = text.rsplit_once(':') else { return };
    let Ok(port) = port.parse::<u16>() else { return };
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = inside.parse::<IpAddr>() {
        let is_bracketed_v4 = inside != host && ip.is_ipv4();
        match (host, port).to_address() {
            Ok(address) => {
                assert!(!is_bracketed_v4, "{text:?}");
                assert_eq!(address, Address::Inet((ip, port).into()));
            }
            Err(error) => {
                assert!(is_bracketed_v4, "{text:?}: {error}");
                assert!(!has_control(&error.to_string()));
            }
        }
    } else if host.contains(['[', ']']) {
        let is_scoped = inside != host
            && inside.split_once('%').is_some_and(|(ip, _)| ip.parse::<Ipv6Addr>().is_ok());
        if !is_scoped {
            let error = (host, port).to_address().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!has_control(&error.to_string()), "{error:?}");
        }
    }
}

/// The name of a backend or a trigger is one of those that it prints.
pub fn names(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let backend = Backend::ALL.iter().find(|backend| backend.name() == text);
    match text.parse::<Backend>() {
        Ok(parsed) => assert_eq!(Some(&parsed), backend),
        Err(error) => assert!(backend.is_none() && !has_control(&error.to_string()), "{error}"),
    }
    let trigger = Trigger::ALL.iter().find(|trigger| trigger.to_string() == text);
    match text.parse::<Trigger>() {
        Ok(parsed) => assert_eq!(Some(&parsed), trigger),
        Err(error) => assert!(trigger.is_none() && !has_control(&error.to_string()), "{error}"),
    }
}

/// Any numbers make marks in order, a budget of something, a deadline and a token.
pub fn numbers(data: &[u8]) {
    let number = |index: usize| {
        let bytes = data.get(index * 8..index * 8 + 8);
        bytes.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
    };
    let [a, b, c] = [0, 1, 2].map(number);
    let marks = Watermarks::new(a as usize, b as usize, c as usize);
    assert!(marks.low < marks.high || marks.low == usize::MAX, "{marks:?}");
    assert!(marks.high <= marks.limit, "{marks:?}");
    let budget = Budget::new(a as u32, b as u32);
    assert!(budget.operations() > 0 && budget.bytes() > 0);
    let time = Duration::new(a, b as u32 % 1_000_000_000);
    let deadline = Deadline::after(time);
    assert!(deadline.remaining().is_none_or(|left| left <= time));
    assert_eq!(deadline == Deadline::Now, time.is_zero());
    let token = Token::new(a as u32, b as u32);
    assert_eq!((token.index(), token.generation()), (a as u32, b as u32));
    assert_eq!(u64::from(Token::from(c)), c);
    assert!(Interest::all().contains(Interest::from_bits_truncate(c as u8)));
}

/// Bytes that are cut anywhere decode to the same text. The first byte says where they are cut.
pub fn utf8_decoder(data: &[u8]) {
    let Some((&length, bytes)) = data.split_first() else { return };
    let mut decoder = Utf8Decoder::new();
    let mut text = String::new();
    for piece in bytes.chunks(usize::from(length).max(1)) {
        text += &decoder.decode(piece);
    }
    text += decoder.finish();
    assert_eq!(text, String::from_utf8_lossy(bytes));
    assert!(!decoder.is_unfinished());
}
