//! Runs a broker in the foreground on the address and the folder it is given, to try clients on: without the rest of
//! the product, it is built in no time.

use std::error::Error;

use osqdemo_broker::{Config, Listener};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: broker ADDRESS FOLDER".into());
    };
    let mut config = Config::new(folder);
    config.listeners = vec![Listener::plaintext("example", address.parse()?)];
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        // Without a way to be told, it ends when it is killed, which it survives.
        let _ = tokio::signal::ctrl_c().await;
        stop.cancel();
    });
    osqdemo_broker::serve(config, shutdown).await?;
    Ok(())
}
