//! The service: a process of its own, until it is killed.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use sidestream::buffer::{DestinationSettings, EventBuffer};
use sidestream::clock::sleep;
use sidestream::cluster::ClusterSettings;
use sidestream::feed::Pauses;
use sidestream::lease::LeaseTimes;
use sidestream::process::Processes;
use sidestream::runtime::{Runtime, RuntimeSettings};
use sidestream::{AggregateId, CommandHandler, EventStore};
use tokio::task::JoinSet;

use crate::Failure;
use crate::account::Account;
use crate::client::{Client, LIMIT, process};
use crate::expiry::{Expiry, Releases};
use crate::options::{Life, Options};
use crate::place;
use crate::transfer::{Accounts, Transfer};

/// Over how long a life's transfers are begun, as far as it lasts.
const BEGINNING: Duration = Duration::from_millis(700);

struct Service {
    client: Client,
    expiries: Processes<Expiry>,
    /// It runs as long as it is there.
    _running: Runtime,
}

/// Works until it is killed. Tells on standard output: `ready`, `begun N` (up to there every transfer is answered), and in
/// the last life `complete`.
pub(crate) async fn live(options: &Options, life: Life) -> Result<(), Failure> {
    // Without its parent nobody would end it.
    std::thread::spawn(|| {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        std::process::exit(0);
    });
    let store: Arc<dyn EventStore> = Arc::new(place::open(options).await?);
    println!("ready");
    let service = Service::start(options, store)?;
    let mut opening = JoinSet::new();
    for number in 0..options.accounts {
        let client = service.client.clone();
        opening.spawn(async move { client.open(number).await });
    }
    while let Some(opened) = opening.join_next().await {
        opened??;
    }
    service.begin(life).await?;
    if life.is_last {
        service.wait(options.transfers).await?;
        println!("complete");
    }
    std::future::pending().await
}

impl Service {
    fn start(options: &Options, store: Arc<dyn EventStore>) -> Result<Self, Failure> {
        let bank = CommandHandler::new(Arc::clone(&store), Account { limit: LIMIT });
        let sending = DestinationSettings {
            outage: Pauses { shortest_ms: 20, longest_ms: 500 },
            ..DestinationSettings::default()
        };
        let transfers = Processes::builder(Arc::clone(&store), Transfer, Accounts(bank.clone()));
        let transfers = transfers.sending(sending.clone()).build();
        let expiries = Processes::builder(Arc::clone(&store), Expiry, Releases(bank.clone()));
        let expiries = expiries.sending(sending).build();
        let buffer = expiries.join(transfers.join(EventBuffer::new(Arc::clone(&store)))?)?;
        let ttl = options.lease();
        let lease = LeaseTimes { ttl, margin: ttl / 5 };
        let cluster = ClusterSettings { lease, ..ClusterSettings::default() };
        let settings = RuntimeSettings { cluster, ..RuntimeSettings::default() };
        let running = Runtime::builder(store)
            .settings(settings)
            .recover(bank.clone())
            .buffer(&buffer)
            .processes(&transfers)
            .processes(&expiries)
            .start()?;
        let client = Client { seed: options.seed, accounts: options.accounts, bank, transfers };
        Ok(Self { client, expiries, _running: running })
    }

    /// Begins transfers, several at once.
    async fn begin(&self, Life { from, up_to, .. }: Life) -> Result<(), Failure> {
        let gap = BEGINNING / u32::try_from((up_to - from).max(1))?;
        let (mut asked, mut answered, mut begun) = (JoinSet::new(), std::collections::BTreeSet::new(), from);
        for number in from..up_to {
            let client = self.client.clone();
            asked.spawn(async move { client.want(number).await.map(|()| number) });
            if gap >= Duration::from_millis(1) || number % 100 == 0 {
                sleep(gap.max(Duration::from_millis(1))).await;
            }
            while asked.len() > 512 || number + 1 == up_to {
                let Some(done) = asked.join_next().await else { break };
                answered.insert(done??);
                while answered.remove(&begun) {
                    begun += 1;
                }
                println!("begun {begun}");
            }
            while let Some(done) = asked.try_join_next() {
                answered.insert(done??);
                while answered.remove(&begun) {
                    begun += 1;
                    println!("begun {begun}");
                }
            }
        }
        Ok(())
    }

    /// Until all transfers are complete, and all holds that expire are.
    async fn wait(&self, transfers: u64) -> Result<(), Failure> {
        for number in 0..transfers {
            let id = process(number)?;
            while !self.client.transfers.query(&id, |process, _| process.is_complete).await? {
                sleep(Duration::from_millis(20)).await;
            }
            let Some((account, hold, command)) = self.client.hold(number)? else { continue };
            if !self.client.bank.handle(&account, hold, command).await?.is_accepted() {
                continue; // there was no money to hold
            }
            let id = AggregateId::new(format!("{account}+{hold}"))?;
            while !self.expiries.query(&id, |process, _| process.is_complete).await? {
                sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }
}
