//! Replays a bank's own transactions, with duplicates, and compares every balance with the bank's.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use sidestream::clock::Stopwatch;
use sidestream::{AggregateId, CommandHandler, EventStore, Outcome, TransactionId};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Failure;
use crate::balances;
use crate::bank::{self, Accounts, Tally};
use crate::ledger::{self, Kind, Ledger, Row};
use crate::rules::{Account, Command, Event, Rejection};
use crate::show::{bar, grouped, table};
use crate::store::{Choice, Store};

/// Differences that are shown; the rest is counted.
const SHOWN: usize = 10;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A CSV file with the columns transaction,account,date,kind,amount_minor,balance_minor.
    file: PathBuf,
    /// The store's file, made where there is none; or `postgres://USER@HOST/DATABASE`, which several may share.
    #[arg(long)]
    store: Choice,
    /// The part of the commands that is sent twice.
    #[arg(long, default_value_t = 0.0, value_parser = part, allow_negative_numbers = true)]
    duplicates: f64,
    /// Chooses which.
    #[arg(long, default_value_t = 7, allow_negative_numbers = true)]
    seed: u64,
    /// Accounts that have a command under way at once.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    in_flight: u32,
    /// Writes account,balance_minor for all accounts.
    #[arg(long)]
    balances: Option<PathBuf>,
    /// Exits with 1 and the first differences when any balance is not the bank's.
    #[arg(long)]
    check: bool,
}

