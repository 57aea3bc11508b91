//! The report agrees with what was measured.

use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::Value;
use tripoll::{Backend, Trigger};
use tripoll_lab::compare::statistics::Estimate;
use tripoll_lab::compare::{Cell, LeftOut, Machine, MeasureError, Plan, Point, Report, measure};
use tripoll_lab::workload::{Contender, Layer, Pipes};

fn machine() -> Machine {
    Machine {
        kernel: "Linux".into(),
        cpus: 1,
        pinned_to: None,
        load: Some(0.25),
        descriptor_limit: 20_000,
    }
}

/// Returns a cell with three rounds of synthetic figures, whose median is `ns`.
fn cell(point: Point, contender: Contender, ns: f64) -> Cell {
    let samples = vec![ns * 0.99, ns, ns * 1.01];
    Cell {
        point,
        contender,
        events: 100,
        cpu_ns: samples.clone(),
        wall_ns: samples.clone(),
        registration_ns: samples,
    }
}

/// Returns the cost of an event on a synthetic machine. Each watched descriptor costs select and poll
/// 10 ns, or 20 ns if they block at once. Each event costs epoll 100 ns.
fn synthetic_ns(point: Point, contender: Contender) -> f64 {
    let (watched, ready) = match point {
        Point::Watch { n } => (n as f64, 1.0),
        Point::Ring { n, active } => (n as f64, active as f64),
    };
    let scanned = watched / ready;
    match (contender.backend, contender.trigger, contender.layer) {
        (Backend::Epoll, Trigger::Level, _) => 120.0,
        (Backend::Epoll, _, _) => 100.0,
        (Backend::Select, _, Layer::Raw) => 60.0 + 20.0 * scanned,
        (_, _, Layer::Raw) => 50.0 + 20.0 * scanned,
        (Backend::Select, _, _) => 60.0 + 10.0 * scanned,
        _ => 50.0 + 10.0 * scanned,
    }
}

/// Returns the report of that machine for `layer`.
fn synthetic_report(layer: Layer) -> Report {
    let plan = Plan::new(layer, false, 10_000);
    let cells: Vec<Cell> = plan
        .points
        .iter()
        .flat_map(|&point| {
            plan.contenders().map(move |one| cell(point, one, synthetic_ns(point, one)))
        })
        .collect();
    Report::new(&plan, machine(), &cells)
}

#[test]
fn the_sentences_agree_with_synthetic_figures() {
    let report = synthetic_report(Layer::Selector);
    assert_eq!(
        report.sentences[..2],
        [
            "On pipes, through the selector, with one descriptor ready: poll is cheapest up to \
             4 descriptors, epoll (edge) from 6 on.",
            "On pipes, through the selector, with 1,000 watched: epoll (edge) is cheapest up to 10% \
             ready, too close to call at 20%, poll from 25% on.",
        ]
    );
    assert!(
        report.sentences[2].contains("with one ready, poll is cheapest up to 2 descriptors"),
        "{}",
        report.sentences[2]
    );
    assert!(report.sentences[3].contains("1,001 times"), "{}", report.sentences[3]);
    let text = report.text(96);
    assert!(text.starts_with("On pipes"), "sentences come first");
    assert!(text.contains("could not be pinned"));
    assert!(text.contains("1 CPU, "), "{text}");
}

#[test]
fn the_report_fits_the_terminal_and_breaks_no_word() {
    for layer in Layer::TRIPOLL {
        let report = synthetic_report(layer);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for width in [40, 60, 80, 96, 200] {
            let text = report.text(width);
            for line in text.lines() {
                assert!(line.chars().count() <= width, "{width} columns: {line:?}");
            }
            let sentence = words(&report.sentences[0]);
            assert_eq!(words(&text)[..sentence.len()], sentence);
            // Each figure once, in whatever blocks.
            assert_eq!(text.matches('±').count(), report.cells.len() / 10 * 4, "{width}");
        }
    }
}

#[test]
fn the_json_says_when_where_and_by_which_version_it_was_measured() {
    let report = json(&synthetic_report(Layer::Selector));
    assert_eq!(report["tripoll"], env!("CARGO_PKG_VERSION"));
    let date = report["date"].as_str().unwrap();
    assert!(date.len() == "2026-01-31T12:00:00Z".len() && date.ends_with('Z'), "{date}");
    assert_eq!(report["machine"]["load"], 0.25);
    assert_eq!(report["machine"]["kernel"], "Linux");
}

#[test]
fn points_that_were_left_out_are_reported_with_both_numbers() {
    let mut plan = Plan::new(Layer::Selector, true, 10);
    plan.left_out = vec![LeftOut { n: 10_000, descriptors: 20_000 }];
    let cells = measure_quickly(&plan);
    let text = Report::new(&plan, machine(), &cells).text(96);
    assert!(text.contains("Left out: N = 10,000, which needs 20,000 descriptors"), "{text}");
}

