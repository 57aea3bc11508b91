//! The page of the lab in a real Chromium. Where none is installed, these tests say so and pass.

mod chromium;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use chromium::Tab;
use serde_json::json;
use tripoll::{Backend, Trigger};
use tripoll_lab::live::recording::Recording;
use tripoll_lab::live::{Lab, Options};

/// A lab and its page.
struct Open {
    tab: Tab,
    lab: Lab,
}

/// Opens the page of a new lab. `None` where there is no Chromium.
fn open() -> Option<Open> {
    let tab = Tab::open()?;
    let options =
        Options { backend: Backend::Epoll, trigger: Some(Trigger::Edge), ..Options::default() };
    let lab = Lab::begin(&options).expect("a lab");
    tab.load(lab.url(), READY);
    Some(Open { tab, lab })
}

/// The page has heard of the subject.
const READY: &str =
    "state.gate === 'before' && state.now && document.querySelector('.sources tbody tr')";

impl Open {
    /// Steps by key, until the turn has been drawn.
    fn step(&self) {
        let before = self.tab.value("state.turn").as_u64().unwrap();
        self.tab.press("s");
        self.tab.until(&format!("state.turn === {} && state.gate === 'before' && document.querySelector('#state').innerText.includes('turn {}')", before + 1, before + 1));
    }

    /// Adds a client, whose connection the subject accepts.
    fn client(&self, id: u32) {
        self.tab.press("c");
        self.tab
            .until(&format!("state.clients.get({id}) && state.clients.get({id}).state === 'open'"));
        self.tab.until("state.now.ready.some(x => x.r)");
        self.step();
        self.tab.until(&format!(
            "document.querySelector('.sources').innerText.includes('client {id}')"
        ));
    }

    fn end(self) {
        self.tab.nothing_went_wrong();
        self.lab.end().expect("the lab ends");
    }
}

/// A page that plays a recording of the lost edge, without a server. The recording is made here, so that
/// its records are those of this program. Tests run side by side, so each has a file of its own.
fn recording() -> Option<Tab> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let tab = Tab::open()?;
    let options = Options { scenario: Some("edge-stall".into()), ..Options::default() };
    let recording = Recording::of_scenario(&options).expect("a recording");
    let name = format!("recording-{}.html", NUMBER.fetch_add(1, Ordering::Relaxed));
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, recording.to_page()).expect("a file");
    tab.load(&format!("file://{}", file.display()), "film && state.gate === 'before'");
    Some(tab)
}

#[test]
fn a_step_shows_what_was_reported_and_says_it_in_words() {
    let Some(open) = open() else { return };
    open.client(1);
    open.tab.press("/");
    open.tab.type_in("hello");
    open.tab.press("Enter");
    // The kernel goes on while the subject is paused: the bytes are there before the next wait.
    open.tab.until("state.now.sources.some(s => s.name === 'client 1' && s.read_queue === 6 && s.ready.includes('r'))");
    open.tab.press("Escape");
    assert!(open.tab.text("#story").contains("The kernel and the clients go on"));
    open.step();
    open.tab.until("document.querySelector('#story .says').innerText.includes('“hello”')");
    let says = open.tab.text("#story .says");
    assert!(says.starts_with("Turn 2: epoll_wait "), "{says}");
    assert!(says.contains("(client 1) as readable") && says.contains("read 6 bytes"), "{says}");
    assert_eq!(open.tab.text("#live"), says, "a screen reader is told the same");
    assert!(open.tab.text("#wait").contains("epoll_wait("));
    assert!(open.tab.text("#code .next").contains('▸'), "the next line is marked");
    open.end();
}

#[test]
fn a_prediction_is_judged() {
    let Some(open) = open() else { return };
    open.tab.press("c");
    open.tab.until("state.now.ready.some(x => x.r)");
    let listener = open.tab.value("state.now.sources.find(s => s.role === 'listener').fd");
    open.tab.click(&format!("#predict [data-v=\"{listener}\"]"));
    open.tab.until("document.querySelector('#predict [aria-pressed=true]')");
    open.step();
    open.tab.until("document.querySelector('#predict .verdict')");
    assert!(open.tab.text("#predict .verdict").contains("Right"));
    assert!(open.tab.text("#predict").contains("Score 1 of 1"));
    open.end();
}