fn part(text: &str) -> Result<f64, String> {
    let part: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if (0.0..=1.0).contains(&part) { Ok(part) } else { Err(format!("{part} is not between 0 and 1")) }
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let watch = Stopwatch::start();
    // All of the file is checked before the first command is sent.
    let ledger = ledger::read(&arguments.file)?;
    if let Some(path) = &arguments.balances {
        balances::check(path, &arguments.file, arguments.store.path())?;
    }
    let store = Store::open(&arguments.store).await?;
    let accounts = CommandHandler::new(store.events(), Account);
    let recovery = accounts.recover(Duration::ZERO).await?;
    let (tally, refusals) = send_all(&accounts, &ledger, arguments).await?;
    let compared = compare(&store.events(), &ledger).await?;
    if let Some(path) = &arguments.balances {
        balances::write(path, &compared.balances)?;
    }
    drop(accounts);
    store.close().await?;

    print_summary(&ledger, tally, recovery.settled(), &compared);
    compared.differences.iter().chain(&refusals).take(SHOWN).for_each(|line| eprintln!("{line}"));
    println!(
        r#"{{"applied":{},"replayed":{},"refused":{},"recovered":{},"mismatches":{},"seconds":{:.3}}}"#,
        tally.applied,
        tally.replayed,
        tally.refused,
        recovery.settled(),
        compared.differences.len(),
        watch.elapsed().as_secs_f64(),
    );
    let wrong = arguments.check && !compared.differences.is_empty();
    let unknown = refusals.iter().any(|line| line.contains("unknown account"));
    Ok(if wrong || unknown { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Sends the rows of each account in order, accounts side by side.
async fn send_all(
    accounts: &Accounts,
    ledger: &Ledger,
    arguments: &Arguments,
) -> Result<(Tally, Vec<String>), Failure> {
    let progress = bar("replaying", u64::try_from(ledger.rows)?);
    let room = Arc::new(Semaphore::new(usize::try_from(arguments.in_flight)?));
    let mut running = JoinSet::new();
    let (mut tally, mut refusals) = (Tally::default(), Vec::new());
    for (id, rows) in ledger.accounts.clone() {
        let place = Arc::clone(&room).acquire_owned().await?;
        let (accounts, progress) = (accounts.clone(), progress.clone());
        let twice = Twice { part: arguments.duplicates, seed: arguments.seed };
        running.spawn(async move {
            let _place = place;
            let mut sender = Sender { accounts, id, twice, tally: Tally::default(), refusals: Vec::new() };
            for row in rows {
                sender.row(&row).await?;
                progress.inc(1);
            }
            Ok::<_, Failure>((sender.tally, sender.refusals))
        });
    }
    while let Some(ended) = running.join_next().await {
        let (part, refused) = ended??;
        tally = tally.plus(part);
        refusals.extend(refused);
    }
    progress.finish_and_clear();
    Ok((tally, refusals))
}

/// Which commands are sent twice: the same for the same seed.
#[derive(Clone, Copy)]
struct Twice {
    part: f64,
    seed: u64,
}

impl Twice {
    #[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "a share of the ids, not money")]
    fn chooses(self, transaction: TransactionId) -> bool {
        let drawn = TransactionId::derive(&self.seed.to_string(), &transaction.to_string());
        let (high, _) = drawn.as_uuid().as_u64_pair();
        ((high >> 12) as f64) < self.part * ((u64::MAX >> 12) as f64)
    }
}

/// One account's client.
struct Sender {
    accounts: Accounts,
    id: AggregateId,
    twice: Twice,
    tally: Tally,
    refusals: Vec<String>,
}

impl Sender {
    async fn row(&mut self, row: &Row) -> Result<(), Failure> {
        let (transaction, minor) = (row.transaction_id(), row.amount_minor);
        let commands = match row.kind {
            Kind::Deposit => vec![Command::Deposit { minor }],
            Kind::Withdrawal => vec![Command::Hold { minor }, Command::Capture { part: 1, minor }],
        };
        for command in commands {
            let outcome = self.send(transaction, command).await.map_err(|failure| {
                Failure::from(format!("line {}: transaction {}: {failure}", row.line, row.transaction))
            })?;
            if let Outcome::Rejected(reason) = outcome {
                self.refused(row, &reason);
                break;
            }
        }
        Ok(())
    }

    async fn send(
        &mut self,
        transaction: TransactionId,
        command: Command,
    ) -> Result<Outcome<Rejection>, Failure> {
        let first = bank::send(&self.accounts, &self.id, transaction, command.clone()).await?;
        self.tally.add(&first);
        if self.twice.chooses(transaction) {
            let again = bank::send(&self.accounts, &self.id, transaction, command).await?;
            self.tally.add(&again);
            if again != first {
                return Err("the second copy heard another answer than the first".into());
            }
        }
        Ok(first)
    }

    fn refused(&mut self, row: &Row, reason: &Rejection) {
        let why = match reason {
            Rejection::UnknownAccount => {
                "unknown account: its first row must be a deposit; nothing was changed".to_owned()
            }
            other => format!("refused: {other:?}"),
        };
        self.refusals.push(format!("line {}: account {}: {why}", row.line, self.id));
    }
}

/// What the store says, beside what the bank says.
struct Compared {
    balances: Vec<(AggregateId, i64)>,
    differences: Vec<String>,
}

/// Reads every account's stream and compares the balance after each row with the bank's: from the durable
/// records, so that it holds for rows that an earlier run applied, too.
async fn compare(store: &impl EventStore, ledger: &Ledger) -> Result<Compared, Failure> {
    let progress = bar("comparing", u64::try_from(ledger.accounts.len())?);
    let mut compared = Compared { balances: Vec::new(), differences: Vec::new() };
    for (id, rows) in &ledger.accounts {
        let mut balance = 0_i64;
        let mut after: HashMap<TransactionId, i64> = HashMap::new();
        bank::for_each_event(store, id, |transaction, event| {
            balance = match event {
                Event::Deposited { minor } => balance.checked_add(minor),
                Event::Captured { minor } => balance.checked_sub(minor),
                Event::Held { .. } | Event::Released { .. } => Some(balance),
            }
            .ok_or("a balance left the range of 64 bits")?;
            after.insert(transaction, balance);
            Ok(())
        })
        .await?;
        compared.differences.extend(rows.iter().filter_map(|row| difference(row, id, &after)));
        compared.balances.push((id.clone(), balance));
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(compared)
}

fn difference(row: &Row, id: &AggregateId, after: &HashMap<TransactionId, i64>) -> Option<String> {
    let found = after.get(&row.transaction_id()).copied();
    (found != Some(row.balance_minor)).then(|| {
        let found = found.map_or("no such transaction".to_owned(), |balance| balance.to_string());
        let (line, transaction, expected) = (row.line, row.transaction, row.balance_minor);
        format!("line {line}: account {id}: after transaction {transaction} the bank has {expected}, the store {found}")
    })
}

fn print_summary(ledger: &Ledger, tally: Tally, recovered: u64, compared: &Compared) {
    let rows = [
        ("rows", u64::try_from(ledger.rows).unwrap_or(0)),
        ("accounts", u64::try_from(ledger.accounts.len()).unwrap_or(0)),
        ("commands answered", tally.total()),
        ("applied", tally.applied),
        ("replayed", tally.replayed),
        ("refused", tally.refused),
        ("recovered", recovered),
        ("balances that differ", u64::try_from(compared.differences.len()).unwrap_or(0)),
    ];
    let rows = rows.map(|(what, figure)| vec![what.to_owned(), grouped(figure)]);
    println!("{}", table(&["replay", ""], rows.to_vec()));
}
