//! A peer's process: it opens its store, and does what it is asked until nobody asks any more.

use std::future::Future;
use std::process::ExitCode;

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::clients::Clients;
use crate::words::{Answer, Ask, Opened};
use crate::{Failure, Load, Peer};

/// Runs a peer. `open` makes its accounts too. All that follows is asked and answered in [`words`](crate::words).
pub fn work<P, F>(load: Load, open: impl FnOnce(Load) -> F) -> ExitCode
where
    P: Peer,
    F: Future<Output = Result<(P, Opened), Failure>>,
{
    let worked = runtime().and_then(|runtime| {
        runtime.block_on(async {
            let (peer, opened) = open(load.clone()).await?;
            answer(&Answer::Ready(opened))?;
            serve(Clients::new(peer, load)).await
        })
    });
    match worked {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            drop(answer(&Answer::Failed(failure.to_string())));
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn serve<P: Peer>(mut clients: Clients<P>) -> Result<(), Failure> {
    let mut asked = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = asked.next_line().await? {
        let said = match serde_json::from_str(&line)? {
            Ask::Round { warm_up, measured } => Answer::Round(clients.round(warm_up, measured).await?),
            Ask::Check => Answer::Check(clients.check().await?),
        };
        answer(&said)?;
    }
    clients.close().await
}

fn answer(said: &Answer) -> Result<(), Failure> {
    println!("{}", serde_json::to_string(said)?);
    Ok(())
}
