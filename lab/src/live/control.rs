//! What a page can ask for: the query of `POST /control`, as a value.

use tripoll::{Backend, Trigger};

/// Until when the subject runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// A source is ready and will not be reported.
    Ghost,
    /// Bytes are written.
    Write,
    /// A read returns the end of a stream.
    End,
    /// Something is wrong.
    Lint,
    /// This turn has ended.
    Turn(u64),
}

/// A change of a subject, made between its turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Another system call.
    Backend(Backend),
    /// Another trigger.
    Trigger(Trigger),
    /// Operations of one call of a handler.
    Budget(u32),
    /// The watermark, in bytes.
    Watermark(u64),
    /// The time that a handler works on each message, in milliseconds.
    Slow(u64),
    /// The timeout of a wait, in milliseconds.
    Timeout(u64),
    /// The limit of descriptors.
    Limit(Option<u64>),
    /// The descriptors that the next wait reports.
    Predict(Vec<i32>),
}

/// A fault of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It sends no more, and reads.
    HalfClose,
    /// It closes with a reset.
    Reset,
    /// It closes.
    Close,
    /// It reads no more.
    StopReading,
    /// It reads again.
    ReadAgain,
    /// It sends one byte after the other.
    Drip,
    /// It sends without end.
    Flood,
    /// It sends nothing more of a flood or a drip.
    Calm,
    /// It sends an urgent byte.
    Urgent,
    /// The subject's descriptor is duplicated, and the duplicate kept open.
    Duplicate,
    /// The subject's reads from it block.
    Blocking,
}

impl Fault {
    /// All faults, by name.
    pub const ALL: &'static [(&'static str, Fault)] = &[
        ("half-close", Fault::HalfClose),
        ("reset", Fault::Reset),
        ("close", Fault::Close),
        ("stop-reading", Fault::StopReading),
        ("read-again", Fault::ReadAgain),
        ("drip", Fault::Drip),
        ("flood", Fault::Flood),
        ("calm", Fault::Calm),
        ("urgent", Fault::Urgent),
        ("duplicate", Fault::Duplicate),
        ("blocking", Fault::Blocking),
    ];

    /// Returns the name.
    pub fn name(self) -> &'static str {
        Fault::ALL.iter().find(|(_, fault)| *fault == self).map_or("", |(name, _)| name)
    }
}

/// What a page asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The subject runs, until something happens.
    Run(Option<Until>),
    /// The subject stops.
    Pause,
    /// The subject makes some turns.
    Step(u64),
    /// The subject waits, and stops before the dispatch.
    Reveal,
    /// The subject changes.
    Change(Change),
    /// Another handler begins.
    Handler(String),
    /// The handler begins anew, without clients.
    Restart,
    /// A scenario begins.
    Scenario(String),
    /// The steps of the running scenario are played.
    Play,
    /// Clients connect.
    Spawn(u32),
    /// A client connects to a port on which nothing listens.
    SpawnNowhere,
    /// The listener's backlog.
    Backlog(u32),
    /// A client sends the body of the request.
    Send(u32),
    /// Something happens to a client.
    Fault(u32, Fault),
    /// Descriptors are opened, and kept: so many altogether.
    Burn(u64),
}

/// The most clients that are made at once, and altogether.
pub(super) const MOST_CLIENTS: u32 = 64;

/// The most turns of one step.
const MOST_STEPS: u64 = 1_000;

/// The parameters of a query, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses `a=1&b=2`. Bytes that are no text are replaced.
    pub(super) fn parse(query: &str) -> Query {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Query(
            pairs
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(key), decode(value))
                })
                .collect(),
        )
    }

    /// Returns the first value of a key.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    fn number(&self, key: &str, default: Option<u64>, range: (u64, u64)) -> Result<u64, String> {
        let (least, most) = range;
        let number = match self.value(key) {
            None => default,
            Some(value) => value.parse().ok(),
        };
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| format!("{key} must be a number from {least} to {most}."))
    }
}

