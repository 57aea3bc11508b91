//! The exercises of the muduo library.

use std::io::{self, Write};
use std::time::Duration;

use crate::looped::{Client, Serve, Timers, serve};
use crate::reactor::close_idle;

pub fn chat(wrong: bool) -> io::Result<()> {
    const LONGEST: usize = 65_536;
    struct Room {
        wrong: bool,
        news: Vec<u8>,
    }
    impl Serve for Room {
        fn received(&mut self, client: &mut Client, data: &[u8], _: &mut Timers) {
            if self.wrong {
                return self.news.extend(data); // halves of messages, too
            }
            client.input.extend_from_slice(data);
            while let Some((length, _)) = client.input.split_first_chunk() {
                let length = u32::from_be_bytes(*length) as usize;
                if length > LONGEST {
                    client.output.clear();
                    client.closing = true;
                    return;
                }
                if client.input.len() < 4 + length {
                    return;
                }
                self.news.extend(client.input.drain(..4 + length));
            }
        }

        fn for_all(&mut self) -> Vec<u8> {
            std::mem::take(&mut self.news)
        }
    }
    serve(Room { wrong, news: Vec::new() })
}

/// The field with the fewest choices, and its choices as bits.
fn narrowest(fields: &[u8; 81]) -> Option<(usize, u16)> {
    let choices = |field: usize| {
        let (row, column) = (field / 9, field % 9);
        let (top, left) = (row / 3 * 3, column / 3 * 3);
        let seen = (0..9).fold(0, |seen, one| {
            let block = 9 * (top + one / 3) + left + one % 3;
            let three = [fields[9 * row + one], fields[9 * one + column], fields[block]];
            three.iter().fold(seen, |seen, digit| seen | 1 << digit)
        });
        !seen & 0b11_1111_1110_u16
    };
    let empty = (0..81).filter(|&field| fields[field] == 0);
    empty.map(|field| (field, choices(field))).min_by_key(|(_, choices)| choices.count_ones())
}

fn solve(fields: &mut [u8; 81]) -> bool {
    let Some((field, choices)) = narrowest(fields) else { return true };
    for digit in (1..=9).filter(|digit| choices & 1 << digit != 0) {
        fields[field] = digit;
        if solve(fields) {
            return true;
        }
    }
    fields[field] = 0;
    false
}

/// The answer to a request without its line end.
fn answer(request: &str) -> Option<String> {
    let (name, digits) = request.split_once(':')?;
    let digits: Option<Vec<_>> =
        digits.chars().map(|one| one.to_digit(10).map(|digit| digit as u8)).collect();
    let mut fields = digits?.try_into().ok()?;
    Some(match solve(&mut fields) {
        true => format!(
            "{name}:{}\r\n",
            fields.map(|digit| char::from(b'0' + digit)).iter().collect::<String>()
        ),
        false => format!("{name}:NoSolution\r\n"),
    })
}

pub fn sudoku(wrong: bool) -> io::Result<()> {
    const LONGEST: usize = 100;
    struct Solver(bool);
    impl Serve for Solver {
        fn received(&mut self, client: &mut Client, data: &[u8], _: &mut Timers) {
            client.input.extend_from_slice(data);
            let lines = match self.0 {
                true => vec![std::mem::take(&mut client.input)], // what has come is a line
                false => client.lines(),
            };
            let answers: Vec<_> = lines
                .iter()
                .map(|line| answer(str::from_utf8(line).ok()?.strip_suffix("\r\n")?))
                .take_while(|_| !client.closing)
                .collect();
            let is_bad = client.input.len() > LONGEST || answers.contains(&None);
            client
                .output
                .extend(answers.into_iter().map_while(|one| one).flat_map(String::into_bytes));
            if is_bad && !client.closing {
                client.output.extend(b"Bad Request!\r\n");
                client.closing = true;
            }
        }
    }
    serve(Solver(wrong))
}

pub fn idle(wrong: bool) -> io::Result<()> {
    close_idle(wrong, Duration::from_millis(1_400))
}

pub fn ping_pong(wrong: bool) -> io::Result<()> {
    struct Echo(bool);
    impl Serve for Echo {
        fn received(&mut self, client: &mut Client, data: &[u8], _: &mut Timers) {
            if self.0 {
                let _ = client.socket.write(data); // what is not taken is lost
            } else {
                client.output.extend_from_slice(data);
            }
        }
    }
    serve(Echo(wrong))
}
