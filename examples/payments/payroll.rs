//! A payroll day: an employer with a long history pays 150 people; commands arrive twice, the service
//! crashes in the middle, and afterwards everything has happened once.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sidestream::command::Recovery;
use sidestream::{Category, CommandHandler, Decider, Events, Outcome, StepName};

use crate::Failure;
use crate::bank::{self, Accounts, Tally};
use crate::payday::{self, CRASH_AT, OPEN_AT_CRASH, PAID_IN, PAID_IN_MINOR, PEOPLE, Send};
use crate::rules::{Account, Command, Event, Hold, Rejection, State};
use crate::show::{grouped, money, table, time};
use crate::store::{Choice, Store};
use crate::views::{Anew, Views};

pub(crate) async fn run(choice: &Choice) -> Result<ExitCode, Failure> {
    println!("A payroll day on {}", choice);
    history(choice).await?;
    crash_in_a_process_of_its_own(choice).await?;

    let store = Store::open(choice).await?;
    let accounts = CommandHandler::new(store.events(), Account);
    let employer = payday::employer()?;
    let (version, _) = bank::size(&store.events(), &employer).await?;
    let recovery = accounts.recover(Duration::ZERO).await?;
    println!(
        "3. recovery: {} open steps settled, {} records scanned; the employer's stream has {}",
        recovery.settled(),
        recovery.scanned,
        grouped(version.get()),
    );
    let views = Views::follow(choice, store.events()).await?;
    let (tally, took, anew) = pay_everybody(&accounts, &views).await?;
    println!("4. the whole day sent again from its start: {} answers in {}", tally.total(), time(took));
    summary(&store, &accounts, &recovery, tally).await?;
    let mut ids = (0..PEOPLE).map(payday::employee).collect::<Result<Vec<_>, _>>()?;
    ids.push(employer);
    views.compare((&accounts, &ids), anew).await?;
    println!("money in = money out. Run it again: nothing is applied twice.");
    Ok(ExitCode::SUCCESS)
}

