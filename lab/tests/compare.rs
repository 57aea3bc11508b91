//! The report agrees with what was measured.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::Value;
use tripoll::{Backend, Trigger};
use tripoll_lab::compare::{
    Baseline, Cell, LeftOut, Machine, Measured, Plan, Point, Preset, Report, measure, measure_kinds,
};
use tripoll_lab::workload::{Contender, Kind, Layer, Peer, Pipes};

fn machine() -> Machine {
    Machine {
        kernel: "Linux".into(),
        cpu: Some("Abacus 9".into()),
        cpus: 1,
        pinned_to: None,
        load: Some(0.25),
        load_after: Some(7.5),
        descriptor_limit: 20_000,
    }
}

/// Returns a cell with five rounds of synthetic figures, whose median is `ns`.
fn cell(point: Point, contender: Contender, ns: f64, noise: f64) -> Cell {
    let samples = [-1.0, 0.0, 1.0, -0.5, 0.5].map(|part| ns * (1.0 + part * noise)).to_vec();
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
        Point::Watch { n, .. } | Point::Sleep { n, .. } => (n as f64, 1.0),
        Point::Ring { n, active, .. } => (n as f64, active as f64),
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

/// Returns what is measured on that machine, with some noise that all contenders share.
fn synthetic(plan: &Plan, noise: f64) -> Measured {
    let cells = plan.points.iter().flat_map(|&point| {
        plan.contenders().map(move |one| cell(point, one, synthetic_ns(point, one), noise))
    });
    Measured { cells: cells.collect(), rounds: 5, stopped: false }
}

/// Returns the report of that machine for `layer`.
fn synthetic_report(layer: Layer) -> Report {
    let plan = Plan::new(layer, false, 10_000);
    Report::new(&plan, machine(), &synthetic(&plan, 0.01))
}

#[test]
fn the_sentences_agree_with_synthetic_figures() {
    let report = synthetic_report(Layer::Selector);
    assert_eq!(
        report.sentences,
        [
            "Take epoll. At 1,000 watched and one ready, poll costs 80 times as much; up to 7 \
             watched poll is up to 50% cheaper, with many of 1,000 ready, too.",
            "All costs are processor time for an event on a pipe: its share of the wait, and the \
             read and the write of one byte. A range in brackets holds nine times out of ten.",
            "With one ready, epoll and poll cross at 7 (7 to 7) watched: poll is cheaper below, \
             epoll above.",
            "Of 1,000 watched, epoll and poll cross at 140 (140 to 140) ready: epoll is cheaper \
             below, poll above.",
            "select costs 10% more, compared with poll (the median of all points); at 1 watched and \
             one ready, 17% more.",
            "epoll costs 20% more, compared with edge-triggered epoll (the median of all points); at \
             1 watched and one ready, 20% more.",
            "With 10,000 watched and a random one ready, a write, a wait by poll and a read cost \
             830 times what they cost by epoll.",
            "The figures above are of tripoll, which asks without sleeping before it sleeps, \
             because that is cheaper by select and poll. In a bare C loop that sleeps at once, with \
             one ready, epoll and poll cross at 3 (3 to 4) watched: poll is cheaper below, epoll \
             above; of 1,000 watched, epoll and poll cross at 290 (290 to 290) ready: epoll is \
             cheaper below, poll above.",
            "What the selector of tripoll costs, beside a bare C loop that makes the same calls \
             (1.00 is equal, median of all points): select 1.00, poll 1.00, epoll level 1.00, epoll \
             edge 1.00. Beside one that sleeps at once: select 0.50 to 0.88, poll 0.50 to 0.86.",
        ]
    );
}

#[test]
fn the_answer_comes_first_and_the_cost_of_tripoll_last() {
    let text = synthetic_report(Layer::Selector).text(96, false);
    assert!(text.starts_with("Take epoll. "), "{text}");
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    assert!(place("watched ready │ select") < place("What the selector of tripoll costs"));
    assert!(place("What the selector of tripoll costs") < place("could not be pinned"));
    assert!(text.contains("1 CPU, "), "{text}");
    assert!(text.contains("load 0.25 before, 7.50 after"), "{text}");
}

#[test]
fn a_busy_machine_is_named_with_its_load_and_what_to_do() {
    let plan = Plan::new(Layer::Selector, true, 1_000);
    let calm = Report::new(&plan, machine(), &synthetic(&plan, 0.05));
    assert!(!calm.text(80, false).contains("busy"));
    let busy = Report::new(&plan, machine(), &synthetic(&plan, 0.2));
    assert_eq!(
        busy.sentences[1],
        "This machine was busy: its load was 7.5 on 1 processor, and half of the figures vary by \
         more than ±20%. Repeat when nothing else runs; until then trust the order of the calls more \
         than the factors."
    );
}

#[test]
fn what_is_measured_until_a_stop_is_reported_as_a_first_impression() {
    let plan = Plan { rounds: 5, ..Plan::new(Layer::Selector, true, 100) };
    let measured = Measured { rounds: 2, stopped: true, ..synthetic(&plan, 0.01) };
    let report = Report::new(&plan, machine(), &measured);
    assert!(report.sentences[1].starts_with("Stopped after 2 of 5 rounds: "));
    assert!(report.text(80, false).contains("2 interleaved rounds of "));
}

#[test]
fn each_kind_of_descriptors_has_its_lines_its_tables_and_its_points() {
    let plan = Plan::new(Layer::Selector, true, 1_000).on(vec![Kind::Pipe, Kind::Tcp]);
    let report = Report::new(&plan, machine(), &synthetic(&plan, 0.01));
    for part in [
        "for an event on a pipe and a TCP connection: ",
        "With one ready, epoll and poll cross at ",
        "With one ready on TCP connections, epoll and poll cross at ",
        "Of 1,000 watched on TCP connections, epoll and poll cross at ",
        "With 1,000 watched and a random one ready on TCP connections, a write",
    ] {
        assert!(report.sentences.iter().any(|one| one.contains(part)), "{part}");
    }
    let text = report.text(200, false);
    for caption in
        ["Nanoseconds for an event", "Seconds for 100,000 times"].map(|of| format!("{of} on TCP"))
    {
        assert!(text.contains(&caption), "{caption}: {text}");
    }
    let (csv, markdown) = (report.csv(), report.markdown());
    assert_eq!(csv.matches(",tcp\r\n").count(), report.cells.len() / 2);
    assert!(markdown.contains("| ring on TCP connections | 10 | 1 |"), "{markdown}");
    assert_eq!(report.html("").unwrap().matches("<svg ").count(), 4);
    let json = json(&report);
    assert_eq!(json["config"]["kind"], "pipe,tcp");
    assert_eq!(json["lines"][2]["kind"], "tcp");
    assert!(json["cells"].as_array().unwrap().iter().any(|cell| cell["kind"] == "tcp"));
}

#[test]
fn an_earlier_report_of_one_kind_is_compared_with_that_kind_alone() {
    let tcp = Plan::new(Layer::Selector, true, 32).on(vec![Kind::Tcp]);
    let mut earlier = json(&Report::new(&tcp, machine(), &synthetic(&tcp, 0.01)));
    // As it was written before the points had a kind.
    for cell in earlier["cells"].as_array_mut().unwrap() {
        cell.as_object_mut().unwrap().remove("kind");
    }
    let baseline = Baseline::parse("a.json", &earlier.to_string()).unwrap();
    assert!(baseline.check(&[Kind::Pipe]).is_err());
    baseline.check(&[Kind::Pipe, Kind::Tcp]).unwrap();
    let both = Plan::new(Layer::Selector, true, 32).on(vec![Kind::Pipe, Kind::Tcp]);
    let mut report = Report::new(&both, machine(), &synthetic(&both, 0.01));
    report.compare_with(&baseline);
    let calls = report.baseline.unwrap().calls;
    assert!(calls.iter().all(|call| call.points == tcp.points.len()), "{calls:?}");
}

#[test]
fn what_is_stopped_in_the_second_kind_is_reported_for_those_that_were_measured() {
    let stop_after = |runs: usize| {
        let plan = Plan {
            sample_time: Duration::from_micros(50),
            rounds: 1,
            ..Plan::new(Layer::Selector, true, 4)
        };
        let mut plan = Plan { points: plan.points[..2].to_vec(), lines: Vec::new(), ..plan };
        plan = plan.on(vec![Kind::Pipe, Kind::Unix]);
        let mut steps = 0;
        let measured = measure_kinds(&mut plan, |_| {
            steps += 1;
            if steps > runs { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (plan, measured.unwrap())
    };
    let all = 2 * 2 * 2 * 10;
    let (plan, measured) = stop_after(all);
    assert_eq!((plan.kinds.len(), plan.runs(), measured.stopped), (2, all, false));
    let (plan, measured) = stop_after(all / 2 + 5);
    assert_eq!((&plan.kinds[..], measured.stopped), (&[Kind::Pipe][..], true));
    assert_eq!(measured.cells.len(), plan.points.len() * 10);
}

/// The report of a machine on which all calls cost the same.
#[test]
fn equal_calls_are_too_close_to_call() {
    let plan = Plan::new(Layer::Selector, true, 1_000);
    let mut measured = synthetic(&plan, 0.01);
    for cell in &mut measured.cells {
        cell.cpu_ns = vec![500.0; 5];
    }
    let sentences = Report::new(&plan, machine(), &measured).sentences;
    assert_eq!(sentences[0], "Take any of them: the differences are too close to call.");
    assert_eq!(
        sentences[2..5],
        [
            "With one ready, epoll and poll are too close to call from 1 to 1,000 watched.",
            "Of 1,000 watched, epoll and poll are too close to call from 1 to 1,000 ready.",
            "select and poll are too close to call.",
        ]
    );
}

#[test]
fn the_report_fits_the_terminal_and_breaks_no_word() {
    for layer in Layer::TRIPOLL {
        let report = synthetic_report(layer);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for width in [40, 60, 80, 96, 200] {
            let text = report.text(width, false);
            for line in text.lines() {
                assert!(line.chars().count() <= width, "{width} columns: {line:?}");
            }
            let sentence = words(&report.sentences[0]);
            assert_eq!(words(&text)[..sentence.len()], sentence);
            // Each figure once, in whatever blocks.
            let figures = text.lines().filter(|line| line.contains('│'));
            let figures = figures.map(|line| line.matches('±').count()).sum::<usize>();
            assert_eq!(figures, report.cells.len() / 10 * 4, "{width}");
        }
        assert!(report.text(80, false).contains("│ epoll edge"), "four calls fit 80 columns");
    }
}

#[test]
fn the_cheapest_figures_are_marked_and_green_on_a_terminal() {
    let report = synthetic_report(Layer::Selector);
    let (plain, coloured) = (report.text(80, false), report.text(80, true));
    assert!(!plain.contains('\u{1b}'));
    assert_eq!(coloured.replace("\u{1b}[32m", "").replace("\u{1b}[0m", ""), plain);
    for (line, marked) in plain.lines().zip(coloured.lines()) {
        assert_eq!(line.matches("* ±").count(), marked.matches("\u{1b}[32m").count(), "{line}");
    }
    let at_one = plain.lines().find(|line| line.starts_with("      1     1 │")).unwrap();
    assert!(at_one.contains("60* ± 1%") && at_one.matches("* ±").count() == 1, "{at_one}");
}

#[test]
fn the_page_has_charts_with_their_sentences_and_needs_no_network_and_no_script() {
    let report = synthetic_report(Layer::Selector);
    let html = report.html("tripoll compare --report a&b.html").unwrap();
    assert!(html.len() < 300_000, "{}", html.len());
    assert_eq!(html.matches("<svg ").count(), 2);
    assert_eq!(html.matches("</svg>").count(), 2);
    assert_eq!(html.matches("role=\"img\" aria-label=\"").count(), 2);
    let figures: Vec<&str> = html.split("<figure>").skip(1).collect();
    for (figure, sentence) in figures.iter().zip(&report.sentences[2..4]) {
        let (figure, _) = figure.split_once("</figure>").unwrap();
        assert!(figure.contains(&format!("<p>{sentence}</p>")), "{figure}");
        assert!(figure.contains("<table>") && figure.contains("compare --report a&amp;b.html"));
        // A line for each of the four calls.
        assert!(figure.matches("<polyline").count() >= 4, "{figure}");
    }
    for sentence in &report.sentences {
        assert!(html.contains(sentence.as_str()), "{sentence}");
    }
    // The only address is the name of the format.
    let addresses = html.replace("http://www.w3.org/2000/svg", "");
    for forbidden in ["<script", "http:", "https:", "src=", "@import"] {
        assert!(!addresses.contains(forbidden), "{forbidden}");
    }
    assert!(html.contains("prefers-color-scheme: dark") && html.contains("@media print"));
}

#[test]
fn the_picture_has_its_legend_its_date_its_machine_and_the_command_that_made_it() {
    let svg = synthetic_report(Layer::Selector).svg("tripoll compare --export-svg a.svg").unwrap();
    for part in ["epoll level", "poll", "cross at", "1 CPU", "--export-svg a.svg"] {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
    assert!(svg.contains("prefers-color-scheme: dark") && svg.len() < 24_000, "{}", svg.len());
    // A single point makes no chart.
    let plan =
        Plan { points: Vec::new(), lines: Vec::new(), ..Plan::new(Layer::Selector, true, 9) };
    let report = Report::new(&plan, machine(), &synthetic(&plan, 0.0));
    assert_eq!(report.svg("").unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_chart_in_letters_fits_the_terminal() {
    let text = synthetic_report(Layer::Selector).text(60, false);
    let rows = text.lines().filter(|line| line.chars().nth(13) == Some('│'));
    let rows: Vec<&str> = rows.filter(|line| !line.contains('±')).collect();
    assert_eq!(rows.len(), 11, "{text}");
    // At 10,000 watched, select and poll are at the top, and both of epoll far below.
    let last = |row: &str| row.chars().last();
    assert_eq!((last(rows[0]), last(rows[9])), (Some('*'), Some('*')), "{text}");
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
    let text = Report::new(&plan, machine(), &measure_quickly(&plan)).text(200, false);
    assert!(text.contains("Left out: 10,000 watched, which needs 20,000 descriptors"), "{text}");
}

fn measure_quickly(plan: &Plan) -> Measured {
    let plan = Plan { rounds: 3, sample_time: Duration::from_micros(50), ..plan.clone() };
    let pipes = Pipes::open(plan.pipes()).unwrap();
    measure(&plan, &pipes, |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn the_json_is_valid_and_its_sentences_agree_with_its_numbers() {
    for layer in Layer::TRIPOLL {
        let plan = Plan::new(layer, true, 32);
        let report = json(&Report::new(&plan, machine(), &measure_quickly(&plan)));
        assert_eq!(report["cells"].as_array().unwrap().len(), plan.points.len() * 10);

        // A sentence for each of the two lines of the layer; those of the raw loops share one.
        let sentences = report["sentences"].to_string();
        let lines = report["lines"].as_array().unwrap();
        assert_eq!(lines.len(), 4);
        for line in lines {
            match line["result"].as_str().unwrap() {
                "cross" => {
                    let [low, at, high] =
                        ["low", "at", "high"].map(|end| line[end].as_f64().unwrap());
                    assert!(low <= at && at <= high, "{line}");
                    let named = format!("epoll and poll cross at {at:.0} (");
                    assert!(sentences.contains(&named), "{named}: {sentences}");
                }
                "first" => assert!(sentences.contains("poll is cheaper than epoll")),
                "second" => assert!(sentences.contains("epoll is cheaper than poll")),
                _ => assert!(sentences.contains("epoll and poll are too close to call")),
            }
        }
    }
}

fn json(report: &Report) -> Value {
    serde_json::from_str(&serde_json::to_string(report).unwrap()).unwrap()
}

#[test]
fn the_layer_is_named_and_no_other_was_measured() {
    for (layer, other) in [(Layer::Selector, Layer::Reactor), (Layer::Reactor, Layer::Selector)] {
        let report = synthetic_report(layer);
        let (layer, other) = (layer.name(), other.name());
        let text = report.text(96, false);
        // In the sentence about its cost, and above its table.
        assert_eq!(text.split_whitespace().filter(|&word| word == layer).count(), 2, "{text}");
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

#[test]
fn a_measurement_that_is_stopped_keeps_the_points_that_all_contenders_have() {
    let plan =
        Plan { sample_time: Duration::from_micros(50), ..Plan::new(Layer::Reactor, true, 4) };
    let pipes = Pipes::open(plan.pipes()).unwrap();
    let stop_after = |runs: usize| {
        let mut steps = 0;
        let measured = measure(&plan, &pipes, |_| {
            steps += 1;
            if steps > runs { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(steps, runs + 1);
        measured.unwrap()
    };
    let (contenders, calibration) = (10, plan.points.len() * 10);

    let nothing = stop_after(calibration);
    assert!(nothing.cells.is_empty() && nothing.stopped);
    let one_point = stop_after(calibration + contenders + 3);
    assert_eq!((one_point.cells.len(), one_point.rounds), (contenders, 0));
    let second_round = stop_after(2 * calibration + contenders + 9);
    assert_eq!((second_round.cells.len(), second_round.rounds), (calibration, 1));
    let samples = second_round.cells.iter().map(|cell| cell.cpu_ns.len());
    assert_eq!(samples.filter(|&samples| samples == 2).count(), contenders);
}

/// The plan of the peers, with two libraries in the place of those that are installed.
fn plan_of_peers() -> Plan {
    let mut plan = Plan::of_preset(Preset::Peers, Layer::Selector, true, 1_000);
    let contender = |layer, backend, trigger| Contender { layer, backend, trigger };
    plan.beside = vec![
        contender(Layer::Reactor, Backend::Epoll, Trigger::Level),
        contender(Layer::Raw, Backend::Mio, Trigger::Edge),
        contender(Layer::Peer(Peer::Libuv), Backend::Epoll, Trigger::Level),
    ];
    plan.missing = vec!["python (no python3 was found)".to_string()];
    plan
}

/// On the synthetic machine, mio costs what the selector does, and libuv 150 ns at each event.
fn synthetic_peers(plan: &Plan) -> Measured {
    let mut measured = synthetic(plan, 0.01);
    for cell in &mut measured.cells {
        let one = cell.contender;
        let ns = match (one.layer, one.backend) {
            (Layer::Peer(_), _) => 150.0,
            (_, Backend::Mio) => 100.0,
            _ => continue,
        };
        *cell = self::cell(cell.point, one, ns, 0.01);
    }
    measured
}

#[test]
fn each_peer_has_a_sentence_and_a_row_beside_its_counterpart() {
    let plan = plan_of_peers();
    let report = Report::new(&plan, machine(), &synthetic_peers(&plan));
    assert_eq!(
        report.sentences[0],
        "Of 8 other ways to wait, 3 cost more than tripoll, 5 are too close to call, and none costs \
         less."
    );
    let sentences = &report.sentences[2..11];
    assert!(sentences[0].starts_with("A C loop that sleeps at once by select costs 1."));
    assert!(sentences[0].ends_with(" at 1,000 watched and one ready."), "{}", sentences[0]);
    assert_eq!(
        sentences[6..],
        [
            "mio by edge-triggered epoll and the selector of tripoll are too close to call: 1.00 \
             (1.00 to 1.00) times.",
            "libuv by epoll costs 1.25 (1.25 to 1.25) times what the reactor of tripoll costs.",
            "Not measured: python (no python3 was found).",
        ]
    );
    let text = report.text(80, false);
    let row = text.lines().find(|line| line.starts_with("libuv epoll")).unwrap();
    assert_eq!(row, "libuv epoll            1.25  1.25–1.25  │   1.25   1.25");
    for width in [40, 80, 200] {
        for line in report.text(width, false).lines() {
            assert!(line.chars().count() <= width, "{width} columns: {line:?}");
        }
    }
    let json = json(&report);
    assert_eq!(json["peers"][7]["name"], "libuv");
    assert_eq!(json["peers"][7]["layer"], "reactor");
}

#[test]
fn the_page_of_the_peers_has_a_chart_with_a_mark_for_each_and_a_table() {
    let plan = plan_of_peers();
    let report = Report::new(&plan, machine(), &synthetic_peers(&plan));
    let html = report.html("tripoll compare --preset peers").unwrap();
    let (_, figure) = html.split_once("<h2>Other libraries").unwrap();
    let (figure, _) = figure.split_once("</figure>").unwrap();
    assert_eq!(figure.matches("<circle").count(), 8, "{figure}");
    for name in ["mio epoll edge", "libuv epoll", "C, asks first poll"] {
        // In the chart and in the table.
        assert_eq!(figure.matches(name).count(), 2, "{name}");
    }
    assert!(figure.contains("1.25 (1.25–1.25)"));
    let plain = synthetic_report(Layer::Selector).html("tripoll compare").unwrap();
    assert!(!plain.contains("Other libraries"));
}

#[test]
fn a_library_that_refuses_a_point_is_left_out_there() {
    let mut plan = plan_of_peers();
    plan.points = vec![Point::Ring { n: 3, active: 1, changes: 1, kind: Kind::Pipe }];
    plan.lines.clear();
    // No peer is asked to change interests, and libuv may be missing.
    let measured = measure_quickly(&plan);
    assert!(measured.cells.iter().all(|cell| !cell.cpu_ns.is_empty()));
    let is_peer = |cell: &Cell| matches!(cell.contender.layer, Layer::Peer(_));
    assert!(!measured.cells.iter().any(is_peer));
    assert_eq!(measured.cells.len(), plan.contenders().count() - 1);
}
