//! What stands in a server's configuration files.

use std::fs;
use std::path::Path;

use crate::testkit::postgres::account::Account;

/// Durable as in production, and small. A server's own settings come after these.
const SETTINGS: &str = "
fsync = on
full_page_writes = on
synchronous_commit = on
shared_buffers = '128MB'
max_connections = 200
max_wal_size = '512MB'
wal_keep_size = '512MB'
# So that a standby follows a new primary at once.
wal_retrieve_retry_interval = '100ms'
# In the data directory, so that nothing is left when a server is killed.
dynamic_shared_memory_type = mmap
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
";

/// Writes `postgresql.conf`: what all servers share, then `settings`, then the place of this one.
pub(super) fn write_settings(folder: &Path, account: Account, settings: &[(String, String)], port: u16) {
    let place = [
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("port", port.to_string()),
        ("unix_socket_directories", folder.display().to_string()),
    ];
    let own = settings.iter().map(|(name, value)| line(name, value));
    let place = place.iter().map(|(name, value)| line(name, value));
    let text: String = std::iter::once(SETTINGS.to_owned()).chain(own).chain(place).collect();
    write(&folder.join("data/postgresql.conf"), account, &text);
}

/// Writes `pg_hba.conf`: who may come in over TCP.
pub(super) fn write_access(folder: &Path, account: Account, password: bool) {
    let method = if password { "scram-sha-256" } else { "trust" };
    let text: String = ["all", "replication"]
        .map(|database| format!("local {database} all trust\nhost {database} all 127.0.0.1/32 {method}\n"))
        .concat();
    write(&folder.join("data/pg_hba.conf"), account, &text);
}

/// Tells a server that it is to follow another.
pub(super) fn mark_as_standby(folder: &Path, account: Account) {
    write(&folder.join("data/standby.signal"), account, "");
}

fn line(name: &str, value: &str) -> String {
    format!("{name} = '{}'\n", value.replace('\'', "''"))
}

fn write(path: &Path, account: Account, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    account.own(path);
}
