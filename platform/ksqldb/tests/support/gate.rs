//! A gate between a broker and its clients, which holds requests until it is opened.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use osqdemo_broker::HostPort;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{Broker, any_port};

/// Kafka's number for the request that reads records.
const FETCH: i16 = 1;

/// A broker that is only reached through the gate, whatever it tells of its address.
pub(crate) struct Gate {
    pub(crate) broker: Broker,
    /// Where clients find it.
    pub(crate) address: SocketAddr,
    open: watch::Sender<bool>,
    _serving: AbortOnDropHandle<()>,
}

impl Gate {
    /// A broker behind an open gate. Closed, it holds the requests for records of topics whose names end so.
    pub(crate) async fn before_topics(ending: &'static str) -> Self {
        let listener = TcpListener::bind(any_port()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let broker = Broker::start_advertised(HostPort {
            host: address.ip().to_string(),
            port: address.port(),
        })
        .await;
        let (open, is_open) = watch::channel(true);
        let behind = broker.address;
        let serving = tokio::spawn(async move {
            let ids = Ids::default();
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (ids, is_open) = (Arc::clone(&ids), is_open.clone());
                connections.spawn(async move {
                    // Either end may close it at any time.
                    drop(pass(client, behind, ending.as_bytes(), ids, is_open).await);
                });
            }
        });
        Self {
            broker,
            address,
            open,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    pub(crate) fn close(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }
}

/// The ids of topics, as the broker tells them: clients ask for records by these.
type Ids = Arc<Mutex<HashSet<[u8; 16]>>>;

async fn pass(
    client: TcpStream,
    behind: SocketAddr,
    ending: &[u8],
    ids: Ids,
    mut is_open: watch::Receiver<bool>,
) -> io::Result<()> {
    let broker = TcpStream::connect(behind).await?;
    let ((mut requests, mut answers_to), (mut answers, mut requests_to)) =
        (client.into_split(), broker.into_split());
    let there = async {
        loop {
            let request = frame(&mut requests).await?;
            let is_held = request.starts_with(&FETCH.to_be_bytes()) && {
                let ids = ids.lock().unwrap();
                request
                    .windows(16)
                    .any(|part| part.try_into().is_ok_and(|part: [u8; 16]| ids.contains(&part)))
            };
            if is_held {
                // The gate that is gone is open.
                let _ = is_open.wait_for(|open| *open).await;
            }
            send(&mut requests_to, &request).await?;
        }
    };
    let back = async {
        loop {
            let answer = frame(&mut answers).await?;
            // Behind a topic's name stands its id, where it is told.
            for (place, _) in answer
                .windows(ending.len())
                .enumerate()
                .filter(|(_, part)| *part == ending)
            {
                let id = answer[place + ending.len()..].first_chunk();
                ids.lock().unwrap().extend(id.copied());
            }
            send(&mut answers_to, &answer).await?;
        }
    };
    tokio::select! {
        ended = there => ended,
        ended = back => ended,
    }
}

async fn frame(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut frame = vec![0; length as usize];
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

async fn send(to: &mut OwnedWriteHalf, frame: &[u8]) -> io::Result<()> {
    to.write_u32(u32::try_from(frame.len()).unwrap()).await?;
    to.write_all(frame).await
}
