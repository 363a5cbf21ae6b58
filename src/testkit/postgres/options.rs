//! How a server is started and how it is stopped.

/// What a server has that others do not.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// Lines of `postgresql.conf`, name and value, after those that every server here has.
    pub settings: Vec<(String, String)>,
    /// What clients must know to come in over TCP. Without it everybody on this machine may. The socket in the
    /// server's private folder asks for none.
    pub password: Option<String>,
}

impl ServerOptions {
    /// With a line of `postgresql.conf`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a password that clients must know.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }
}

/// The three ways in which PostgreSQL stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopMode {
    /// Waits until the last client has gone.
    Smart,
    /// Ends open transactions, and stops cleanly.
    Fast,
    /// Ends all at once: the next start recovers, as after a crash. Clients are told.
    Immediate,
}

impl StopMode {
    pub(super) fn signal(self) -> &'static str {
        match self {
            Self::Smart => "TERM",
            Self::Fast => "INT",
            Self::Immediate => "QUIT",
        }
    }
}
