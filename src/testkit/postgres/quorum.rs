//! A primary and its standbys, in quorum replication.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::testkit::postgres::binaries::Binaries;
use crate::testkit::postgres::options::{ServerOptions, StopMode};
use crate::testkit::postgres::server::Server;
use crate::testkit::postgres::waiting;

/// Servers of which one is the primary and the others follow it. A COMMIT is answered when the primary and one
/// standby have it on disk (`synchronous_standby_names = 'ANY 1 (…)'`).
///
/// Each server keeps its place and its port; who is the primary changes.
#[derive(Debug)]
pub struct Quorum {
    nodes: Vec<Server>,
    roles: Mutex<Roles>,
}

#[derive(Debug, Default)]
struct Roles {
    primary: usize,
    /// Those that were the primary, and have not joined again.
    absent: BTreeSet<usize>,
}

impl Quorum {
    /// Starts a primary and so many standbys, and waits until they follow it.
    ///
    /// # Panics
    /// When a server does not start, with the end of its log, and when there is no standby: no COMMIT would
    /// ever be answered.
    #[must_use]
    pub fn start(binaries: &Binaries, standbys: usize) -> Self {
        assert!(standbys > 0, "a quorum needs a standby");
        let primary = Server::start_with(binaries, options(0, standbys));
        let port = primary.port();
        let follow = |at| Server::follow(binaries, options(at, standbys), port, &conninfo(port, at));
        let followers = side_by_side(1..=standbys, follow);
        let nodes = std::iter::once(primary).chain(followers).collect();
        let quorum = Self { nodes, roles: Mutex::default() };
        quorum.wait_in_sync();
        quorum
    }