#[test]
fn the_backend_and_the_trigger_are_switched_live() {
    let Some(open) = open() else { return };
    open.client(1);
    open.tab.click("#backend [data-v=poll]");
    open.tab.until("document.querySelector('#backend [aria-pressed=true]').innerText === 'poll'");
    open.tab.until("document.querySelector('#story .note')");
    open.tab.press("t");
    open.tab.until("state.hello.trigger === 'oneshot'");
    open.step();
    assert!(open.tab.text("#wait").contains("poll("), "{}", open.tab.text("#wait"));
    assert!(open.tab.text("#kernel").contains("Only epoll keeps a list"));
    open.end();
}

#[test]
fn a_reset_by_click_is_seen() {
    let Some(open) = open() else { return };
    open.client(1);
    open.tab.click("#clients [data-v=reset]");
    open.tab.until("document.querySelector('#clients .st.reset')");
    open.step();
    open.tab.until("!document.querySelector('.sources').innerText.includes('client 1')");
    let says = open.tab.text("#story .says");
    assert!(says.contains("ECONNRESET") || says.contains("was removed"), "{says}");
    open.end();
}

#[test]
fn the_whole_of_it_works_by_keyboard() {
    let Some(open) = open() else { return };
    let tab = &open.tab;
    open.client(1);
    tab.press(" ");
    tab.until("state.gate === 'running'");
    tab.press(" ");
    tab.until("state.gate === 'before'");
    tab.press("ArrowLeft");
    tab.until("state.looked !== null && document.querySelector('#story .looking')");
    assert!(tab.text("#story .looking").contains("was not rewound"));
    tab.press("Escape");
    tab.until("state.looked === null");
    tab.press("?");
    tab.until("!document.querySelector('#help').hidden && document.activeElement.id === 'help'");
    tab.press("Escape");
    tab.until(
        "document.querySelector('#help').hidden && document.activeElement.id === 'help-open'",
    );
    tab.press("p");
    tab.until("document.activeElement.closest('#predict')");
    tab.press("h");
    tab.until("state.clients.get(1).state === 'half-closed'");
    // Every control is reached by Tab, and the focus is seen.
    let controls = tab
        .value("document.querySelectorAll('button:not([disabled]), select, summary').length")
        .as_u64()
        .unwrap();
    tab.value("document.activeElement.blur()");
    let mut reached = 0;
    for _ in 0..controls + 20 {
        tab.press("Tab");
        let outline = tab.value("(() => { const e = document.activeElement; return e === document.body ? 'none' : getComputedStyle(e).outlineStyle; })()");
        if outline != json!("none") {
            reached += 1;
        }
    }
    assert!(reached >= controls.min(20), "{reached} of {controls} controls show their focus");
    // Keys do nothing while somebody types.
    tab.value("document.activeElement.blur()");
    tab.press("/");
    let turn = tab.value("state.turn");
    tab.press("s");
    assert_eq!(tab.value("document.querySelector('#say-1').value"), json!("s"));
    assert_eq!(tab.value("state.turn"), turn);
    open.end();
}

#[test]
fn the_page_is_chinese_where_the_browser_is() {
    let Some(tab) = Tab::open() else { return };
    let lab = Lab::begin(&Options::default()).expect("a lab");
    let agent = tab.value("navigator.userAgent");
    tab.call(
        "Emulation.setUserAgentOverride",
        json!({ "userAgent": agent, "acceptLanguage": "zh-CN" }),
    );
    tab.load(lab.url(), READY);
    assert_eq!(tab.value("document.documentElement.lang"), json!("zh-CN"));
    assert!(tab.text("#sources h2").contains("事件源"));
    assert!(tab.text("#top").contains("停在等待之前"));
    tab.press("l");
    tab.until("document.documentElement.lang === 'en'");
    assert!(tab.text("#sources h2").contains("Sources"));
    tab.nothing_went_wrong();
    lab.end().expect("the lab ends");
}

#[test]
fn the_page_has_one_column_on_a_phone() {
    let Some(tab) = recording() else { return };
    tab.press("S");
    for width in [390, 320, 800, 1400] {
        tab.width(width);
        tab.until(&format!("innerWidth === {width}"));
        let wide = tab.value("document.documentElement.scrollWidth").as_u64().unwrap();
        assert!(wide <= width.into(), "at {width} pixels the page is {wide} wide");
        tab.picture(&format!("width-{width}"));
    }
    tab.nothing_went_wrong();
}