/// Decodes `%41` and `+`.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let hex = |at: usize| rest.get(at).and_then(|&digit| (digit as char).to_digit(16));
        match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &rest[2..];
            }
            (b'+', ..) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Command {
    /// Parses the parameters of a request.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong.
    pub(super) fn parse(query: &Query) -> Result<Command, String> {
        // Both `op=backend&value=poll` and `backend=poll`.
        const SHORT: &[&str] = &[
            "until",
            "backend",
            "trigger",
            "handler",
            "scenario",
            "limit",
            "budget",
            "watermark",
            "slow",
            "timeout",
            "burn",
            "backlog",
        ];
        let short = || SHORT.iter().copied().find(|key| query.value(key).is_some());
        let op = query.value("op").or_else(short).ok_or("There is no op.")?;
        // The value of an op: `op=backend&backend=poll`, or `op=backend&value=poll`.
        let key = if query.value(op).is_some() { op } else { "value" };
        let text = || query.value(key).ok_or_else(|| format!("{op} needs a value."));
        let number = |least, most| query.number(key, None, (least, most));
        let client = || query.number("client", None, (1, u64::from(u32::MAX))).map(|id| id as u32);
        Ok(match op {
            "run" => Command::Run(None),
            "pause" => Command::Pause,
            "step" => Command::Step(query.number("n", Some(1), (1, MOST_STEPS))?),
            "reveal" => Command::Reveal,
            "until" => Command::Run(Some(match text()? {
                "ghost" => Until::Ghost,
                "write" => Until::Write,
                "end" => Until::End,
                "lint" => Until::Lint,
                "turn" => Until::Turn(query.number("n", None, (1, u64::MAX))?),
                other => return Err(format!("The subject cannot run until {other}.")),
            })),
            "backend" => Command::Change(Change::Backend(parse_name(text()?)?)),
            "trigger" => Command::Change(Change::Trigger(parse_name(text()?)?)),
            "budget" => Command::Change(Change::Budget(number(1, 1_000_000)? as u32)),
            "watermark" => Command::Change(Change::Watermark(number(0, 1 << 30)?)),
            "slow" => Command::Change(Change::Slow(number(0, 10_000)?)),
            "timeout" => Command::Change(Change::Timeout(number(1, 60_000)?)),
            "limit" => {
                let most = number(0, 1 << 20)?;
                Command::Change(Change::Limit((most > 0).then_some(most)))
            }
            "predict" => {
                let fds = query.value("fds").unwrap_or_default().split(',');
                let fds = fds.filter(|fd| !fd.is_empty()).map(str::parse);
                let fds = fds.collect::<Result<Vec<i32>, _>>();
                let fds = fds.map_err(|_| "fds must be descriptors, as 7,9.")?;
                Command::Change(Change::Predict(fds))
            }
            "restart" => Command::Restart,
            "handler" => Command::Handler(text()?.to_string()),
            "scenario" => Command::Scenario(text()?.to_string()),
            "play" => Command::Play,
            "spawn" if query.value("to") == Some("nowhere") => Command::SpawnNowhere,
            "backlog" => Command::Backlog(number(0, 4_096)? as u32),
            "spawn" => Command::Spawn(query.number("n", Some(1), (1, MOST_CLIENTS.into()))? as u32),
            "send" => Command::Send(client()?),
            "fault" => {
                let kind = query.value("kind").unwrap_or_default();
                let fault = Fault::ALL.iter().find(|(name, _)| *name == kind);
                let (_, fault) = fault.ok_or_else(|| format!("There is no fault {kind}."))?;
                Command::Fault(client()?, *fault)
            }
            "burn" => Command::Burn(number(0, 100_000)?),
            other => return Err(format!("There is no op {other}.")),
        })
    }
}

fn parse_name<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{error}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Command, String> {
        Command::parse(&Query::parse(query))
    }

    #[test]
    fn each_query_of_the_contract_is_a_command() {
        assert_eq!(parse("op=run"), Ok(Command::Run(None)));
        assert_eq!(parse("op=step"), Ok(Command::Step(1)));
        assert_eq!(parse("op=step&n=10"), Ok(Command::Step(10)));
        assert_eq!(parse("op=until&until=turn&n=7"), Ok(Command::Run(Some(Until::Turn(7)))));
        assert_eq!(parse("until=ghost"), Ok(Command::Run(Some(Until::Ghost))));
        let poll = Command::Change(Change::Backend(Backend::Poll));
        assert_eq!(parse("backend=poll&t=x"), Ok(poll.clone()));
        assert_eq!(parse("op=backend&value=poll"), Ok(poll.clone()));
        assert_eq!(parse("op=backend&backend=poll"), Ok(poll));
        assert_eq!(parse("op=fault&client=1&kind=reset"), Ok(Command::Fault(1, Fault::Reset)));
        let predict = |fds: &[i32]| Ok(Command::Change(Change::Predict(fds.to_vec())));
        assert_eq!(parse("op=predict&fds=7,9"), predict(&[7, 9]));
        assert_eq!(parse("op=predict&fds=7%2C9"), predict(&[7, 9]));
        assert_eq!(parse("op=predict&fds="), predict(&[]));
    }

    #[test]
    fn what_is_wrong_is_a_sentence() {
        for query in [
            "",
            "op",
            "op=",
            "op=x",
            "op=step&n=0",
            "op=step&n=-1",
            "op=step&n=99999999999999999999",
            "op=backend",
            "op=backend&value=kqueue",
            "op=fault&client=1&kind=x",
            "op=fault&kind=reset",
            "op=predict&fds=a",
            "op=spawn&n=1000",
            "op=until&until=x",
            "op=limit&value=x",
        ] {
            let error = parse(query).unwrap_err();
            assert!(error.ends_with('.'), "{query}: {error}");
        }
    }
}
