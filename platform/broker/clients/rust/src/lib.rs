//! The checks of `checks.txt`, in terms of what a client offers; each client has a program that says how it does that.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail, ensure};
use tokio::task::JoinHandle;

/// Bounds every wait.
pub const DEADLINE: Duration = Duration::from_secs(40);

/// Says that a client has no such thing.
#[derive(Debug)]
pub struct Absent(pub &'static str);

impl Display for Absent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.0)
    }
}

impl std::error::Error for Absent {}

/// Where reading begins.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    Beginning,
    /// The end; once it is known where that is, this value is sent.
    End(&'static str),
    Offset(i64),
    /// In milliseconds since the epoch.
    Time(i64),
}

/// How a member joins a group.
#[derive(Debug, Clone, Copy)]
pub struct Join<'a> {
    pub group: &'a str,
    pub topic: &'a str,
    /// The assignor of the older protocol; none asks for the newer one.
    pub assignor: Option<&'a str>,
    pub instance: Option<&'a str>,
}

/// What every client offers, or answers with [`Absent`].
#[allow(async_fn_in_trait, reason = "nothing here is handed to another thread")]
pub trait Client {
    type Transaction: Transaction;
    type Member: Member;

    /// Its name and version.
    fn name(&self) -> (&'static str, String);
    async fn create(&self, topic: &str, partitions: i32) -> Result<()>;
    async fn send(
        &self,
        topic: &str,
        values: &[String],
        partition: i32,
        codec: &str,
        idempotent: bool,
    ) -> Result<()>;
    /// Reads so many values of the first partition.
    async fn read(&self, topic: &str, start: Start, count: usize, committed: bool) -> Result<Vec<String>>;
    async fn transaction(&self, id: &str) -> Result<Self::Transaction>;
    async fn committed(&self, group: &str, topic: &str) -> Result<i64>;
    async fn member(&self, join: Join<'_>) -> Result<Self::Member>;
    /// What `checks.txt` says of one kind of administration.
    async fn admin(&self, what: &str) -> Result<()>;
}

/// A producer with an id; what is sent after an end begins the next transaction.
#[allow(async_fn_in_trait, reason = "nothing here is handed to another thread")]
pub trait Transaction {
    async fn send(&mut self, topic: &str, values: &[String]) -> Result<()>;
    async fn offsets(&mut self, group: &str, topic: &str, offset: i64) -> Result<()>;
    async fn end(&mut self, commit: bool) -> Result<()>;
}

/// A member of a group, which reads by itself.
#[allow(async_fn_in_trait, reason = "nothing here is handed to another thread")]
pub trait Member {
    fn journal(&self) -> &Journal;
    async fn commit(&self) -> Result<()>;
    async fn close(self) -> Result<()>;
}

/// What a member has read and was assigned.
#[derive(Debug, Default, Clone)]
pub struct Journal(Arc<Mutex<(Vec<String>, Vec<i32>)>>);

impl Journal {
    pub fn add(&self, value: String) {
        self.0.lock().unwrap().0.push(value);
    }

    pub fn assign(&self, mut partitions: Vec<i32>) {
        partitions.sort_unstable();
        self.0.lock().unwrap().1 = partitions;
    }

    pub fn values(&self) -> Vec<String> {
        self.0.lock().unwrap().0.clone()
    }

    pub fn assigned(&self) -> Vec<i32> {
        self.0.lock().unwrap().1.clone()
    }
}

/// What reads for a member until it is told to stop.
#[derive(Debug)]
pub struct Reading {
    stop: tokio::sync::watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Reading {
    pub fn spawn<F: Future<Output = ()> + Send + 'static>(
        read: impl FnOnce(tokio::sync::watch::Receiver<bool>) -> F,
    ) -> Self {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let task = tokio::spawn(read(stopped));
        Self { stop, task }
    }

    pub async fn end(self) -> Result<()> {
        self.stop.send_replace(true);
        Ok(self.task.await?)
    }
}

/// For clients without transactions or groups.
#[derive(Debug)]
pub enum Never {}

impl Transaction for Never {
    async fn send(&mut self, _topic: &str, _values: &[String]) -> Result<()> {
        match *self {}
    }

    async fn offsets(&mut self, _group: &str, _topic: &str, _offset: i64) -> Result<()> {
        match *self {}
    }

    async fn end(&mut self, _commit: bool) -> Result<()> {
        match *self {}
    }
}

impl Member for Never {
    fn journal(&self) -> &Journal {
        match *self {}
    }

    async fn commit(&self) -> Result<()> {
        match *self {}
    }

    async fn close(self) -> Result<()> {
        match self {}
    }
}

/// A name that nobody has.
pub fn unique(what: &str) -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    format!("{what}-{:x}-{nanos:x}", std::process::id())
}

/// Now, in milliseconds since the epoch.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Waits for a condition; `what` is said where it does not come.
pub async fn until(what: impl Fn() -> String, mut condition: impl FnMut() -> bool) -> Result<()> {
    let began = Instant::now();
    while !condition() {
        ensure!(began.elapsed() < DEADLINE, "not within {DEADLINE:?}: {}", what());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Compares.
pub fn expect<T: PartialEq + Debug>(found: T, wanted: T, what: &str) -> Result<()> {
    ensure!(found == wanted, "{what}: {found:?} instead of {wanted:?}");
    Ok(())
}

/// The version of a package that the program was built with.
pub fn version_of(package: &str) -> String {
    let lock = include_str!("../Cargo.lock");
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{package}\"\n")));
    let version = entry.and_then(|entry| entry.split("version = \"").nth(1)?.split('"').next());
    version.unwrap_or("of an unknown version").to_owned()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

async fn topic<C: Client>(client: &C, partitions: i32) -> Result<String> {
    let name = unique("topic");
    client.create(&name, partitions).await?;
    Ok(name)
}

async fn sends<C: Client>(client: &C, count: usize, codec: &str, idempotent: bool) -> Result<()> {
    let topic = topic(client, 1).await?;
    let values: Vec<String> = (0..count).map(|number| format!("{codec} {number} ").repeat(10)).collect();
    client.send(&topic, &values, 0, codec, idempotent).await?;
    expect(client.read(&topic, Start::Beginning, count, false).await?, values, "values")
}

async fn transactions<C: Client>(client: &C) -> Result<()> {
    let mut transaction = client.transaction(&unique("id")).await?;
    let topic = topic(client, 1).await?;
    let (mut every, mut kept) = (Vec::new(), Vec::new());
    for (number, commits) in [true, false, true].into_iter().enumerate() {
        let values = numbers(number * 10..number * 10 + 10);
        transaction.send(&topic, &values).await?;
        transaction.end(commits).await?;
        if commits {
            kept.extend(values.clone());
        }
        every.extend(values);
    }
    let found = client.read(&topic, Start::Beginning, kept.len(), true).await?;
    expect(found, kept, "committed values")?;
    let found = client.read(&topic, Start::Beginning, every.len(), false).await?;
    expect(found, every, "all values")
}

async fn offsets<C: Client>(client: &C) -> Result<()> {
    let mut transaction = client.transaction(&unique("id")).await?;
    let (topic, group) = (topic(client, 1).await?, unique("group"));
    let mut kept = -1;
    for (offset, commits) in [(3, true), (7, false), (5, true)] {
        transaction.send(&topic, &["copy".to_owned()]).await?;
        transaction.offsets(&group, &topic, offset).await?;
        transaction.end(commits).await?;
        if commits {
            kept = offset;
        }
        expect(client.committed(&group, &topic).await?, kept, "committed offset")?;
    }
    Ok(())
}

async fn consume<C: Client>(client: &C, from: &str) -> Result<()> {
    let topic = topic(client, 1).await?;
    client.send(&topic, &numbers(0..10), 0, "none", false).await?;
    let (start, wanted) = match from {
        "the start" => (Start::Beginning, numbers(0..10)),
        "the end" => (Start::End("new"), vec!["new".to_owned()]),
        "an offset" => (Start::Offset(7), numbers(7..10)),
        "a time" => {
            let time = now_ms() + 1;
            until(|| "a later time".to_owned(), || now_ms() > time).await?;
            let later = vec!["later".to_owned()];
            client.send(&topic, &later, 0, "none", false).await?;
            (Start::Time(time), later)
        }
        other => bail!("there is no start {other}"),
    };
    expect(client.read(&topic, start, wanted.len(), false).await?, wanted, "values")
}

async fn share<M: Member>(members: &[M], partitions: usize) -> Result<()> {
    let held = || -> Vec<Vec<i32>> { members.iter().map(|member| member.journal().assigned()).collect() };
    until(
        || format!("partitions {:?}", held()),
        || {
            let held = held();
            let all: Vec<i32> = held.iter().flatten().copied().collect();
            let distinct: BTreeSet<i32> = all.iter().copied().collect();
            held.iter().all(|some| !some.is_empty()) && all.len() == partitions && distinct.len() == partitions
        },
    )
    .await
}

async fn have<M: Member>(members: &[M], mut wanted: Vec<String>) -> Result<()> {
    let values = || -> Vec<String> { members.iter().flat_map(|member| member.journal().values()).collect() };
    let count = wanted.len();
    until(|| format!("{} of {count} values", values().len()), || values().len() >= count).await?;
    let mut found = values();
    found.sort_unstable();
    wanted.sort_unstable();
    expect(found, wanted, "values")
}

async fn group<C: Client>(client: &C, assignor: Option<&str>) -> Result<()> {
    let (topic, group) = (topic(client, 4).await?, unique("group"));
    let join = Join { group: &group, topic: &topic, assignor, instance: None };
    let mut members = vec![client.member(join).await?, client.member(join).await?];
    share(&members, 4).await?;
    for partition in 0..4 {
        let from = partition as usize * 10;
        client.send(&topic, &numbers(from..from + 10), partition, "none", false).await?;
    }
    have(&members, numbers(0..40)).await?;
    for member in &members {
        member.commit().await?;
    }
    let leaving = members.pop().expect("there are two");
    leaving.close().await?;
    share(&members, 4).await?;
    members.pop().expect("one is left").close().await
}

async fn go_on<C: Client>(client: &C) -> Result<()> {
    let (topic, group) = (topic(client, 1).await?, unique("group"));
    for values in [vec!["1".to_owned(), "2".to_owned()], vec!["3".to_owned()]] {
        client.send(&topic, &values, 0, "none", false).await?;
        let join = Join { group: &group, topic: &topic, assignor: Some("range"), instance: None };
        let members = [client.member(join).await?];
        have(&members, values).await?;
        let [member] = members;
        member.commit().await?;
        member.close().await?;
    }
    Ok(())
}

async fn static_member<C: Client>(client: &C) -> Result<()> {
    let (topic, group) = (topic(client, 4).await?, unique("group"));
    let join = |instance| Join { group: &group, topic: &topic, assignor: Some("range"), instance: Some(instance) };
    let members = [client.member(join("one")).await?, client.member(join("two")).await?];
    share(&members, 4).await?;
    let [one, two] = members;
    let before = (one.journal().assigned(), two.journal().assigned());
    two.close().await?;
    let two = client.member(join("two")).await?;
    let held = || two.journal().assigned();
    until(|| format!("partitions {:?}", held()), || held() == before.1).await?;
    expect(one.journal().assigned(), before.0, "partitions of who stayed")?;
    one.close().await?;
    two.close().await
}

async fn check<C: Client>(client: &C, name: &str) -> Result<()> {
    let words: Vec<&str> = name.split(' ').collect();
    match words[..] {
        ["produce", codec] => sends(client, 200, codec, false).await,
        ["idempotent", "producer"] => sends(client, 1000, "none", true).await,
        ["transactions"] => transactions(client).await,
        ["offsets", ..] => offsets(client).await,
        ["consume", "from", ..] => consume(client, &words[2..].join(" ")).await,
        ["group", "protocol", "consumer"] => group(client, None).await,
        ["group", assignor] => group(client, Some(assignor)).await,
        ["commit", ..] => go_on(client).await,
        ["static", "member"] => static_member(client).await,
        ["admin", what] => client.admin(what).await,
        _ => bail!("there is no check {name:?}"),
    }
}

/// `PROGRAM BOOTSTRAP CHECKS.TXT [PART OF A NAME]`: a line for each check; ends with 1 when one has failed.
pub async fn run<C: Client>(client: C) -> Result<()> {
    let (name, version) = client.name();
    println!("client\t{name}\t{version}");
    let path = std::env::args().nth(2).unwrap_or_default();
    let part = std::env::args().nth(3).unwrap_or_default();
    let mut failed = false;
    for line in std::fs::read_to_string(path)?.lines() {
        let name = line.split('\t').next().unwrap_or_default();
        if !name.contains(&part) {
            continue;
        }
        let began = Instant::now();
        let done = tokio::time::timeout(4 * DEADLINE, check(&client, name)).await;
        match done.unwrap_or_else(|_| bail!("not within {:?}", 4 * DEADLINE)) {
            Ok(()) => println!("{name}\tok\t{:.1} s", began.elapsed().as_secs_f64()),
            Err(error) => match error.downcast_ref::<Absent>() {
                Some(absent) => println!("{name}\tabsent\t{absent}"),
                None => {
                    failed = true;
                    let text: String = format!("{error:#}").replace(['\n', '\t'], " ").chars().take(300).collect();
                    println!("{name}\tfailed\t{text}");
                }
            },
        }
    }
    std::process::exit(i32::from(failed));
}

/// Where the broker is.
pub fn bootstrap() -> String {
    std::env::args().nth(1).expect("PROGRAM BOOTSTRAP CHECKS.TXT")
}
