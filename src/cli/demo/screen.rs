//! What the demo shows: on a terminal a few lines that are drawn again and again, elsewhere plain lines.
//!
//! No colour and no cursor movement where the output is no terminal, or where NO_COLOR or TERM=dumb ask for none.

use std::io::{IsTerminal, Write};

pub struct Screen {
    terminal: bool,
    /// How many lines of the drawing stand above the cursor.
    drawn: usize,
}

impl Screen {
    pub fn new() -> Screen {
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|t| t == "dumb");
        Screen { terminal: std::io::stdout().is_terminal() && !dumb && !set("NO_COLOR"), drawn: 0 }
    }

    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// A line that stays; it comes after the drawing, which stays too.
    pub fn line(&mut self, text: &str) {
        self.drawn = 0;
        self.put(&format!("{text}\n"));
    }

    /// The drawing, in the place of the one before. On a terminal only.
    pub fn draw(&mut self, lines: &[String]) {
        if !self.terminal {
            return;
        }
        let width = width();
        let mut out = String::new();
        if self.drawn > 0 {
            out.push_str(&format!("\x1b[{}A", self.drawn));
        }
        for line in lines {
            // A line that wraps would be two for the terminal and one for us.
            let cut: String = line.chars().take(width.saturating_sub(1)).collect();
            out.push_str(&format!("\r\x1b[2K{cut}\n"));
        }
        self.drawn = lines.len();
        self.put(&out);
    }

    pub fn good(&self, text: &str) -> String {
        self.in_colour(text, 32)
    }

    pub fn bad(&self, text: &str) -> String {
        self.in_colour(text, 31)
    }

    fn in_colour(&self, text: &str, colour: u8) -> String {
        if self.terminal { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn put(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // A reader that has gone away is not our trouble.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

fn width() -> usize {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel fills the struct that lives here.
    let answer = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) };
    if answer == 0 && size.ws_col > 0 { usize::from(size.ws_col) } else { 80 }
}

/// `[######......]`
pub fn bar(share: f64, width: usize) -> String {
    let full = (share.clamp(0.0, 1.0) * width as f64).round() as usize;
    format!("[{}{}]", "#".repeat(full), ".".repeat(width - full))
}

/// `12,345`
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1.2 kB`
pub fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        _ => format!("{:.1} MB", n as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bars() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(n), text);
        }
        for (n, text) in [(999, "999 B"), (1_234, "1.2 kB"), (5_600_000, "5.6 MB")] {
            assert_eq!(bytes(n), text);
        }
        for (share, text) in [(-1.0, "[....]"), (0.5, "[##..]"), (2.0, "[####]")] {
            assert_eq!(bar(share, 4), text);
        }
    }
}
