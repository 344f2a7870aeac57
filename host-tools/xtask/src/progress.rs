//! Progress on stderr: bars on a terminal, one plain line elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// One line, before work that shows its own progress.
pub fn note(message: &str) {
    eprintln!("{message}");
}

/// A spinner for work of unknown length.
pub fn spinner(message: impl Into<String>) -> ProgressBar {
    let message = message.into();
    announce(&message);
    let bar = ProgressBar::new_spinner().with_message(message);
    bar.set_style(style("{spinner} {msg} [{elapsed}]"));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A bar for `len` steps.
pub fn bar(len: usize, message: impl Into<String>) -> ProgressBar {
    let message = message.into();
    announce(&message);
    let bar = ProgressBar::new(len as u64).with_message(message);
    bar.set_style(style(
        "{msg} {wide_bar} {pos}/{len} [{elapsed}, {eta} left]",
    ));
    bar
}

fn announce(message: &str) {
    if !std::io::stderr().is_terminal() {
        note(message);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
