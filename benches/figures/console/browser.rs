//! Headless Chromium over WebDriver, and what is asked of a page in it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use fantoccini::{Client, ClientBuilder};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep_until};

use super::PATIENCE;

/// An open browser.
pub(super) struct Browser {
    page: Client,
    _driver: Driver,
    _profile: TempDir,
}

impl Browser {
    /// Starts one; none where there is no Chromium.
    pub(super) async fn start() -> Result<Option<Self>> {
        let spawned = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = spawned else {
            return Ok(None);
        };
        let mut driver = Driver(child);
        let said = driver.0.stdout.take().context("chromedriver says nothing")?;
        let port = BufReader::new(said)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, port) = line.split_once("successfully on port ")?;
                port.trim_end_matches('.').parse::<u16>().ok()
            });
        let port = port.context("chromedriver has ended before it told its port")?;
        let profile = tempfile::tempdir()?;
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
            "--window-size=1440,1000".to_owned(),
        ];
        let capabilities = json!({
            "goog:chromeOptions": {"args": arguments},
            "timeouts": {"script": PATIENCE.as_millis()},
        });
        let capabilities = capabilities.as_object().context("no capabilities")?.clone();
        let page = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await?;
        Ok(Some(Self {
            page,
            _driver: driver,
            _profile: profile,
        }))
    }

    /// Opens a page anew.
    pub(super) async fn open(&self, url: &str) -> Result<()> {
        // Only another document makes the browser load the page again: views differ by what follows `#`.
        self.page.goto("about:blank").await?;
        Ok(self.page.goto(url).await?)
    }

    /// What a script returns.
    pub(super) async fn ask(&self, script: &str) -> Result<Value> {
        Ok(self.page.execute(script, Vec::new()).await?)
    }

    /// What a script hands to its last argument, whenever it does.
    pub(super) async fn ask_later(&self, script: &str) -> Result<Value> {
        Ok(self.page.execute_async(script, Vec::new()).await?)
    }

    /// Asks until a script returns something.
    pub(super) async fn until(&self, what: &str, script: &str) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(script).await?;
            if !answer.is_null() && answer != json!(false) {
                return Ok(answer);
            }
            anyhow::ensure!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            sleep_until(Instant::now() + Duration::from_millis(20)).await;
        }
    }

    /// Closes it.
    pub(super) async fn close(self) -> Result<()> {
        Ok(self.page.close().await?)
    }
}

/// The process that drives the browser.
struct Driver(Child);

impl Drop for Driver {
    /// A driver that is asked to end takes its browser along, which one that is killed would leave behind.
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        if pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok()) {
            let _ = self.0.wait();
        }
    }
}
