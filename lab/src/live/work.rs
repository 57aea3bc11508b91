//! The work of a handler on a message, as long as the settings say.

use std::time::Duration;

use super::recorder;
use super::settings::Settings;

/// Works on a message in the loop's thread.
pub(super) fn work(settings: &Settings) {
    if settings.slow > 0 {
        recorder::with(|recorder| recorder.entering(None, "handler"));
        std::thread::sleep(Duration::from_millis(settings.slow));
        recorder::with(|recorder| recorder.left());
    }
}
