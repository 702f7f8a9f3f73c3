//! A ZooKeeper is healthy when it answers the four-letter word `ruok` with `imok`, and `srvr` with the mode it
//! serves in: it answers `ruok` before it serves requests. Both words must be allowed
//! (`4lw.commands.whitelist`, <https://zookeeper.apache.org/doc/current/zookeeperAdmin.html#sc_4lw>).

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::health::{Hopeless, LastAnswer, POLL};
use crate::waiting::poll;

/// How long one word and its answer may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// More than any answer to these words has, in bytes.
const LONGEST_ANSWER: u64 = 64 << 10;

/// How the server ends its answer to a word that is not allowed (`NopCommand` in its source).
const REFUSAL: &str = "is not executed because it is not in the whitelist.";

/// Returns once the server at `address` is healthy.
///
/// # Errors
/// When the server does not allow the words: what it allows is read once, when it starts.
pub(super) async fn until_healthy(address: &str, last: &LastAnswer) -> Result<(), Hopeless> {
    poll(POLL, || async {
        match ask(address).await {
            Err(answer) if answer.ends_with(REFUSAL) => Some(Err(Hopeless {
                answer,
                way_out: "allow both words in the stack file: \
                          `KAFKA_OPTS: \"-Dzookeeper.4lw.commands.whitelist=ruok,srvr\"`"
                    .to_owned(),
            })),
            answer => last.heard(answer).map(Ok),
        }
    })
    .await
}

async fn ask(address: &str) -> Result<(), String> {
    let answer = say(address, "ruok").await?;
    if answer != "imok" {
        return Err(format!("`ruok`: {}", first_line(&answer)));
    }
    let answer = say(address, "srvr").await?;
    if answer.lines().any(|line| line.starts_with("Mode: ")) {
        Ok(())
    } else {
        Err(format!("`srvr`: {}", first_line(&answer)))
    }
}

/// The answer to a four-letter word; the server closes the connection after it.
async fn say(address: &str, word: &str) -> Result<String, String> {
    let conversation = async {
        let mut connection = TcpStream::connect(address).await?;
        connection.write_all(word.as_bytes()).await?;
        let mut answer = Vec::new();
        connection.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
        Ok::<_, io::Error>(String::from_utf8_lossy(&answer).trim().to_owned())
    };
    match timeout(REQUEST_LIMIT, conversation).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("`{word}`: {error}")),
        Err(_) => Err(format!("`{word}`: no answer within {}s", REQUEST_LIMIT.as_secs())),
    }
}

fn first_line(answer: &str) -> &str {
    answer.lines().next().unwrap_or("an empty answer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::http::canned::{ends, goes_on, serve};

    const SRVR: &str =
        "Zookeeper version: 3.8.0\nLatency min/avg/max: 0/0.0/0\nMode: standalone\nNode count: 5\n";

    async fn last_answer(answers: &[&str]) -> String {
        let server = serve(answers.iter().map(|answer| (*answer).to_owned()).collect()).await;
        let last = LastAnswer::default();
        assert!(goes_on(until_healthy(&server.address, &last)).await);
        last.get()
    }

    #[tokio::test]
    async fn a_server_that_serves_is_healthy() {
        let server = serve(vec!["imok".to_owned(), SRVR.to_owned()]).await;
        assert!(ends(until_healthy(&server.address, &LastAnswer::default())).await);
    }

    #[tokio::test]
    async fn a_server_that_does_not_serve_yet_is_not() {
        let starting = "This ZooKeeper instance is not currently serving requests\n";
        let answers = ["imok", starting, "imok", starting, "imok"];
        let last = last_answer(&[&answers[..], &[starting]].concat()).await;
        assert!(last.contains("not currently serving requests"), "{last}");
    }

    #[tokio::test]
    async fn a_word_that_is_not_allowed_is_not_asked_again() {
        let refusal = |word| format!("{word} is not executed because it is not in the whitelist.");
        let answers = [vec![refusal("ruok")], vec!["imok".to_owned(), refusal("srvr")]];
        for (answers, word) in answers.into_iter().zip(["ruok", "srvr"]) {
            let server = serve(answers).await;
            let hopeless = until_healthy(&server.address, &LastAnswer::default())
                .await
                .expect_err("it is not allowed");
            assert_eq!(hopeless.answer, format!("`{word}`: {}", refusal(word)));
        }
    }

    #[tokio::test]
    async fn an_empty_answer_is_told() {
        assert_eq!(last_answer(&[""]).await, "`ruok`: an empty answer");
    }

    #[tokio::test]
    async fn a_closed_port_is_told() {
        let last = LastAnswer::default();
        // Port 1 (tcpmux) is not in use on machines of this century.
        assert!(goes_on(until_healthy("127.0.0.1:1", &last)).await);
        assert!(
            last.get().starts_with("`ruok`: Connection refused"),
            "{}",
            last.get()
        );
    }
}
