//! `tripoll load`: the arguments, the progress bar, and the report.

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tripoll::net::{Address, ToAddress};
use tripoll::{Backend, Trigger, sys};

use super::failure::Failure;
use super::output::{check_writable, print, write_file};
use super::parsers::{backend_parser, count_parser, trigger_parser};
use crate::load::{Ask, Load, Progress};

/// The load that is sent.
#[derive(Debug, Args)]
pub(super) struct Generator {
    /// The server: HOST:PORT, the path of a Unix socket with a `/` in it, @NAME, or a URL of http
    address: String,
    /// Number of connections
    #[arg(short, long, default_value_t = 10, value_parser = count_parser())]
    connections: u64,
    /// How many of them send requests: a number, or a share as 10%. The others are silent
    #[arg(long, value_name = "SHARE", default_value = "100%", value_parser = share)]
    active: Share,
    /// Number of requests a second, over all connections
    #[arg(short, long, default_value_t = 1_000.0, value_parser = positive)]
    rate: f64,
    /// For how long, as 10s, 500ms or 2m
    #[arg(short, long, default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// Number of bytes of a line, its end included
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    size: u64,
    /// Send GET requests of HTTP/1.1, for this path
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true,
          default_missing_value = "/", conflicts_with = "size")]
    http: Option<String>,
    /// How long an answer may take, from when its request was sent
    #[arg(long, default_value = "10s", value_parser = duration)]
    timeout: Duration,
    /// Also write the outcome to this file, as JSON. `-` is standard output, in place of the report
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,
    /// The system call with which the generator waits
    #[arg(long, default_value = "epoll", value_parser = backend_parser())]
    backend: Backend,
    /// The trigger of the generator
    #[arg(long, default_value = "edge", value_parser = trigger_parser())]
    trigger: Trigger,
}

/// How many of the connections are active.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Share {
    Count(u64),
    Percent(f64),
}

impl Share {
    fn of(self, connections: u64) -> u64 {
        match self {
            Share::Count(count) => count,
            Share::Percent(percent) => {
                ((connections as f64 * percent / 100.0).round() as u64).max(1)
            }
        }
    }
}

impl Generator {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let load = self.load()?;
        let to_stdout = self.export_json.as_deref().is_some_and(|path| path.as_os_str() == "-");
        let file = self.export_json.as_deref().filter(|_| !to_stdout);
        if let Some(path) = file {
            check_writable("--export-json", path)?;
        }
        let needed = self.connections + 50;
        let limit = sys::raise_descriptor_limit(needed)?;
        if limit.soft < needed {
            return Err(Failure::Usage(format!(
                "--connections {} needs {needed} descriptors, and the limit is {} (ulimit -n)",
                self.connections, limit.soft
            )));
        }
        let stop = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop))?;

        let bar = progress_bar();
        let shown = bar.clone();
        let outcome = load.run(move |progress| {
            show(&shown, progress);
            match stop.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        bar.finish_and_clear();
        let outcome = outcome?;

        if self.export_json.is_some() {
            let json = serde_json::to_string_pretty(&outcome).map_err(io::Error::from)? + "\n";
            match file {
                Some(path) => write_file("--export-json", path, &json)?,
                None => print(&json)?,
            }
        }
        if !to_stdout {
            print(&outcome.to_string())?;
        }
        match (outcome.is_stopped, outcome.errors.is_none()) {
            (true, _) => Err(Failure::Stopped),
            (false, true) => Ok(()),
            (false, false) => Err(Failure::Runtime(format!(
                "{} of {} requests were not answered: {}",
                outcome.errors.requests(),
                outcome.requests,
                outcome.errors
            ))),
        }
    }

    fn load(&self) -> Result<Load, Failure> {
        let usage = |error: io::Error| Failure::Usage(format!("{}: {error}", self.address));
        let (address, path) = match self.address.strip_prefix("http://") {
            None => (self.address.clone(), self.http.clone()),
            Some(url) => {
                let (host, path) = match url.split_once('/') {
                    None => (url, String::from("/")),
                    Some((host, path)) => (host, format!("/{path}")),
                };
                let port = if host.contains(':') { "" } else { ":80" };
                (format!("{host}{port}"), Some(self.http.clone().unwrap_or(path)))
            }
        };
        let ask = match path {
            None => Ask::Line(self.size as usize),
            Some(path)
                if path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                Ask::Http { host: address.clone(), path }
            }
            Some(path) => {
                return Err(Failure::Usage(format!("--http={path}: a path begins with a `/`")));
            }
        };
        let address: Address = address.as_str().to_address().map_err(usage)?;
        let active = self.active.of(self.connections);
        if active > self.connections {
            let connections = self.connections;
            let reason = format!("--active {active} is more than --connections {connections}");
            return Err(Failure::Usage(reason));
        }
        Ok(Load {
            address,
            ask,
            connections: self.connections as usize,
            active: active as usize,
            rate: self.rate,
            duration: self.duration,
            timeout: self.timeout,
            backend: self.backend,
            trigger: self.trigger,
        })
    }
}

/// Returns a progress bar on standard error, if that is a terminal.
fn progress_bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:10} {msg}").expect("the template is valid");
    ProgressBar::new(1).with_style(style.progress_chars("█▉▊▋▌▍▎▏ "))
}

fn show(bar: &ProgressBar, progress: Progress) {
    let Progress { connected, due, requests, answered, errors } = progress;
    bar.set_length(requests.max(1));
    bar.set_position(due);
    bar.set_message(match requests {
        0 => format!("{connected} connected"),
        _ => format!("{answered} answered, {errors} errors"),
    });
}

fn share(text: &str) -> Result<Share, String> {
    let wrong = || format!("`{text}` is no number and no share such as 10%");
    match text.strip_suffix('%') {
        Some(percent) => match percent.parse() {
            Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(Share::Percent(percent)),
            _ => Err(wrong()),
        },
        None => match text.parse() {
            Ok(0) | Err(_) => Err(wrong()),
            Ok(count) => Ok(Share::Count(count)),
        },
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && number <= 10_000_000.0 => Ok(number),
        _ => Err("a rate is from above 0 to 10,000,000 a second".to_string()),
    }
}

/// Parses a duration: `500ms`, `10s`, `2m`, or a number of seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let seconds = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => f64::NAN,
    };
    match number.parse::<f64>().map(|number| number * seconds) {
        Ok(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("`{text}` is no duration such as 500ms, 10s or 2m, up to a day")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        let of = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(
            [of("500ms"), of("1.5s"), of("2m"), of("3")].map(Result::unwrap),
            [500, 1_500, 120_000, 3_000]
        );
        for wrong in ["", "0s", "s", "5 parsecs", "-1s", "inf", "2d"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_are_numbers_or_per_cent_and_one_at_least() {
        assert_eq!(share("10%").map(|share| share.of(1_000)), Ok(100));
        assert_eq!(share("0.1%").map(|share| share.of(10)), Ok(1));
        assert_eq!(share("7").map(|share| share.of(10)), Ok(7));
        for wrong in ["", "0", "0%", "101%", "-1", "x"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
