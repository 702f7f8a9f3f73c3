//! Headless Chromium, driven over WebDriver.
//!
//! Debian's `chromium` and `chromium-driver` (`scripts/browser.sh` installs them). Where they are missing, the walks are
//! skipped and say so; in CI that is a failure.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use reqwest::{Method, Url};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

/// No single step of a walk takes longer, unless something is wrong.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Browser {
    pub(crate) page: Client,
    _driver: Driver,
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
        let driver = Driver {
            process: driver,
            profile: tempfile::tempdir().unwrap(),
        };
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
            format!("--user-data-dir={}", driver.profile.path().display()),
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
        })
    }

    pub(crate) async fn stop(self) {
        self.page.clone().close().await.unwrap();
    }

    /// Opens an address and waits until its view is there. Chromium drops what it is loading when a network interface comes
    /// or goes, as those of containers do: a page without its scripts is loaded again, as a person would.
    pub(crate) async fn open(&self, address: &str) {
        let begun = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        while begun.elapsed() < DEADLINE {
            self.page.goto(address).await.unwrap();
            for _ in 0..30 {
                tick.tick().await;
                let shown = "return document.querySelector('main > :not(noscript, .error)') !== null";
                if self.ask(shown).await == json!(true) {
                    return;
                }
            }
            self.page.goto("about:blank").await.unwrap();
        }
        panic!("the scripts of {address} do not run");
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

    /// Found and clicked in one step: what is drawn anew every second may be gone before a second one.
    async fn click_at(&self, name: &str, path: &str) {
        let click = format!(
            "const found = document.evaluate({}, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE).singleNodeValue; \
             found?.dispatchEvent(new MouseEvent('click', {{bubbles: true, cancelable: true}})); return found !== null",
            json!(path)
        );
        self.until(&format!("`{name}` is clicked"), &click).await;
    }

    /// Types into the field with this label, in place of what is in it.
    pub(crate) async fn write(&self, label: &str, text: &str) {
        let path = format!(
            "//*[@aria-label={0}] | //label[normalize-space(text())={0}]/input",
            quoted(label)
        );
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

    /// Presses a key, wherever the focus is.
    pub(crate) async fn press(&self, key: char) {
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Up { value: key });
        self.page.perform_actions(keys).await.unwrap();
    }

    /// Makes the page as wide and high as a screen of this size shows it, also narrower than any window.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let command = Devtools {
            name: "Emulation.setDeviceMetricsOverride",
            parameters: json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        };
        self.page.issue_cmd(command).await.unwrap();
    }

    /// What the page saves goes into this folder.
    pub(crate) async fn saves_to(&self, folder: &Path) {
        let command = Devtools {
            name: "Browser.setDownloadBehavior",
            parameters: json!({"behavior": "allow", "downloadPath": folder}),
        };
        self.page.issue_cmd(command).await.unwrap();
    }

    /// Chooses from the list with this label.
    pub(crate) async fn choose(&self, label: &str, option: &str) {
        let chosen = format!(
            "const list = [...document.querySelectorAll('select')].find((one) => \
             (one.getAttribute('aria-label') ?? one.closest('label')?.firstChild.textContent) === {}); \
             if (!list || ![...list.options].some((one) => one.text === {option})) return false; \
             list.value = [...list.options].find((one) => one.text === {option}).value; \
             list.dispatchEvent(new Event('change', {{bubbles: true}})); return true",
            json!(label),
            option = json!(option)
        );
        self.until(&format!("`{option}` of `{label}` is chosen"), &chosen)
            .await;
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

/// A command of Chromium's own protocol, which its driver passes on.
#[derive(Debug)]
struct Devtools {
    name: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!(
            "session/{}/goog/cdp/execute",
            session.unwrap_or_default()
        ))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let body = json!({"cmd": self.name, "params": self.parameters});
        (Method::POST, Some(body.to_string()))
    }
}

/// The process that drives the browser, and the folder that the browser's own processes name.
struct Driver {
    process: Child,
    profile: TempDir,
}

impl Drop for Driver {
    /// A driver that is asked to end takes a browser along only when its session was closed, which a test that failed
    /// has not done.
    fn drop(&mut self) {
        if end(self.process.id(), Signal::TERM) {
            let _ = self.process.wait();
        }
        let profile = self.profile.path().display().to_string();
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&command).contains(&profile)
                && let Some(pid) = process.file_name().to_str().and_then(|pid| pid.parse().ok())
            {
                end(pid, Signal::KILL);
            }
        }
    }
}

/// Sends a signal; `false` where there is no such process.
fn end(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

fn quoted(text: &str) -> String {
    assert!(!text.contains('"'), "{text}");
    format!("\"{text}\"")
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn tell(text: &str) {
    eprintln!("{text}");
}
