//! What is sent, and where its answer ends.

use std::ops::ControlFlow;

/// What each request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A line of so many bytes, its end included. The answer is the same line.
    Line(usize),
    /// A GET of this path. The answer is a response of HTTP/1.1.
    Http {
        /// The value of the header `Host`.
        host: String,
        /// The path, with what follows it.
        path: String,
    },
}

impl Ask {
    /// Returns the bytes of a request.
    pub(super) fn request(&self) -> Vec<u8> {
        match self {
            Ask::Line(size) => {
                let letters = (b'a'..=b'z').cycle().take(size.saturating_sub(1));
                letters.chain([b'\n']).collect()
            }
            Ask::Http { host, path } => {
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
            }
        }
    }

    /// Returns the number of bytes of a request.
    pub(super) fn bytes(&self) -> usize {
        self.request().len()
    }

    /// Returns a reader for the answers of a connection.
    pub(super) fn reader(&self) -> AnswerReader {
        match self {
            Ask::Line(_) => AnswerReader::Line { matched: 0 },
            Ask::Http { .. } => AnswerReader::Http(Part::Head),
        }
    }
}

/// Finds the end of an answer in the bytes of a connection.
#[derive(Debug)]
pub(super) enum AnswerReader {
    Line { matched: usize },
    Http(Part),
}

/// Where the reader is in a response of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Head,
    /// The rest of a body of known length.
    Body {
        left: u64,
        status: u16,
    },
    ChunkSize {
        status: u16,
    },
    /// The rest of a chunk, with the end of its line.
    Chunk {
        left: u64,
        status: u16,
    },
    Trailer {
        status: u16,
    },
    /// The body ends with the connection.
    ToTheEnd {
        status: u16,
    },
}

/// An answer, or why it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Right,
    /// An answer with a status of 400 and above.
    Status(u16),
    /// Other bytes than those expected.
    Wrong,
}

impl Answer {
    fn of(status: u16) -> Self {
        if status < 400 { Answer::Right } else { Answer::Status(status) }
    }
}

/// How many bytes were used, and the answer if it is complete.
type Read = (usize, Option<Answer>);

impl AnswerReader {
    /// Reads some of `data`, which follows what was used before.
    pub(super) fn read(&mut self, data: &[u8], request: &[u8]) -> Read {
        match self {
            AnswerReader::Line { matched } => {
                let expected = &request[*matched..];
                let count = expected.len().min(data.len());
                if data[..count] != expected[..count] {
                    return (data.len(), Some(Answer::Wrong));
                }
                *matched += count;
                if *matched < request.len() {
                    return (count, None);
                }
                *matched = 0;
                (count, Some(Answer::Right))
            }
            AnswerReader::Http(part) => {
                let mut used = 0;
                loop {
                    let (next, count) = match part.read(&data[used..]) {
                        ControlFlow::Break(answer) => return (used, answer),
                        ControlFlow::Continue(step) => step,
                    };
                    used += count;
                    match next {
                        Step::Part(next) => *part = next,
                        Step::Complete(status) => {
                            *part = Part::Head;
                            return (used, Some(Answer::of(status)));
                        }
                    }
                }
            }
        }
    }

    /// Returns the answer if it is complete because the connection has ended.
    pub(super) fn end(&self) -> Option<Answer> {
        match *self {
            AnswerReader::Http(Part::ToTheEnd { status }) => Some(Answer::of(status)),
            _ => None,
        }
    }
}

/// What follows a part.
#[derive(Debug)]
enum Step {
    Part(Part),
    Complete(u16),
}

