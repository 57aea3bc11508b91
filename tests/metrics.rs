//! The text for Prometheus, against the rules of its format (version 0.0.4), read by a parser of the
//! test's own.

use std::collections::{BTreeMap, HashSet};
use std::panic::catch_unwind;

use proptest::prelude::*;
use tripoll::Reactor;
use tripoll::metrics::{CONTENT_TYPE, Exposition, Kind, Measures};
use tripoll::net::ListenerCounters;
use tripoll::net::loops::LoopCounters;
use tripoll::pool::PoolCounters;
use tripoll::reactor::Counters;

/// A sample: its metric, its labels, and its value as text.
type Sample = (String, BTreeMap<String, String>, String);

/// A metric with its type, its help, and its samples.
#[derive(Debug, Default, PartialEq)]
struct Metric {
    kind: String,
    help: String,
    samples: Vec<Sample>,
}

/// Parses a text. Fails where a scraper would refuse it, or where the text does not follow the
/// recommendations: each metric is one group, with HELP and TYPE before its samples.
fn parse(text: &str) -> Vec<(String, Metric)> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end");
    let mut metrics: Vec<(String, Metric)> = Vec::new();
    let mut names = HashSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(names.insert(name.to_owned()), "{name} twice");
            let metric = Metric { help: unescape(help, false), ..Metric::default() };
            metrics.push((name.into(), metric));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let (last, metric) = metrics.last_mut().unwrap();
            assert!(last == name && metric.kind.is_empty() && metric.samples.is_empty());
            assert!(["counter", "gauge"].contains(&kind), "{kind}");
            metric.kind = kind.into();
        } else {
            let (last, metric) = metrics.last_mut().unwrap();
            let sample = parse_sample(line);
            assert_eq!(*last, sample.0, "a sample outside of its group");
            let is_new = metric.samples.iter().all(|other| other.1 != sample.1);
            assert!(is_new, "two samples with the same labels: {line}");
            metric.samples.push(sample);
        }
    }
    metrics
}

fn parse_sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, value) = rest.split_once("=\"").unwrap();
            let mut escaped = false;
            let end = value.find(|c| {
                let is_end = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                is_end
            });
            let (value, after) = value.split_at(end.expect("the value of a label has an end"));
            let is_new = labels.insert(label.to_owned(), unescape(value, true)).is_none();
            assert!(is_new, "{label} twice");
            match after[1..].split_at(1) {
                (",", next) => rest = next,
                ("}", next) => {
                    rest = next;
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap();
    assert!(value.parse::<f64>().is_ok(), "{value}");
    (name.into(), labels, value.into())
}

fn unescape(text: &str, is_label: bool) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('\\') => '\\',
                Some('"') if is_label => '"',
                other => panic!("an unknown escape: {other:?}"),
            },
            '"' if is_label => panic!("a quote in a label"),
            c => c,
        });
    }
    out
}

#[test]
fn the_type_of_the_content_names_the_version() {
    assert_eq!(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
}

#[test]
fn values_are_written_as_the_format_has_them() {
    let mut text = Exposition::new();
    let mut family = text.family("x", Kind::Gauge, "");
    family.sample(&[("n", "0")], u64::MAX).sample(&[("n", "1")], 1.5);
    family.sample(&[("n", "2")], f64::INFINITY).sample(&[("n", "3")], f64::NEG_INFINITY);
    family.sample(&[("n", "4")], f64::NAN).sample(&[("n", "5")], 7_usize);
    let values: Vec<String> =
        parse(text.as_str())[0].1.samples.iter().map(|sample| sample.2.clone()).collect();
    assert_eq!(values, ["18446744073709551615", "1.5", "+Inf", "-Inf", "NaN", "7"]);
}

#[test]
fn names_that_a_scraper_refuses_are_refused_where_they_are_written() {
    let metric = |name: &'static str| {
        catch_unwind(move || {
            Exposition::new().family(name, Kind::Gauge, "");
        })
    };
    let label = |name: &'static str| {
        catch_unwind(move || {
            Exposition::new().family("x", Kind::Gauge, "").sample(&[(name, "")], 0_u32);
        })
    };
    for name in ["", "1x", "a b", "a-b", "ä", "a\n", "a{", "a\""] {
        assert!(metric(name).is_err() && label(name).is_err(), "{name:?}");
    }
    assert!(metric("a:b_1").is_ok() && label("a_1").is_ok() && label("_a").is_ok());
    assert!(label("a:b").is_err() && label("__a").is_err());
    let twice = catch_unwind(|| {
        let mut text = Exposition::new();
        text.family("x", Kind::Gauge, "");
        text.family("x", Kind::Gauge, "");
    });
    assert!(twice.is_err());
}

proptest! {
    /// Whatever a label or a help says, a scraper reads the same.
    #[test]
    fn any_text_survives(help in any::<String>(), values in prop::collection::vec(any::<String>(), 1..4)) {
        let help = help.replace('\r', " ");
        let values: Vec<String> = values.iter().map(|value| value.replace('\r', " ")).collect();
        let labels: Vec<(String, &String)> =
            values.iter().enumerate().map(|(at, value)| (format!("l{at}"), value)).collect();
        let labels: Vec<(&str, &str)> =
            labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut text = Exposition::new();
        text.family("x_total", Kind::Counter, &help).sample(&labels, 3_u32);
        let (name, metric) = &parse(text.as_str())[0];
        prop_assert_eq!((name.as_str(), &metric.help), ("x_total", &help));
        let read: Vec<&String> = metric.samples[0].1.values().collect();
        prop_assert_eq!(read, values.iter().collect::<Vec<_>>());
    }
}

fn assert_complete<M: Measures + Default + std::fmt::Debug>(prefix: &str) {
    let mut text = Exposition::new();
    text.add([([("n", "0")], M::default()), ([("n", "1")], M::default())]);
    let metrics = parse(text.as_str());
    for (name, metric) in &metrics {
        assert!(name.starts_with(prefix), "{name}");
        assert_eq!(name.ends_with("_total"), metric.kind == "counter", "{name}");
        assert!(metric.help.ends_with('.'), "{name}: {}", metric.help);
        assert_eq!(metric.samples.len(), 2, "{name}");
    }
    // Every number of the counters is there: their `Debug` names all fields.
    for field in format!("{:?}", M::default()).split([' ', '{', ',']).filter(|w| w.ends_with(':')) {
        let name = format!("{prefix}{}", field.trim_end_matches(':'));
        let is_there = metrics.iter().any(|(metric, _)| metric.trim_end_matches("_total") == name);
        assert!(is_there || field == "state:", "{name} is missing");
    }
}

#[test]
fn every_counter_of_the_crate_is_exposed() {
    assert_complete::<Counters>("tripoll_loop_");
    assert_complete::<PoolCounters>("tripoll_pool_");
    assert_complete::<ListenerCounters>("tripoll_listener_");
    assert_complete::<LoopCounters>("tripoll_loops_");
}

#[test]
fn what_a_loop_has_done_is_what_its_counters_say() {
    let mut reactor = Reactor::new().unwrap();
    for _ in 0..3 {
        reactor.turn(tripoll::Deadline::Now).unwrap();
    }
    let mut text = Exposition::new();
    text.add([([], reactor.context().counters())]);
    assert!(text.as_str().contains("\ntripoll_loop_turns_total 3\n"), "{}", text.as_str());
}
