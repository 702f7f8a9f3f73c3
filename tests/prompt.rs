//! The interactive prompt of `osqdemo ksql`, in a terminal of its own that `script` makes.

mod support;

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use support::{NativeStack, eventually};

const DEADLINE: Duration = Duration::from_secs(20);

/// A terminal in which the prompt runs.
struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: Arc<Mutex<String>>,
    /// How much of the screen was read.
    read: usize,
}

impl Terminal {
    fn open(stack: &NativeStack, columns: u16) -> Self {
        let prompt = stack.world.command(&["ksql"]);
        let program = prompt.get_program().to_string_lossy().into_owned();
        let mut script = std::process::Command::new("script");
        script
            .args([
                "-qfec",
                &format!("stty cols {columns} rows 24; exec {program} ksql"),
                "/dev/null",
            ])
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        for (name, value) in prompt.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        let mut child = script.spawn().expect("`script` of util-linux");
        let keyboard = child.stdin.take().expect("a keyboard");
        let mut output = child.stdout.take().expect("a screen");
        let screen = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&screen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                seen.lock().expect("the screen").push_str(&text);
            }
        });
        let mut terminal = Self {
            child,
            keyboard,
            screen,
            read: 0,
        };
        terminal.expect("ksql> ");
        terminal
    }

    fn press(&mut self, keys: &str) {
        self.keyboard
            .write_all(keys.as_bytes())
            .expect("the terminal reads");
        self.keyboard.flush().expect("the terminal reads");
    }

    /// Waits until `text` is on the screen, below what was read before; returns what came with it.
    fn expect(&mut self, text: &str) -> String {
        let mut found = String::new();
        let (screen, read) = (Arc::clone(&self.screen), &mut self.read);
        eventually(&format!("`{text}` on the screen"), DEADLINE, || {
            let screen = screen.lock().expect("the screen");
            let Some(at) = screen[*read..].find(text) else {
                return false;
            };
            let end = *read + at + text.len();
            found = screen[*read..end].to_owned();
            *read = end;
            true
        });
        found
    }

    fn exit_code(mut self) -> Option<i32> {
        let mut status = None;
        eventually("the prompt ended", DEADLINE, || {
            status = self.child.try_wait().expect("a status");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

#[test]
fn statements_queries_mistakes_and_the_way_out() {
    let stack = NativeStack::up();
    let mut terminal = Terminal::open(&stack, 80);

    terminal.press("list\r");
    terminal.expect(" ...> ");
    // Also in the midst of a statement, which then goes on.
    terminal.press("help\r");
    terminal.expect("Statements end with `;`");
    terminal.expect(" ...> ");
    terminal.press("streams;\r");
    terminal.expect("PRECISE_PROC");
    terminal.expect("ksql> ");
    terminal.press("LIST\r");
    terminal.expect(" ...> ");
    terminal.press("history\r");
    terminal.expect("streams;");
    terminal.expect(" ...> ");
    terminal.press("quit\r");
    assert_eq!(terminal.exit_code(), Some(0));
    let mut terminal = Terminal::open(&stack, 80);

    terminal.press("VERSION\r");
    terminal.expect(", ksqlDB 7.9.8");
    terminal.expect("ksql> ");

    // A query without rows says after a moment what it waits for, and from where it reads.
    let silent = "SELECT host FROM proc WHERE host = 'nobody' EMIT CHANGES;\r";
    terminal.press(silent);
    terminal.expect("waiting for new rows of `proc`, from now on");
    terminal.press("\u{3}");
    terminal.expect("ksql> ");

    // A query without an end is ended by Ctrl-C, and the prompt goes on.
    terminal.press("SET 'auto.offset.reset'='earliest';\r");
    terminal.expect("set property `auto.offset.reset`");
    terminal.expect("ksql> ");
    terminal.press("SELECT host, name FROM proc EMIT CHANGES;\r");
    terminal.expect("host1");
    terminal.press("\u{3}");
    terminal.expect("ksql> ");
    terminal.press(silent);
    terminal.expect("the query has no row yet, from the oldest record of `proc` on");
    terminal.press("\u{3}");
    terminal.expect("ksql> ");

    terminal.press("SELEKT 1;\r");
    terminal.expect("error: ksqlDB rejected the statement at <prompt>:1:1");
    terminal.expect("ksql> ");

    // Ctrl-C drops what was typed.
    terminal.press("SELECT half");
    terminal.expect("SELECT half");
    terminal.press("\u{3}");
    terminal.expect("ksql> ");

    terminal.press("exit\r");
    assert_eq!(terminal.exit_code(), Some(0));

    let history = std::fs::read_to_string(stack.world.project().join("ksql-history"))
        .expect("the history of the project");
    assert!(
        history.contains("SELECT host, name FROM proc EMIT CHANGES;"),
        "{history}"
    );
    assert!(!history.contains("SELECT half"), "{history}");
}

#[test]
fn a_terminal_of_forty_columns_is_wide_enough() {
    let stack = NativeStack::up();
    let mut terminal = Terminal::open(&stack, 40);
    terminal.press("SET 'auto.offset.reset'='earliest';\r");
    // A line that wraps is drawn again with its prompt: only what follows the answer is the next prompt.
    terminal.expect("set property `auto.offset.reset`");
    terminal.expect("ksql> ");
    terminal.press("SELECT * FROM proc EMIT CHANGES LIMIT 2;\r");
    terminal.expect("HOST");
    let rows = terminal.expect("Limit Reached");
    terminal.expect("ksql> ");
    for line in rows.lines().filter(|line| !line.contains('\u{1b}')) {
        assert!(line.trim_end().chars().count() <= 40, "{line:?} in {rows}");
    }
    // Ctrl-D
    terminal.press("\u{4}");
    assert_eq!(terminal.exit_code(), Some(0));
}
