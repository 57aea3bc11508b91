//! Requests that the table does not have: cases that are joined, cut and changed, from a seed.
//!
//! What they must be answered, no table says. But the answer must not depend on where the input is
//! split, and after an error nothing is answered any more. `TRIPOLL_SEED=7 cargo test --test http` tries
//! other requests.

use support::{Context, Dice, noise};

use crate::cases::cases;
use crate::in_memory::Peer;
use crate::protocol::{Status, Wait};

const RUNS: usize = 10_000;

/// What may be put into a request.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"%",
    b"%00",
    b"/../",
    b"\xff",
    b"0",
    b"0\r\n\r\n",
    b"Host: a\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length",
    b"Transfer-Encoding: chunked\r\n",
    b"chunked",
    b"Connection: close\r\n",
    b"HTTP/1.0",
    b"GET / HTTP/1.1\r\n",
    b"HEAD ",
    b"POST ",
    b"fffffffffffffff",
];

/// Joins up to three of the cases, and changes the result in up to three places.
fn request(inputs: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut request = Vec::new();
    for _ in 0..=dice.below(3) {
        request.extend(&inputs[dice.below(inputs.len())]);
    }
    for _ in 0..dice.below(4) {
        let from = dice.below(request.len());
        let to = request.len().min(from + dice.below(8));
        let word = match dice.below(3) {
            0 => vec![dice.below(256) as u8],
            1 => Vec::new(),
            _ => WORDS[dice.below(WORDS.len())].to_vec(),
        };
        let is_inserted = dice.below(2) == 0;
        request.splice(from..if is_inserted { from } else { to }, word);
        request.push(b'x'); // so that it is never empty
    }
    request
}

/// Returns the statuses and bodies of the answers. Whether there is a 100 depends on how input comes.
fn answers(peer: &Peer) -> Vec<(u16, Vec<u8>)> {
    let output = &peer.output;
    let begins = |at: usize| output[at..].starts_with(b"HTTP/1.1 ") || at == output.len();
    let mut heads = Vec::new();
    let mut at = 0;
    while at < output.len() {
        assert!(begins(at), "{}", output[at..].escape_ascii());
        let end = at + output[at..].windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(output[at..end].to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        let length = head
            .split("Content-Length: ")
            .nth(1)
            .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
        // An answer to HEAD is known by what follows: no body, but the next answer.
        at = if begins(end) { end } else { end + length };
        heads.push((status, output[end..at].to_vec()));
    }
    heads.retain(|(status, _)| *status != 100);
    heads
}

#[test]
fn an_answer_does_not_depend_on_where_the_request_is_split() {
    // The longest cases are about limits, of which the first to be reached counts.
    let inputs: Vec<_> = cases()
        .into_iter()
        .map(|case| [case.first(), case.more.into_bytes()].concat())
        .filter(|input| input.len() < 3_000)
        .collect();
    for seed in noise::seeds() {
        let mut dice = Dice(seed);
        let mut refused = 0;
        for _ in 0..RUNS {
            let request = request(&inputs, &mut dice);
            let _context = Context(format!("TRIPOLL_SEED={seed}: {}", request.escape_ascii()));
            let mut whole = Peer::new();
            whole.send(&request);
            let mut split = Peer::new();
            let mut rest = &*request;
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(1 + dice.below(rest.len().min(40)));
                split.send(piece);
                rest = behind;
            }
            assert_eq!(answers(&split), answers(&whole));
            assert_eq!(split.wait, whole.wait);

            let answers = answers(&whole);
            let is_error = |status: u16| matches!(status, 400 | 413 | 414 | 417 | 431 | 505);
            let error = answers.iter().position(|(status, _)| is_error(*status));
            if let Some(error) = error {
                refused += 1;
                assert_eq!((error + 1, whole.wait), (answers.len(), Wait::Nothing));
            }
            if whole.wait != Wait::Nothing {
                whole.end(Status::REQUEST_TIMEOUT);
            }
        }
        assert!(refused > RUNS / 4 && refused < RUNS, "{refused} of {RUNS} were refused");
    }
}
