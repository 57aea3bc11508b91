//! A headless Chromium, driven over its DevTools protocol.
//!
//! The protocol runs over a pair of pipes, so it needs neither a port nor a websocket. When this
//! process ends, the pipes close, and Chromium ends by itself.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// No answer takes longer, on a slow machine either.
const LIMIT: Duration = Duration::from_secs(30);

type Waiting = Arc<Mutex<HashMap<u64, Sender<Value>>>>;

struct Browser {
    requests: Mutex<ChildStdin>,
    waiting: Waiting,
    next: AtomicU64,
}

/// Returns the Chromium of all tests. `None`, with a word, where none is installed.
fn browser() -> Option<&'static Browser> {
    static BROWSER: OnceLock<Option<Browser>> = OnceLock::new();
    BROWSER.get_or_init(start).as_ref()
}

fn program() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let found = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file());
    named.or(found)
}

fn start() -> Option<Browser> {
    let Some(program) = program() else {
        println!("skipped: there is no Chromium here; install one, or name it in CHROMIUM");
        return None;
    };
    let profile = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chromium");
    let _ = fs::remove_dir_all(&profile);
    // Chromium reads from descriptor 3 and writes to descriptor 4.
    let mut chromium = Command::new("sh")
        .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"])
        .arg(program)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let requests = Mutex::new(chromium.stdin.take().expect("a pipe"));
    let answers = BufReader::new(chromium.stdout.take().expect("a pipe"));
    let waiting = Waiting::default();
    let listeners = Arc::clone(&waiting);
    thread::spawn(move || {
        for answer in answers.split(0) {
            let Ok(answer) = answer else { break };
            let Ok(answer) = serde_json::from_slice::<Value>(&answer) else { continue };
            let sender = answer["id"].as_u64().and_then(|id| listeners.lock().unwrap().remove(&id));
            if let Some(sender) = sender {
                let _ = sender.send(answer);
            }
        }
        // Nobody waits any longer for a Chromium that has ended.
        listeners.lock().unwrap().clear();
        let _ = chromium.wait();
    });
    Some(Browser { requests, waiting, next: AtomicU64::new(1) })
}

impl Browser {
    fn call(&self, session: Option<&str>, method: &str, parameters: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = mpsc::channel();
        self.waiting.lock().unwrap().insert(id, sender);
        let mut request = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = session {
            request["sessionId"] = session.into();
        }
        let mut bytes = serde_json::to_vec(&request).unwrap();
        bytes.push(0);
        self.requests.lock().unwrap().write_all(&bytes).expect("Chromium runs");
        let answer = answer.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("{method}: no answer"));
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }
}

/// One tab of the browser.
pub struct Tab {
    browser: &'static Browser,
    session: String,
}

impl fmt::Debug for Tab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tab").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Tab {
    /// Opens an empty tab. `None` where there is no Chromium.
    pub fn open() -> Option<Tab> {
        let browser = browser()?;
        let context = browser.call(None, "Target.createBrowserContext", json!({}));
        let target = browser.call(
            None,
            "Target.createTarget",
            json!({ "url": "about:blank", "browserContextId": context["browserContextId"], "width": 1400, "height": 1000 }),
        );
        let attached = browser.call(
            None,
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        );
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        let tab = Tab { browser, session };
        tab.call("Page.enable", json!({}));
        Some(tab)
    }

    /// Calls a method of the protocol.
    pub fn call(&self, method: &str, parameters: Value) -> Value {
        self.browser.call(Some(&self.session), method, parameters)
    }

    /// Loads a page, and waits until its scripts have run and `ready` is true.
    pub fn load(&self, url: &str, ready: &str) {
        // What goes wrong in the page is kept for the test's end.
        let listen = "window.wrong = []; addEventListener('error', e => wrong.push(e.message)); \
                      addEventListener('unhandledrejection', e => wrong.push(String(e.reason))); \
                      document.addEventListener('securitypolicyviolation', e => wrong.push(e.blockedURI + ' ' + e.violatedDirective));";
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": listen }));
        self.call("Page.navigate", json!({ "url": url }));
        self.until(&format!("document.readyState === 'complete' && ({ready})"));
    }

    /// Evaluates an expression, a promise too.
    pub fn value(&self, expression: &str) -> Value {
        let answer = self.call(
            "Runtime.evaluate",
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true }),
        );
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer:#}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub fn until(&self, expression: &str) {
        let wait = format!(
            "new Promise(done => {{ const end = Date.now() + 20000; const look = () => {{ \
             let yes = false; try {{ yes = Boolean({expression}); }} catch {{}} \
             yes || Date.now() > end ? done(yes) : setTimeout(look, 20); }}; look(); }})"
        );
        if self.value(&wait) != json!(true) {
            let page = self.value("document.body.innerText");
            panic!(
                "never true: {expression}\nwrong: {}\n{}",
                self.value("window.wrong"),
                page.as_str().unwrap_or_default()
            );
        }
    }

    /// Returns what a person reads in an element.
    pub fn text(&self, selector: &str) -> String {
        let text = self.value(&format!("document.querySelector({selector:?}).innerText"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Presses a key, as a person does.
    pub fn press(&self, key: &str) {
        let text = match key {
            "Enter" => "\r",
            one if one.chars().count() == 1 => one,
            _ => "",
        };
        let down = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        let number = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "ArrowLeft" => 37,
            "ArrowRight" => 39,
            one => one.to_uppercase().bytes().next().unwrap_or(0),
        };
        for kind in [down, "keyUp"] {
            let text = if kind == "keyUp" { "" } else { text };
            self.call(
                "Input.dispatchKeyEvent",
                json!({ "type": kind, "key": key, "text": text, "windowsVirtualKeyCode": number }),
            );
        }
    }

    /// Types a text into what has the focus.
    pub fn type_in(&self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Clicks the middle of an element with the mouse.
    pub fn click(&self, selector: &str) {
        self.until(&format!(
            "document.querySelector({selector:?}) && !document.querySelector({selector:?}).disabled"
        ));
        let at = self.value(&format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{ block: 'center' }}); \
             const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 }),
            );
        }
    }

    /// Sets the width of the window, in pixels.
    pub fn width(&self, width: u32) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 }),
        );
    }

    /// Keeps a picture of the page, in the folder that `TRIPOLL_SHOTS` names.
    pub fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("TRIPOLL_SHOTS") else { return };
        let picture = self.call("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
        let path = PathBuf::from(folder).join(format!("{name}.png.base64"));
        fs::write(path, picture["data"].as_str().unwrap_or_default())
            .expect("the folder can be written");
    }

    /// Fails if something went wrong in the page: an exception, or what its policy has refused.
    pub fn nothing_went_wrong(&self) {
        assert_eq!(self.value("window.wrong"), json!([]));
    }
}