fn measure_quickly(plan: &Plan) -> Vec<Cell> {
    let plan = Plan { rounds: 3, sample_time: Duration::from_micros(50), ..plan.clone() };
    let pipes = Pipes::open(plan.pipes()).unwrap();
    measure(&plan, &pipes, |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn the_json_is_valid_and_its_sentences_agree_with_its_numbers() {
    for layer in Layer::TRIPOLL {
        let plan = Plan::new(layer, true, 32);
        let cells = measure_quickly(&plan);
        let report = json(&Report::new(&plan, machine(), &cells));

        assert_eq!(report["cells"].as_array().unwrap().len(), plan.points.len() * 10);
        let sentences = report["sentences"].as_array().unwrap();
        // The two lines of the layer have a sentence each, those of the raw calls share one.
        for (line, place) in report["lines"].as_array().unwrap().iter().zip([0, 1, 2, 2]) {
            for segment in line["segments"].as_array().unwrap() {
                check_segment(&report, line, segment, sentences[place].as_str().unwrap());
            }
        }
    }
}

fn json(report: &Report) -> Value {
    serde_json::from_str(&serde_json::to_string(report).unwrap()).unwrap()
}

#[test]
fn the_layer_is_named_everywhere_and_no_other_was_measured() {
    for (layer, other) in [(Layer::Selector, Layer::Reactor), (Layer::Reactor, Layer::Selector)] {
        let report = synthetic_report(layer);
        let (layer, other) = (layer.name(), other.name());
        let text = report.text(96);
        // The two lines, the watch table, and the cost; then the heads of both tables.
        assert_eq!(
            text.split_whitespace().filter(|word| word.starts_with(layer)).count(),
            6,
            "{text}"
        );
        assert!(!text.contains(other), "{text}");

        let report = json(&report);
        assert_eq!(report["config"]["layer"], layer);
        let of_cells = report["cells"].as_array().unwrap().iter().map(|cell| &cell["layer"]);
        assert_eq!(
            of_cells.filter(|&name| name == layer).count() * 10,
            4 * report["cells"].as_array().unwrap().len()
        );
        assert!(report["lines"].as_array().unwrap()[..2].iter().all(|line| line["layer"] == layer));
        assert!(!report.to_string().contains(other));
    }
}

/// Checks that the cheapest calls of a segment have the lower figures at each of its points, and
/// that the sentence names them.
fn check_segment(report: &Value, line: &Value, segment: &Value, sentence: &str) {
    let cheapest = segment["cheapest"].as_array().unwrap();
    let Some(winner) = cheapest.first() else {
        assert!(sentence.contains("too close to call"), "{sentence}");
        return;
    };
    let winner = winner.as_str().unwrap().split(' ').next().unwrap();
    assert!(sentence.contains(winner), "{sentence}");

    let (along, fixed) = match line["along"].as_str().unwrap() {
        "watched" => ("n", "active"),
        _ => ("active", "n"),
    };
    let span = segment["from"].as_u64().unwrap()..=segment["to"].as_u64().unwrap();
    let here = report["cells"].as_array().unwrap().iter().filter(|cell| {
        cell["workload"] == "ring"
            && cell["layer"] == line["layer"]
            && cell[fixed] == line["fixed"]
            && span.contains(&cell[along].as_u64().unwrap())
    });
    // Four calls a point, in one order: select, poll, epoll level, epoll edge.
    let here: Vec<Vec<f64>> =
        here.map(|cell| serde_json::from_value(cell["samples_cpu_ns"].clone()).unwrap()).collect();
    assert!(!here.is_empty() && here.len().is_multiple_of(4));
    for calls in here.chunks(4) {
        let ratio = |a: usize, b: usize| Estimate::of_ratio(&calls[a], &calls[b]).median;
        let [scanning, listed] =
            [usize::from(ratio(0, 1) > 1.0), 2 + usize::from(ratio(2, 3) > 1.0)];
        assert_eq!(winner != "epoll", ratio(scanning, listed) < 1.0, "{sentence}\n{calls:?}");
    }
}

#[test]
fn measuring_stops_when_the_callback_returns_break() {
    let plan = Plan::new(Layer::Reactor, true, 4);
    let pipes = Pipes::open(plan.pipes()).unwrap();
    let mut steps = 0;
    let result = measure(&plan, &pipes, |_| {
        steps += 1;
        if steps > 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(result, Err(MeasureError::Stopped)));
    assert_eq!(steps, 4);
}
