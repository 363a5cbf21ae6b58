//! A database of a test's own.

use sidestream::testkit::postgres::{Binaries, Server};

/// A fresh database on the server that the tests share; none where there is no PostgreSQL.
pub struct Database {
    place: Option<(&'static Server, String)>,
}

impl Database {
    pub fn new() -> Self {
        let server = Binaries::found_or_skipped().map(|binaries| Server::shared(&binaries));
        Self { place: server.map(|server| (server, server.fresh_database())) }
    }

    pub fn server(&self) -> Option<&'static Server> {
        self.place.as_ref().map(|(server, _)| *server)
    }

    pub fn url(&self) -> String {
        self.place.as_ref().map(|(_, url)| url.clone()).unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.place.as_ref().and_then(|(_, url)| url.rsplit_once('/')).map_or("", |(_, name)| name)
    }

    pub fn psql(&self, sql: &str) -> String {
        self.server().expect("a server").psql(self.name(), sql)
    }
}
