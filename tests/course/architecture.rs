//! `NOTES.md`, the architecture.

use tripoll::selector::{SelectSelector, Selector, Trigger};

use super::pages::page;

#[test]
fn the_architecture_is_short() {
    let notes = page("NOTES.md".into());
    assert!(notes.text.len() <= 26_000, "NOTES.md has {} bytes", notes.text.len());
}

#[test]
#[cfg(feature = "mio")]
fn the_table_of_differences_is_what_the_selectors_say() {
    use tripoll::selector::{Backend, Caps, Cost, Readiness};

    let notes = page("NOTES.md".into());
    let row = |what: &str, cell: &dyn Fn(Caps) -> String| {
        let cells: Vec<_> =
            Backend::ALL.iter().map(|backend| cell(backend.selector().unwrap().caps())).collect();
        let row = format!("| {what} | {} |\n", cells.join(" | "));
        assert!(notes.text.contains(&row), "NOTES.md has not the row {row}");
    };
    let yes = |yes| String::from(if yes { "yes" } else { "no" });
    let why = Readiness::HANGUP | Readiness::ERROR | Readiness::READ_CLOSED;

    row("triggers", &|caps| {
        caps.triggers.iter().map(Trigger::to_string).collect::<Vec<_>>().join(", ")
    });
    row("says why (hang-up, error, half-close)", &|caps| yes(caps.reports.contains(why)));
    row("says that a number is closed", &|caps| yes(caps.reports.contains(Readiness::INVALID)));
    row("tells urgent data from plain", &|caps| yes(caps.urgent_apart));
    row("cost of a wait grows with", &|caps| match caps.wait_cost {
        Cost::PerReady => "what is ready".into(),
        _ => "what is watched".into(),
    });
    row("a change of interest is a system call", &|caps| yes(caps.change_is_a_system_call));
    row("largest descriptor", &|caps| {
        caps.largest_descriptor.map_or("any".into(), |largest| largest.to_string())
    });
    row("a deadline's finest step", &|caps| format!("{:?}", caps.precision));
    assert_eq!(SelectSelector::strict().caps().largest_descriptor, Some(1_023));
}
