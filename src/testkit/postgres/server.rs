//! One private server.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::testkit::postgres::binaries::Binaries;
use crate::testkit::postgres::instance::{self, Instance};
use crate::testkit::postgres::options::{ServerOptions, StopMode};
use crate::testkit::postgres::psql;

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A PostgreSQL server of the test's own: as durable as one in production, on 127.0.0.1 and on a socket in its
/// folder, with the superuser `postgres`.
///
/// It ends, and its folder goes, when this is dropped, and also when the test's process exits, panics or is
/// killed: a [`static`](Server::shared) one is safe. Its methods may be called from several threads.
#[derive(Debug)]
pub struct Server {
    binaries: Binaries,
    folder: PathBuf,
    port: u16,
    password: Option<String>,
    instance: Mutex<Instance>,
}

impl Server {
    /// Starts a server that everybody on this machine may use.
    ///
    /// # Panics
    /// When it does not start, with the end of its log. So do all methods here when the server does not do
    /// what it is told.
    #[must_use]
    pub fn start(binaries: &Binaries) -> Self {
        Self::start_with(binaries, ServerOptions::default())
    }

    /// Starts a server with settings or a password of its own.
    ///
    /// # Panics
    /// When it does not start, with the end of its log.
    #[must_use]
    pub fn start_with(binaries: &Binaries, options: ServerOptions) -> Self {
        let mut instance = Instance::new(binaries, options.settings);
        instance.make_data(options.password.is_some());
        instance.start_on_a_free_port();
        let server = Self::of(binaries, instance, options.password);
        if let Some(password) = &server.password {
            server.told(include_str!("sql/set_password.sql"), &[("password", password)]);
        }
        server
    }

    /// The one server of this process, for tests that need a [database](Server::fresh_database) of their own
    /// and leave the server as it is. The first caller's programs are used.
    ///
    /// # Panics
    /// As [`Server::start`].
    pub fn shared(binaries: &Binaries) -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(binaries))
    }

    /// Starts a server that follows the one at `port`, as which `conninfo` names it.
    pub(super) fn follow(binaries: &Binaries, options: ServerOptions, port: u16, conninfo: &str) -> Self {
        let mut instance = Instance::new(binaries, options.settings);
        instance.copy_data(port);
        instance.set("primary_conninfo", conninfo);
        instance.start_on_a_free_port();
        Self::of(binaries, instance, options.password)
    }

    /// Throws its data away, and follows the server at `port`.
    pub(super) fn follow_again(&self, port: u16, conninfo: &str) {
        let mut instance = self.instance();
        instance.copy_data(port);
        instance.set("primary_conninfo", conninfo);
        instance.start().unwrap_or_else(|log| panic!("{log}"));
    }

    fn of(binaries: &Binaries, instance: Instance, password: Option<String>) -> Self {
        let (folder, port) = (instance.folder().to_owned(), instance.port());
        Self { binaries: binaries.clone(), folder, port, password, instance: Mutex::new(instance) }
    }

    /// Where clients find a database, with the password where there is one.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let password = self.password.as_ref().map(|password| format!(":{}", encoded(password)));
        format!("postgres://postgres{}@127.0.0.1:{}/{database}", password.unwrap_or_default(), self.port)
    }

    /// Makes an empty database with a name of its own, and returns its [url](Server::url).
    pub fn fresh_database(&self) -> String {
        self.url(&self.make_database())
    }

    pub(super) fn make_database(&self) -> String {
        let name = format!("fresh_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        self.told(include_str!("sql/create_database.sql"), &[("name", &name)]);
        name
    }

    /// The port on 127.0.0.1. It stays the same.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with the directory `data`, the socket and the file `log`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The id of the server's first process, while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.instance().process()
    }

    /// The last lines of the server's log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        instance::log_tail(&self.folder)
    }

    /// Runs SQL by `psql`, each statement for itself, and returns what it printed: a row a line, `|` between
    /// the values.
    ///
    /// # Panics
    /// At the first statement that fails.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        self.try_psql(database, sql).unwrap_or_else(|error| panic!("{sql}\n{error}"))
    }

    /// As [`Server::psql`].
    ///
    /// # Errors
    /// What `psql` complained about, at the first statement that failed.
    pub fn try_psql(&self, database: &str, sql: &str) -> Result<String, String> {
        self.ask(database, sql, &[])
    }

    /// Asks the server itself, in no particular database.
    pub(super) fn told(&self, sql: &str, variables: &[(&str, &str)]) -> String {
        self.ask("postgres", sql, variables).unwrap_or_else(|error| panic!("{sql}{variables:?}\n{error}"))
    }

    fn ask(&self, database: &str, sql: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        psql::run(psql::command(&self.binaries, &self.folder, self.port, database), sql, variables)
    }

    /// Changes a line of `postgresql.conf`, and has it read soon. Some settings count from the next start only.
    pub fn set(&self, name: &str, value: &str) {
        self.instance().set(name, value);
    }

    /// Stops the server, and waits until it has ended. Does nothing when it does not run.
    ///
    /// # Panics
    /// When it has not ended after a minute, because a client stays, for instance.
    pub fn stop(&self, mode: StopMode) {
        self.instance().end(mode.signal());
    }

    /// Kills all the server's processes, without a word to the clients.
    pub fn kill(&self) {
        self.instance().kill();
    }

    /// Starts a server that has ended, however it ended: the same data, the same port.
    ///
    /// # Panics
    /// When it runs; when it does not start, with the end of its log.
    pub fn start_again(&self) {
        self.try_start_again().unwrap_or_else(|log| panic!("{log}"));
    }

    /// As [`Server::start_again`], for tests that damaged something.
    ///
    /// # Errors
    /// The end of its log, when it does not start.
    pub fn try_start_again(&self) -> Result<(), String> {
        self.instance().start()
    }

    /// Stops all the server's processes for a while, as a machine that hangs: connections stay, and nothing
    /// answers.
    pub fn pause(&self) {
        self.instance().pause();
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        self.instance().resume();
    }

    /// A test that panicked left nothing half done here: what the system says counts.
    fn instance(&self) -> MutexGuard<'_, Instance> {
        self.instance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A text as a part of a url.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
