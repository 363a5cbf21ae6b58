//! The clients: closed loops, each sending its next hold once the last one is answered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use uuid::Uuid;

use crate::words::{Check, Round};
use crate::{Failure, Hold, Load, Peer};

/// Holds of each client that the check sends once more.
const REMEMBERED: usize = 4;

/// The clients of one peer, over all rounds.
pub struct Clients<P> {
    peer: Arc<P>,
    load: Load,
    answered: u64,
    last: Vec<Hold>,
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    /// Of the commands that ended in the measured time.
    latencies: Vec<Duration>,
    retries: u64,
    answered: u64,
    last: VecDeque<Hold>,
}

impl<P: Peer> Clients<P> {
    pub fn new(peer: P, load: Load) -> Self {
        Self { peer: Arc::new(peer), load, answered: 0, last: Vec::new() }
    }

    /// Runs all clients for the sum of both times, and measures the second.
    ///
    /// # Errors
    /// The first of any client: a peer that fails is not measured.
    pub async fn round(&mut self, warm_up: Duration, measured: Duration) -> Result<Round, Failure> {
        let begin = Instant::now() + warm_up;
        let end = begin + measured;
        let mut running = JoinSet::new();
        for client in 0..self.load.clients as usize * self.load.in_flight as usize {
            running.spawn(run(Arc::clone(&self.peer), client, self.load.accounts, begin, end));
        }
        self.last.clear();
        let (mut latencies, mut retries) = (Vec::new(), 0);
        while let Some(seen) = running.join_next().await {
            let seen = seen??;
            self.answered += seen.answered;
            self.last.extend(seen.last);
            latencies.extend(seen.latencies);
            retries += seen.retries;
        }
        latencies.sort_unstable();
        Ok(Round {
            commands: latencies.len() as u64,
            seconds: measured.as_secs_f64(),
            p50_ms: percentile(&latencies, 50),
            p99_ms: percentile(&latencies, 99),
            retries,
        })
    }

    /// Sends the last holds once more, and compares what is stored with what was answered.
    ///
    /// # Errors
    /// When the peer fails.
    pub async fn check(&mut self) -> Result<Check, Failure> {
        for hold in &self.last {
            self.peer.hold(0, *hold).await?;
        }
        let held = self.peer.held().await?;
        Ok(Check { answered: self.answered, resent: self.last.len() as u64, held })
    }

    /// Closes the peer.
    ///
    /// # Errors
    /// When a client still runs, or the peer fails.
    pub async fn close(self) -> Result<(), Failure> {
        Arc::into_inner(self.peer).ok_or("a client still runs")?.close().await
    }
}

async fn run<P: Peer>(
    peer: Arc<P>,
    client: usize,
    accounts: u32,
    begin: Instant,
    end: Instant,
) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok(seen);
        }
        let hold = next_hold(accounts);
        let retries = peer.hold(client, hold).await?;
        let answered = Instant::now();
        seen.answered += 1;
        seen.last.push_back(hold);
        if seen.last.len() > REMEMBERED {
            seen.last.pop_front();
        }
        if (begin..end).contains(&answered) {
            seen.latencies.push(answered - sent);
            seen.retries += retries;
        }
    }
}

/// A hold with a new id, on any account with the same likelihood.
fn next_hold(accounts: u32) -> Hold {
    static SENT: AtomicU64 = AtomicU64::new(0);
    // SplitMix64 over a counter: the same accounts in the same order for every peer.
    let mut mixed = SENT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let account = (mixed ^ (mixed >> 31)) % u64::from(accounts.max(1));
    Hold { account: account as u32, transaction: Uuid::now_v7() }
}

/// In milliseconds; 0 where nothing was measured.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), 51.0);
        assert_eq!(percentile(&times, 99), 100.0);
        assert_eq!(percentile(&[], 99), 0.0);
    }

    #[test]
    fn every_account_gets_its_share() {
        let mut of_account = [0_u32; 10];
        for _ in 0..10_000 {
            of_account[next_hold(10).account as usize] += 1;
        }
        assert!(of_account.iter().all(|share| (800..1_200).contains(share)), "{of_account:?}");
    }
}