    /// Where clients find a database, whoever is the primary: all servers, and the wish to write.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("postgres://postgres@{}/{database}?target_session_attrs=read-write", hosts.join(","))
    }

    /// Makes an empty database with a name of its own, and returns its [url](Quorum::url).
    pub fn fresh_database(&self) -> String {
        self.url(&self.primary().make_database())
    }

    /// The server that takes writes.
    #[must_use]
    pub fn primary(&self) -> &Server {
        &self.nodes[self.roles().primary]
    }

    /// The servers that follow it.
    #[must_use]
    pub fn standbys(&self) -> Vec<&Server> {
        self.followers().into_iter().map(|at| &self.nodes[at]).collect()
    }

    /// Earlier primaries that have not [joined again](Quorum::rejoin). They do not run, unless the test starts
    /// one to see two primaries at once.
    #[must_use]
    pub fn absent(&self) -> Vec<&Server> {
        self.roles().absent.iter().map(|at| &self.nodes[*at]).collect()
    }

    /// Stops the standbys' processes: from now on every COMMIT waits.
    pub fn pause_standbys(&self) {
        self.standbys().into_iter().for_each(Server::pause);
    }

    /// Lets paused standbys go on.
    pub fn resume_standbys(&self) {
        self.standbys().into_iter().for_each(Server::resume);
    }

    /// Waits until every standby has applied what the primary has on disk now.
    ///
    /// # Panics
    /// When that has not happened after a minute.
    pub fn wait_in_sync(&self) {
        let (primary, count) = (self.primary(), self.followers().len().to_string());
        let flushed = primary.told(include_str!("sql/flushed.sql"), &[]);
        let in_sync = waiting::until(|| {
            let told = primary.told(include_str!("sql/in_sync.sql"), &[("flushed", &flushed)]);
            (told == count).then_some(())
        });
        assert!(in_sync.is_some(), "the standbys do not follow:\n{}", primary.log_tail());
    }

    /// Stops the primary at once, where it still runs, and makes a standby the primary: the one that has
    /// received most, since every answered COMMIT is on one of them at least. The others follow it. Paused
    /// standbys go on when the old primary is gone.
    ///
    /// It returns when the new primary takes writes. Where no standby is left, they wait for one that
    /// [joins](Quorum::rejoin).
    ///
    /// # Panics
    /// When there is no standby, and when one does not run: an answered COMMIT could be on that one only.
    pub fn fail_over(&self) {
        let standbys = self.followers();
        assert!(!standbys.is_empty(), "no standby is left: `rejoin` first");
        let missing = standbys.iter().find(|at| self.nodes[**at].process_id().is_none());
        assert!(missing.is_none(), "standby {missing:?} does not run: what only it has would be lost");
        self.primary().stop(StopMode::Immediate);
        self.resume_standbys();
        let elected = self.elect(&standbys);
        let promoted = self.nodes[elected].told(include_str!("sql/promote.sql"), &[]);
        assert_eq!(promoted, "t", "it was not promoted:\n{}", self.nodes[elected].log_tail());
        self.follow(elected);
        self.wait_in_sync();
    }

    /// Brings the absent servers back as standbys, with a copy of the primary's data in the place of their own.
    pub fn rejoin(&self) {
        let absent: Vec<_> = self.roles().absent.iter().copied().collect();
        let port = self.primary().port();
        side_by_side(absent, |at| self.nodes[at].follow_again(port, &conninfo(port, at)));
        self.roles().absent.clear();
        self.wait_in_sync();
    }

    /// The standby that has received most. What the old primary sent last may still be on its way to the disk,
    /// so it is asked when nothing comes in any more: a standby that then had more than the elected one could
    /// not follow it.
    fn elect(&self, standbys: &[usize]) -> usize {
        for at in standbys {
            let receivers = || self.nodes[*at].told(include_str!("sql/receivers.sql"), &[]);
            let ended = waiting::until(|| (receivers() == "0").then_some(()));
            assert!(ended.is_some(), "a standby still receives:\n{}", self.nodes[*at].log_tail());
        }
        let received = |at: &usize| {
            let told = self.nodes[*at].told(include_str!("sql/received.sql"), &[]);
            told.parse::<u64>().unwrap_or_else(|_| panic!("{told:?} was received: a number was expected"))
        };
        standbys.iter().copied().max_by_key(received).expect("a standby to promote")
    }

    /// Points the other standbys to the new primary.
    fn follow(&self, elected: usize) {
        let mut roles = self.roles();
        let old = std::mem::replace(&mut roles.primary, elected);
        roles.absent.insert(old);
        drop(roles);
        let port = self.primary().port();
        for at in self.followers() {
            self.nodes[at].set("primary_conninfo", &conninfo(port, at));
        }
    }

    fn followers(&self) -> Vec<usize> {
        let roles = self.roles();
        let follows = |at: &usize| *at != roles.primary && !roles.absent.contains(at);
        (0..self.nodes.len()).filter(follows).collect()
    }

    fn roles(&self) -> MutexGuard<'_, Roles> {
        self.roles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(at: usize) -> String {
    format!("node{}", at + 1)
}

/// All servers have the same names, their own among them: who is promoted needs no other setting. Names, and not
/// `*`, so that no backup or other receiver counts as a standby.
fn options(at: usize, standbys: usize) -> ServerOptions {
    let names: Vec<_> = (0..=standbys).map(name).collect();
    let names = format!("ANY 1 ({})", names.join(", "));
    ServerOptions::default().setting("cluster_name", &name(at)).setting("synchronous_standby_names", &names)
}

/// How a standby finds the server that it follows, and by which name that one knows it.
fn conninfo(port: u16, at: usize) -> String {
    format!("host=127.0.0.1 port={port} user=postgres application_name={}", name(at))
}

/// Does something with each, all at the same time, and returns the results in order.
fn side_by_side<I: Send, T: Send>(
    items: impl IntoIterator<Item = I>,
    work: impl Fn(I) -> T + Sync,
) -> Vec<T> {
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = items.into_iter().map(|item| scope.spawn(move || work(item))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, T>| thread.join();
        let results = threads.into_iter().map(join);
        results.map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}