#[test]
fn the_ghost_is_seen_and_explained() {
    let Some(tab) = recording() else { return };
    assert!(tab.value("document.querySelector('.is-ghost')").is_null());
    for turn in 1..=3 {
        tab.press("s");
        tab.until(&format!("state.turn === {turn}"));
    }
    tab.until("document.querySelector('.is-ghost')");
    let row = tab.text(".ghost-why");
    assert!(row.contains("1,024 bytes") && row.contains("not reported"), "{row}");
    assert_eq!(tab.value("document.querySelectorAll('.sources .chip.ghost').length"), json!(1));
    tab.picture("ghost");
    let fd = tab.value("state.now.sources.find(s => s.ghost).fd");
    tab.press("u"); // a ghost is a lost edge when the next wait does not report it either
    tab.until("document.querySelector('#alert').innerText.includes('Lost edge')");
    let alert = tab.text("#alert");
    assert!(alert.contains(&format!("Lost edge: descriptor {fd} ")), "{alert}");
    // A bar of the past is looked at by click.
    let first = tab.value("state.turns[0].t");
    tab.click(&format!("#bars [data-t=\"{first}\"] .hit"));
    tab.until(&format!("state.looked === {first} && !document.querySelector('.is-ghost')"));
    tab.nothing_went_wrong();
}

#[test]
fn a_lost_edge_is_made_by_hand() {
    let Some(open) = open() else { return };
    let tab = &open.tab;
    tab.value("choose('handler', 'edge-one-read')");
    tab.until("state.hello.handler === 'edge-one-read' && state.gate === 'before'");
    tab.until("document.querySelector('.sources tbody tr')");
    open.client(1);
    tab.click("#clients [data-do=bulk]");
    tab.until("state.now.sources.some(s => s.read_queue === 2048)");
    open.step();
    tab.until("document.querySelector('.is-ghost') && document.querySelector('.ghost-why')");
    assert!(tab.text(".ghost-why").contains("1,024 bytes"), "{}", tab.text(".ghost-why"));
    open.step();
    assert!(tab.text("#story .says").contains("reported nothing"), "{}", tab.text("#story .says"));
    tab.picture("by-hand");
    // The switch registers each source anew, so the lost edge is reported again.
    tab.click("#backend [data-v=poll]");
    tab.until("state.hello.backend === 'poll'");
    open.step();
    assert!(tab.text("#story .says").contains("(client 1) as readable"));
    open.end();
}

#[test]
fn the_page_is_printed() {
    let Some(tab) = recording() else { return };
    tab.press("u");
    tab.until("document.querySelector('.is-ghost')");
    let printed = tab.call("Page.printToPDF", json!({ "printBackground": true }));
    let bytes = printed["data"].as_str().unwrap_or_default().len() * 3 / 4;
    assert!(bytes > 10_000, "the document has {bytes} bytes");
    tab.call("Emulation.setEmulatedMedia", json!({ "media": "print" }));
    assert_eq!(
        tab.value("getComputedStyle(document.querySelector('#controls')).display"),
        json!("none")
    );
    assert_eq!(
        tab.value("getComputedStyle(document.body).backgroundColor"),
        json!("rgb(255, 255, 255)")
    );
    tab.nothing_went_wrong();
}

/// `AXE=…/axe.min.js` names the checker, which is not a part of this project.
#[test]
fn the_checker_of_accessibility_finds_nothing_serious() {
    let Some(axe) = std::env::var_os("AXE") else {
        println!("skipped: AXE names no axe.min.js");
        return;
    };
    let Some(tab) = recording() else { return };
    tab.value(&fs::read_to_string(axe).expect("the checker"));
    tab.press("u");
    tab.until("document.querySelector('.is-ghost')");
    tab.press("?");
    for scheme in ["light", "dark"] {
        tab.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
        for width in [1400, 390] {
            tab.width(width);
            let found = tab.value(
                "axe.run().then(r => r.violations.map(v => v.impact + ' ' + v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.failureSummary).join('; ')))",
            );
            println!("{scheme}, {width} pixels: {found:#}");
            let serious = found.as_array().unwrap().iter().filter_map(|v| v.as_str());
            let serious: Vec<_> =
                serious.filter(|v| v.starts_with("serious") || v.starts_with("critical")).collect();
            assert!(serious.is_empty(), "{scheme}, {width} pixels: {serious:#?}");
        }
    }
}