/// Years of deposits, so that the stream is long. Made once; nothing happens when it is there.
async fn history(choice: &Choice) -> Result<(), Failure> {
    let store = Store::open(choice).await?;
    let accounts = CommandHandler::new(store.events(), Account);
    let last = payday::paid_in(PAID_IN - 1)?;
    let known = accounts.outcome(&last.account, last.transaction, &Account::step(&last.command)).await?;
    if known.is_none() {
        let sends = (0..PAID_IN).map(payday::paid_in).collect::<Result<Vec<_>, _>>()?;
        let commands = sends.into_iter().map(|send| (send.account, send.transaction, send.command));
        let outcomes = accounts.handle_many(commands).await;
        outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    println!("1. history: {} deposits by the employer", grouped(PAID_IN));
    drop(accounts);
    store.close().await
}

async fn crash_in_a_process_of_its_own(choice: &Choice) -> Result<(), Failure> {
    let mut child = tokio::process::Command::new(std::env::current_exe()?);
    let status = child.arg("crash").arg("--store").arg(choice.argument()).kill_on_drop(true).status().await?;
    match status.code() {
        Some(0) => println!("2. the first part of the day was already settled: nothing crashed"),
        Some(code) => return Err(format!("the crashing process failed with exit code {code}").into()),
        None => println!(
            "2. a crash: after {CRASH_AT} payments, with {OPEN_AT_CRASH} holds requested and unanswered ({status})"
        ),
    }
    Ok(())
}

/// The process that dies: it pays some people; then its rules for holds begin to fail, so that further holds
/// are requested and not answered; then it aborts.
pub(crate) async fn crash(choice: &Choice) -> Result<ExitCode, Failure> {
    std::panic::set_hook(Box::new(|_| {}));
    let store = Store::open(choice).await?;
    let armed = Arc::new(AtomicBool::new(false));
    let accounts = CommandHandler::new(store.events(), Failing { armed: Arc::clone(&armed) });
    for number in 0..CRASH_AT {
        let hold = handle(&accounts, payday::hold(number)?).await?;
        if hold.is_accepted() {
            handle(&accounts, payday::pay(number)?).await?;
            handle(&accounts, payday::capture(number)?).await?;
        }
    }
    armed.store(true, Ordering::SeqCst);
    let mut open = 0;
    for number in CRASH_AT..CRASH_AT + OPEN_AT_CRASH {
        let Send { account, transaction, command } = payday::hold(number)?;
        let step = Account::step(&command);
        accounts.submit(&account, transaction, command, None).await?;
        open += u64::from(accounts.outcome(&account, transaction, &step).await.is_err());
        // The employer's stream goes on meanwhile: this is what recovery has to look through.
        handle(&accounts, payday::late(number)?).await?;
    }
    if open > 0 {
        std::process::abort();
    }
    drop(accounts);
    store.close().await?;
    Ok(ExitCode::SUCCESS)
}

async fn handle(accounts: &CommandHandler<Failing>, send: Send) -> Result<Outcome<Rejection>, Failure> {
    Ok(accounts.handle(&send.account, send.transaction, send.command).await?)
}

/// Sends every command of the day, as the employer's system does after a crash: all of them, from the
/// start, some more than once. Half way through, the views begin to be made anew.
async fn pay_everybody(accounts: &Accounts, views: &Views) -> Result<(Tally, Duration, Anew), Failure> {
    let watch = sidestream::clock::Stopwatch::start();
    let mut tally = Tally::default();
    let mut holds = Vec::new();
    for number in 0..PEOPLE {
        holds.push(copies(accounts, &payday::hold(number)?, payday::copies(number), &mut tally).await?);
    }
    let anew = views.rebuild().await?;
    for number in (0..PEOPLE).zip(holds).filter(|(_, hold)| hold.is_accepted()).map(|(number, _)| number) {
        for send in [payday::pay(number)?, payday::capture(number)?] {
            copies(accounts, &send, payday::copies(number), &mut tally).await?;
        }
    }
    Ok((tally, watch.elapsed(), anew))
}

/// Sends copies of a command at once. All must hear the same.
async fn copies(
    accounts: &Accounts,
    send: &Send,
    count: usize,
    tally: &mut Tally,
) -> Result<Outcome<Rejection>, Failure> {
    let copies = (0..count).map(|_| (send.account.clone(), send.transaction, send.command.clone()));
    let outcomes = accounts.handle_many(copies).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    outcomes.iter().for_each(|outcome| tally.add(outcome));
    let first = outcomes.first().cloned().ok_or("nothing was sent")?;
    if outcomes.iter().any(|outcome| *outcome != first) {
        return Err(format!("copies of transaction {} heard different answers", send.transaction).into());
    }
    Ok(first)
}

async fn summary(
    store: &Store,
    accounts: &Accounts,
    recovery: &Recovery,
    tally: Tally,
) -> Result<(), Failure> {
    let employer = payday::employer()?;
    let left = bank::funds(accounts, &employer).await?;
    let mut paid = 0_i64;
    for number in 0..PEOPLE {
        paid += bank::funds(accounts, &payday::employee(number)?).await?.available;
    }
    let (version, snapshot) = bank::size(&store.events(), &employer).await?;
    let money_in = i64::try_from(PAID_IN + OPEN_AT_CRASH)? * PAID_IN_MINOR;
    let money_out = paid + left.available + left.held;
    let rows = [
        ("commands sent", grouped(tally.total())),
        ("applied", grouped(tally.applied)),
        ("replayed", grouped(tally.replayed)),
        ("refused", grouped(tally.refused)),
        ("recovered after the crash", grouped(recovery.settled())),
        ("events scanned by recovery", grouped(recovery.scanned)),
        ("events in the employer's stream", grouped(version.get())),
        ("snapshot, bytes", grouped(u64::try_from(snapshot)?)),
        ("money in", money(money_in)),
        ("money out: paid + left + held", money(money_out)),
    ];
    let rows = rows.map(|(what, figure)| vec![what.to_owned(), figure]);
    println!("{}", table(&["the day", ""], rows.to_vec()));
    if money_in != money_out {
        return Err(format!("money in {money_in} is not money out {money_out}").into());
    }
    Ok(())
}

/// The account's rules, which fail on holds once they are armed.
struct Failing {
    armed: Arc<AtomicBool>,
}

impl Decider for Failing {
    const CATEGORY: Category = Account::CATEGORY;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;
    type State = State;
    type Transaction = Hold;

    fn step(command: &Command) -> StepName {
        Account::step(command)
    }

    fn decide(&self, state: &State, hold: &Hold, command: &Command) -> Result<Events<Event>, Rejection> {
        let fails = matches!(command, Command::Hold { .. }) && self.armed.load(Ordering::SeqCst);
        assert!(!fails, "as a bad deployment would");
        Account.decide(state, hold, command)
    }

    fn evolve(state: &mut State, event: &Event) {
        Account::evolve(state, event);
    }

    fn settle(hold: &mut Hold, command: &Command) {
        Account::settle(hold, command);
    }

    fn event_type(event: &Event) -> &'static str {
        Account::event_type(event)
    }
}
