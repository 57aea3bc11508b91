//! The load that `compare` is asked about: lists, ranges and presets.

use std::str::FromStr;

use clap::Args;
use clap::builder::TypedValueParser;
use tripoll::Trigger;

use super::failure::Failure;
use super::parsers::{name_parser, trigger_parser};
use crate::compare::{Active, Call, Load, Plan, Preset, Style};
use crate::study::Topic;
use crate::workload::{Kind, Layer, Pipes};

/// What is measured.
#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    /// How many descriptors are watched: a list of numbers and ranges, as 10,100 or 1..1000
    #[arg(long, value_name = "LIST")]
    fds: Option<Numbers>,
    /// How many of them are ready: numbers and shares, as 1,10% or 1%..50% [default: 1]
    #[arg(long, value_name = "LIST")]
    active: Option<Actives>,
    /// How often each event changes what its descriptor is watched for: 0, 1, 2, or a list
    #[arg(long, value_name = "LIST", value_delimiter = ',',
          value_parser = clap::value_parser!(u8).range(0..=2))]
    changes: Vec<u8>,
    /// Measure waits that sleep until one descriptor becomes ready, in place of ready ones
    #[arg(long, conflicts_with_all = ["active", "changes"])]
    sleep: bool,
    /// What is watched: one of them, or a list, as pipe,tcp
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "pipe",
          value_parser = name_parser(Kind::ALL, Kind::name))]
    kind: Vec<Kind>,
    /// Compare only this trigger of epoll
    #[arg(long, value_parser = trigger_parser())]
    trigger: Option<Trigger>,
    /// Measure what this name stands for
    #[arg(long, value_name = "NAME", value_parser = preset_parser(),
          conflicts_with_all = ["fds", "active", "changes", "sleep"])]
    preset: Option<Named>,
    /// Measure another question, which has a report of its own
    #[arg(long, value_name = "NAME", value_parser = name_parser(Topic::ALL, Topic::name),
          conflicts_with_all = ["fds", "active", "changes", "sleep", "preset"])]
    workload: Option<Topic>,
    /// Say which published figures are still true here: --workload history
    #[arg(long, conflicts_with_all = ["fds", "active", "changes", "sleep", "preset", "workload"])]
    history: bool,
    /// List the presets and the workloads
    #[arg(long)]
    pub(super) list: bool,
}

/// What a name of `--preset` stands for.
#[derive(Debug, Clone, Copy)]
enum Named {
    Preset(Preset),
    Topic(Topic),
}

/// Parses the names of the presets. `auto` stands for the workload of this name, too.
fn preset_parser() -> impl TypedValueParser<Value = Named> {
    let presets = Preset::ALL.map(Named::Preset);
    let all: Vec<Named> = presets.into_iter().chain([Named::Topic(Topic::Auto)]).collect();
    name_parser(all, |named| match named {
        Named::Preset(preset) => preset.name(),
        Named::Topic(topic) => topic.name(),
    })
}

impl LoadArgs {
    /// Returns the workload that has a report of its own, if one is asked for.
    pub(super) fn topic(&self) -> Option<Topic> {
        match self.preset {
            Some(Named::Topic(topic)) => Some(topic),
            None if self.history => Some(Topic::History),
            _ => self.workload,
        }
    }

    /// Returns the plan for these arguments. Without any, it is the default plan.
    pub(super) fn plan(&self, layer: Layer, quick: bool, max: usize) -> Result<Plan, Failure> {
        let mut plan = match (self.preset, self.load()?) {
            (Some(Named::Preset(preset)), _) => Plan::of_preset(preset, layer, quick, max),
            (_, Some(load)) => Plan::of_load(&load, layer, quick, max),
            (_, None) => Plan::new(layer, quick, max),
        };
        plan = plan.on(self.kind.clone());
        match self.trigger {
            None => {}
            Some(Trigger::Level) => plan.calls.retain(|&call| call != Call::EPOLL_EDGE),
            Some(Trigger::Edge) => plan.calls.retain(|&call| call != Call::EPOLL_LEVEL),
            Some(other) => {
                return Err(Failure::Usage(format!(
                    "--trigger {other}: compare has level and edge"
                )));
            }
        }
        Ok(plan)
    }

