//! Headless Chromium, driven over WebDriver.
//!
//! Debian's `chromium` and `chromium-driver` (`scripts/browser.sh` installs them). Where they are missing, the walks are
//! skipped and say so; in CI that is a failure.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use crate::world::DEADLINE;

pub(crate) struct Browser {
    pub(crate) page: Client,
    _driver: Driver,
    _profile: TempDir,
}

impl Browser {
    /// Starts one, of this width; none where there is no Chromium.
    pub(crate) async fn start(width: u32) -> Option<Self> {
        let spawned = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut driver) = spawned else {
            assert!(
                std::env::var_os("CI").is_none(),
                "no chromedriver: scripts/browser.sh installs it"
            );
            tell("SKIPPED: no chromedriver, so no page was looked at; scripts/browser.sh installs it");
            return None;
        };
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let driver = Driver(driver);
        let port = tokio::task::spawn_blocking(|| {
            let mut lines = lines.map_while(Result::ok);
            lines.find_map(|line| {
                let (_, port) = line.split_once("successfully on port ")?;
                Some(port.trim_end_matches('.').to_owned())
            })
        });
        let port = timeout(DEADLINE, port)
            .await
            .expect("chromedriver does not start")
            .unwrap();
        let port = port.expect("chromedriver has ended");
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
            format!("--window-size={width},1000"),
        ];
        let capabilities = json!({
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
            // A page on a machine that is busy with other tests may be slow to answer a script.
            "timeouts": {"script": DEADLINE.as_millis() * 3},
        });
        let page = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Some(Self {
            page,
            _driver: driver,
            _profile: profile,
        })
    }

    pub(crate) async fn stop(self) {
        self.page.clone().close().await.unwrap();
    }

    /// Waits until a script says true.
    pub(crate) async fn until(&self, what: &str, script: &str) {
        let begun = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tick.tick().await;
            if self.ask(script).await == json!(true) {
                return;
            }
            if begun.elapsed() > DEADLINE {
                let text = self.ask("return document.body.innerText").await;
                panic!("not in time: {what}\n{}", text.as_str().unwrap_or_default());
            }
        }
    }

    /// Waits until the page shows a text.
    pub(crate) async fn sees(&self, text: &str) {
        let script = format!("return document.body.innerText.includes({})", json!(text));
        self.until(text, &script).await;
    }

    pub(crate) async fn ask(&self, script: &str) -> Value {
        self.page.execute(script, Vec::new()).await.unwrap()
    }

    /// Clicks what has this name: a button or a link.
    pub(crate) async fn click(&self, name: &str) {
        let path = format!(
            "//*[self::a or self::button or self::summary][normalize-space()={0} or @aria-label={0}]",
            quoted(name)
        );
        self.click_at(name, &path).await;
    }

    /// Clicks what has a name that begins so.
    pub(crate) async fn click_beginning(&self, name: &str) {
        self.click_at(name, &format!("//*[starts-with(@aria-label, {})]", quoted(name)))
            .await;
    }

    async fn click_at(&self, name: &str, path: &str) {
        let found = self
            .page
            .wait()
            .at_most(DEADLINE)
            .for_element(Locator::XPath(path))
            .await;
        let found = found.unwrap_or_else(|error| panic!("nothing called `{name}`: {error}"));
        // Through the page, because what is drawn anew every second may be gone before the mouse is there.
        let click = "arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))";
        let element = serde_json::to_value(&found).unwrap();
        self.page.execute(click, vec![element]).await.unwrap();
    }

    /// Types into the field with this label, in place of what is in it.
    pub(crate) async fn write(&self, label: &str, text: &str) {
        let path = format!("//*[@aria-label={}]", quoted(label));
        let found = self
            .page
            .wait()
            .at_most(DEADLINE)
            .for_element(Locator::XPath(&path))
            .await;
        let field = found.unwrap_or_else(|error| panic!("no field `{label}`: {error}"));
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Every control without a name that a screen reader could say, and every error that the page logged.
    pub(crate) async fn complaints(&self) -> Value {
        self.ask(
            "return [...document.querySelectorAll('a, button, input, select, textarea, summary, [tabindex=\"0\"]')] \
             .filter((one) => one.offsetParent !== null || one.closest('svg')) \
             .filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim() || one.closest('label')?.textContent.trim() || one.title)) \
             .map((one) => one.outerHTML.slice(0, 200))",
        )
        .await
    }
}

/// The process that drives the browser.
struct Driver(Child);

impl Drop for Driver {
    /// A driver that is asked to end takes its browser along, which one that is killed would leave behind.
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid
            && kill_process(pid, Signal::TERM).is_ok()
        {
            let _ = self.0.wait();
        }
    }
}

fn quoted(text: &str) -> String {
    assert!(!text.contains('"'), "{text}");
    format!("\"{text}\"")
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn tell(text: &str) {
    eprintln!("{text}");
}
