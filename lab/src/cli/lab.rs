//! `tripoll lab`: the arguments, the address, recordings, and Ctrl-C.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tripoll_trace::is_chinese;

use super::failure::Failure;
use super::output::{check_writable, print, write_file};
use crate::live::hub::Hub;
use crate::live::recording::{self, Recording};
use crate::live::scenarios::{self, Scenario};
use crate::live::{Lab, Options};

/// Runs a lab until Ctrl-C.
pub(super) fn run(options: &Options, record: Option<&Path>) -> Result<(), Failure> {
    if let Some(path) = record {
        check_writable("--record", path)?;
    }
    let mut signals = signal_hook::iterator::Signals::new(signal_hook::consts::TERM_SIGNALS)?;
    let lab = Lab::begin(options).map_err(usage)?;
    let writer = record.map(|path| Writer::begin(path, lab.hub())).transpose()?;
    print(&format!("lab:     {}   (this machine only)\n", lab.url()))?;
    eprintln!("subject: {}   Ctrl-C ends the lab", lab.subject());
    if io::stdout().is_terminal() && is_desktop() {
        open(lab.url());
    }
    signals.forever().next();
    lab.end()?;
    writer.map_or(Ok(()), Writer::end)
}

/// Writes the records of a lab to a file, in a thread of its own.
struct Writer {
    is_ended: Arc<AtomicBool>,
    thread: thread::JoinHandle<io::Result<()>>,
}

impl Writer {
    fn begin(path: &Path, hub: &Arc<Hub>) -> Result<Writer, Failure> {
        let mut file = io::BufWriter::new(File::create(path)?);
        let (hub, is_ended) = (Arc::clone(hub), Arc::new(AtomicBool::new(false)));
        let ended = Arc::clone(&is_ended);
        let thread = thread::spawn(move || {
            let mut place = 0;
            loop {
                let must_end = ended.load(Ordering::SeqCst);
                if let Some(entry) = hub.wait(place, Duration::from_millis(100)) {
                    place = entry.place + 1;
                    file.write_all(recording::line(entry.name, &entry.json).as_bytes())?;
                } else if must_end {
                    return file.flush();
                } else {
                    file.flush()?;
                }
            }
        });
        Ok(Writer { is_ended, thread })
    }

    fn end(self) -> Result<(), Failure> {
        self.is_ended.store(true, Ordering::SeqCst);
        let ended = self.thread.join();
        let panicked = || Err(io::Error::other("the thread that writes the recording panicked"));
        ended.unwrap_or_else(|_| panicked()).map_err(|error| {
            Failure::Runtime(format!("--record: the recording is not complete: {error}"))
        })
    }
}

/// Makes a page of a recording.
pub(super) fn replay(file: &Path) -> Result<(), Failure> {
    let recording = read(file)?;
    let mut page = file.as_os_str().to_owned();
    page.push(".html");
    let page = PathBuf::from(page);
    write_file("--replay", &page, &recording.to_page())?;
    let address = format!("file://{}", fs::canonicalize(&page)?.display());
    print(&format!("page:    {address}   (it needs no server)\n"))?;
    if io::stdout().is_terminal() && is_desktop() {
        open(&address);
    }
    Ok(())
}

/// Reads a recording.
pub(super) fn read(file: &Path) -> Result<Recording, Failure> {
    let wrong = |error: io::Error| Failure::Usage(format!("{}: {error}", file.display()));
    let text = fs::read_to_string(file).map_err(wrong)?;
    Recording::read(&text).map_err(wrong)
}

/// Plays scenarios, and writes them as pages, with a list of them.
pub(super) fn export(folder: &Path, only: Option<&str>) -> Result<(), Failure> {
    let wanted: Vec<&Scenario> = match only {
        Some(id) => vec![scenarios::find(id).map_err(|it| Failure::Usage(it.to_lowercase()))?],
        None => scenarios::all().iter().collect(),
    };
    fs::create_dir_all(folder)?;
    for scenario in &wanted {
        let options = Options { scenario: Some(scenario.id.clone()), ..Options::default() };
        let page = Recording::of_scenario(&options)?.to_page();
        let path = folder.join(&scenario.id).with_extension("html");
        write_file("--export", &path, &page)?;
        eprintln!("{}", path.display());
    }
    write_file("--export", &folder.join("index.html"), &index(&wanted))
}

/// Returns the list of the pages.
fn index(wanted: &[&Scenario]) -> String {
    let line = |it: &&Scenario| {
        let Scenario { id, question, title, .. } = it;
        let (en, zh) = (escape(&title.en), escape(&title.zh));
        format!(
            "<li value=\"{question}\"><a href=\"{id}.html\">{en}<br><span lang=\"zh-CN\">{zh}</span></a></li>\n"
        )
    };
    let list: String = wanted.iter().map(line).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>tripoll lab</title>\
         <style>body{{font:1rem/1.5 system-ui;max-width:45rem;margin:2rem auto;padding:0 1rem}}\
         li{{margin:.7rem 0}}</style></head>\n<body><h1>tripoll lab</h1>\n<ol>\n{list}</ol></body></html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Says what is wrong with the arguments.
pub(super) fn usage(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::InvalidInput => Failure::Usage(error.to_string()),
        _ => error.into(),
    }
}

/// Prints the scenarios.
pub(super) fn list() -> Result<(), Failure> {
    let widest = scenarios::all().iter().map(|it| it.id.len()).max().unwrap_or_default();
    let line = |it: &Scenario| {
        let title = if is_chinese() { &it.title.zh } else { &it.title.en };
        format!("{:>2}  {:widest$}  {title}\n", it.question, it.id)
    };
    print(&scenarios::all().iter().map(line).collect::<String>())
}

fn is_desktop() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some())
}

/// Opens the page, if that can be done. The address was printed in any case.
fn open(url: &str) {
    let mut command = Command::new("xdg-open");
    let _ = command.arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}