    fn load(&self) -> Result<Option<Load>, Failure> {
        let LoadArgs { fds, active, changes, sleep, .. } = self;
        if fds.is_none() && active.is_none() && changes.is_empty() && !sleep {
            return Ok(None);
        }
        let fds = fds.as_ref().map_or(vec![1_000], |numbers| numbers.0.clone());
        let active = active.as_ref().map_or(vec![Active::Count(1)], |actives| actives.0.clone());
        let (least, most) = (fds[0], fds[fds.len() - 1]);
        if let Err(error) = Pipes::check(least) {
            return Err(Failure::Usage(format!("--fds {least}: {error}")));
        }
        for active in &active {
            if let Active::Count(count) = *active
                && count > most
            {
                return Err(Failure::Usage(format!("--active {count} is more than --fds {most}")));
            }
        }
        let changes = if changes.is_empty() { &[0][..] } else { changes };
        let styles = changes
            .iter()
            .map(|&changes| Style { changes, sleeps: *sleep, ..Style::default() })
            .collect();
        Ok(Some(Load { fds, active, styles }))
    }
}

/// A sorted list of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Numbers(Vec<usize>);

/// A list of numbers and shares of ready descriptors.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Actives(Vec<Active>);

impl FromStr for Numbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut numbers = list(text, number)?;
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Numbers(numbers))
    }
}

impl FromStr for Actives {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut actives = Vec::new();
        for item in text.split(',') {
            if item.contains('%') {
                // Both ends of a range are shares: 1%..50%, or 1..50%.
                let shares = list(&item.replace('%', ""), tenths)?;
                actives.extend(shares.into_iter().map(Active::PerMille));
            } else {
                actives.extend(list(item, number)?.into_iter().map(Active::Count));
            }
        }
        Ok(Actives(actives))
    }
}

/// Parses numbers and ranges that are separated by commas.
fn list(text: &str, parse: fn(&str) -> Result<usize, String>) -> Result<Vec<usize>, String> {
    let mut numbers = Vec::new();
    for item in text.split(',') {
        match item.split_once("..") {
            None => numbers.push(parse(item)?),
            Some((from, to)) => {
                let (from, to) = (parse(from)?, parse(to)?);
                if from > to {
                    return Err(format!("`{item}` ends before it begins"));
                }
                numbers.extend(steps(from, to));
            }
        }
    }
    Ok(numbers)
}

/// Returns the ends of a range, and the numbers 1, 2 and 5 times a power of ten between them.
fn steps(from: usize, to: usize) -> Vec<usize> {
    let powers = (0..18).map(|exponent| 10_usize.pow(exponent));
    let between = powers.flat_map(|power| [power, 2 * power, 5 * power]);
    let mut steps: Vec<usize> = between.filter(|&step| from < step && step < to).collect();
    steps.insert(0, from);
    if to > from {
        steps.push(to);
    }
    steps
}

fn number(text: &str) -> Result<usize, String> {
    match text.trim().replace(['_', '\''], "").parse() {
        Ok(0) => Err("at least 1 is needed".to_string()),
        Ok(number) if number <= i32::MAX as usize => Ok(number),
        _ => Err(format!("`{text}` is not a number of descriptors")),
    }
}

/// Parses per cent, and returns thousandths.
fn tenths(text: &str) -> Result<usize, String> {
    match text.trim().parse::<f64>() {
        Ok(percent) if (0.1..=100.0).contains(&percent) => Ok((percent * 10.0).round() as usize),
        _ => Err(format!("`{text}%` is not a share from 0.1% to 100%")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_of_numbers() {
        let numbers = |text: &str| text.parse::<Numbers>().map(|numbers| numbers.0);
        assert_eq!(numbers("200"), Ok(vec![200]));
        assert_eq!(numbers("1000,10,100,10"), Ok(vec![10, 100, 1_000]));
        assert_eq!(numbers("3..100"), Ok(vec![3, 5, 10, 20, 50, 100]));
        assert_eq!(numbers("7..7,1"), Ok(vec![1, 7]));
        for wrong in ["", "0", "many", "9..3", "1,,2", "10%", "99999999999"] {
            assert!(numbers(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lists_and_ranges_of_shares() {
        let actives = |text: &str| text.parse::<Actives>().map(|actives| actives.0);
        assert_eq!(actives("10%"), Ok(vec![Active::PerMille(100)]));
        assert_eq!(actives("1,0.5%"), Ok(vec![Active::Count(1), Active::PerMille(5)]));
        let shares = [10, 20, 50, 100].map(Active::PerMille);
        assert_eq!(actives("1%..10%"), Ok(shares.to_vec()));
        for wrong in ["0%", "101%", "x%", "50%..1%", "-1"] {
            assert!(actives(wrong).is_err(), "{wrong}");
        }
    }
}