impl Part {
    /// Reads what is complete of this part. Breaks if that is nothing.
    fn read(self, data: &[u8]) -> ControlFlow<Option<Answer>, (Step, usize)> {
        let next = |part, used| ControlFlow::Continue((Step::Part(part), used));
        let wrong = ControlFlow::Break(Some(Answer::Wrong));
        match self {
            Part::Head => match head(data) {
                Ok(httparse::Status::Complete((part, used))) => match part {
                    Part::Body { left: 0, status } => {
                        ControlFlow::Continue((Step::Complete(status), used))
                    }
                    part => next(part, used),
                },
                Ok(httparse::Status::Partial) => ControlFlow::Break(None),
                Err(_) => wrong,
            },
            Part::Body { left, status } | Part::Chunk { left, status } => {
                let count = left.min(data.len() as u64);
                if count == 0 {
                    return ControlFlow::Break(None);
                }
                let (left, used) = (left - count, count as usize);
                match self {
                    Part::Body { .. } if left == 0 => {
                        ControlFlow::Continue((Step::Complete(status), used))
                    }
                    Part::Body { .. } => next(Part::Body { left, status }, used),
                    _ if left == 0 => next(Part::ChunkSize { status }, used),
                    _ => next(Part::Chunk { left, status }, used),
                }
            }
            Part::ChunkSize { status } => match httparse::parse_chunk_size(data) {
                Ok(httparse::Status::Complete((used, 0))) => next(Part::Trailer { status }, used),
                Ok(httparse::Status::Complete((used, size))) => {
                    next(Part::Chunk { left: size.saturating_add(2), status }, used)
                }
                Ok(httparse::Status::Partial) => ControlFlow::Break(None),
                Err(_) => wrong,
            },
            Part::Trailer { status } => match data.iter().position(|&byte| byte == b'\n') {
                None => ControlFlow::Break(None),
                Some(end) if data[..end].iter().all(|&byte| byte == b'\r') => {
                    ControlFlow::Continue((Step::Complete(status), end + 1))
                }
                Some(end) => next(Part::Trailer { status }, end + 1),
            },
            Part::ToTheEnd { status } => match data.len() {
                0 => ControlFlow::Break(None),
                used => next(Part::ToTheEnd { status }, used),
            },
        }
    }
}

/// Parses the head of a response, and returns what follows it.
fn head(data: &[u8]) -> httparse::Result<(Part, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(used) = response.parse(data)? else {
        return Ok(httparse::Status::Partial);
    };
    let status = response.code.unwrap_or_default();
    let value = |name: &str| {
        let mut headers = response.headers.iter();
        let header = headers.find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let is_chunked = value("transfer-encoding").is_some_and(|value| value.ends_with("chunked"));
    let length = value("content-length").and_then(|value| value.trim().parse().ok());
    let part = match (status, is_chunked, length) {
        (100..200, _, _) => Part::Head, // the answer is still to come
        (204 | 304, _, _) => Part::Body { left: 0, status },
        (_, true, _) => Part::ChunkSize { status },
        (_, false, Some(left)) => Part::Body { left, status },
        (_, false, None) => Part::ToTheEnd { status },
    };
    Ok(httparse::Status::Complete((part, used)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads pieces as a connection does, which keeps what is left unused, and returns all answers.
    fn read(ask: &Ask, pieces: &[&[u8]]) -> (Vec<Answer>, Option<Answer>) {
        let (mut reader, request) = (ask.reader(), ask.request());
        let (mut answers, mut input) = (Vec::new(), Vec::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            loop {
                let (used, answer) = reader.read(&input, &request);
                input.drain(..used);
                answers.extend(answer);
                if used == 0 || input.is_empty() {
                    break;
                }
            }
        }
        (answers, reader.end())
    }

    #[test]
    fn a_line_is_of_its_size_and_comes_back_in_any_pieces() {
        let line = Ask::Line(5);
        assert_eq!(line.request(), b"abcd\n");
        assert_eq!(Ask::Line(1).request(), b"\n");
        assert_eq!(read(&line, &[b"ab", b"cd\nab", b"cd\n"]).0, [Answer::Right; 2]);
        assert_eq!(read(&line, &[b"ab", b"cX\n"]).0, [Answer::Wrong]);
        assert_eq!(read(&line, &[b"abcd"]), (vec![], None));
    }

    #[test]
    fn responses_end_by_their_length_their_chunks_or_the_connection() {
        let http = Ask::Http { host: "h".to_string(), path: "/a?b".to_string() };
        assert_eq!(http.request(), b"GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n");
        let all = [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..],
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n\r\nup to the end",
        ]
        .concat();
        let expected = [Answer::Right, Answer::Right, Answer::Right, Answer::Status(404)];
        let (answers, at_end) = read(&http, &[&all]);
        assert_eq!((answers, at_end), (expected.to_vec(), Some(Answer::Right)));
        let bytes: Vec<&[u8]> = all.chunks(1).collect();
        assert_eq!(read(&http, &bytes), (expected.to_vec(), Some(Answer::Right)));

        let short = read(&http, &[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"]);
        assert_eq!(short, (vec![], None));
        assert_eq!(read(&http, &[b"what?\r\n"]).0, [Answer::Wrong]);
    }
}
