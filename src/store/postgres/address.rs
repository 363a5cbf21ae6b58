//! Where the database is, and how it is reached.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, Result};

/// Longest wait for one host to take a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// After how long without an answer a silent connection is given up.
const SILENCE: Duration = Duration::from_secs(30);

/// A database's address, with what a connection to it needs.
#[derive(Clone)]
pub(crate) struct Address {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: MakeRustlsConnect,
}

impl Address {
    /// Reads a URL or a list of `key=value`. Of several hosts, the one that takes writes is used. Hosts elsewhere
    /// are spoken to over TLS only, unless the address says `sslmode=disable`.
    pub(crate) fn parse(url: &str, roots: Option<&Path>) -> Result<Self> {
        let mut config: tokio_postgres::Config = url.parse().map_err(not_an_address)?;
        if config.get_hosts().is_empty() {
            return Err(Error::invalid("the address names no host").advice(EXAMPLE));
        }
        if config.get_dbname().is_none() {
            return Err(Error::invalid("the address names no database").advice(EXAMPLE));
        }
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config.connect_timeout(*config.get_connect_timeout().unwrap_or(&CONNECT));
        config.tcp_user_timeout(SILENCE).keepalives_idle(Duration::from_secs(10));
        if config.get_application_name().is_none() {
            config.application_name("sidestream");
        }
        if config.get_ssl_mode() == SslMode::Prefer && !config.get_hosts().iter().all(is_here) {
            config.ssl_mode(SslMode::Require);
        }
        Ok(Self { config, tls: MakeRustlsConnect::new(tls(roots)?) })
    }

    /// Hosts, ports and database, and nothing that is secret.
    pub(super) fn place(&self) -> String {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate().map(|(at, host)| {
            let port = ports.get(at).or_else(|| ports.first()).copied().unwrap_or(5_432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        });
        let hosts: Vec<_> = hosts.collect();
        format!("postgres://{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or_default())
    }
}

const EXAMPLE: &str =
    "write it as postgres://user:password@host:5432/database, several hosts with commas between";

fn not_an_address(source: tokio_postgres::Error) -> Error {
    Error::invalid("the address of the database cannot be read").advice(EXAMPLE).caused_by(source)
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

fn tls(roots: Option<&Path>) -> Result<ClientConfig> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(path) => {
            let unreadable = |source| {
                Error::invalid(format!("the root certificates in {} cannot be read", path.display()))
                    .caused_by(source)
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                store.add(certificate.map_err(unreadable)?).map_err(|source| {
                    Error::invalid(format!("a root certificate in {} is not valid", path.display()))
                        .caused_by(source)
                })?;
            }
        }
        // One that this machine holds and rustls does not take is no reason to trust none.
        None => drop(store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| Error::invalid("TLS cannot be set up").caused_by(source))?;
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        Address::parse(url, None).expect("an address").config.get_ssl_mode()
    }

    #[test]
    fn a_host_elsewhere_is_spoken_to_over_tls_only() {
        for here in ["localhost", "127.0.0.1", "[::1]", "%2Ftmp"] {
            assert_eq!(mode(&format!("postgres://u@{here}/d")), SslMode::Prefer, "{here}");
        }
        assert_eq!(mode("postgres://u@db.example/d"), SslMode::Require);
        assert_eq!(mode("postgres://u@localhost,db.example/d"), SslMode::Require);
        assert_eq!(mode("postgres://u@db.example/d?sslmode=disable"), SslMode::Disable);
    }

    #[test]
    fn a_place_tells_no_secret() {
        let place = |url| Address::parse(url, None).expect("an address").place();
        assert_eq!(place("postgres://me:secret@a:1,b:2/pay?sslmode=disable"), "postgres://a:1,b:2/pay");
        assert_eq!(place("host=a user=me password=secret dbname=pay"), "postgres://a:5432/pay");
    }

    #[test]
    fn an_address_that_says_too_little_is_refused() {
        for (url, why) in [
            ("postgres://u@h", "no database"),
            ("host=h", "no database"),
            ("dbname=d", "no host"),
            ("x", "read"),
        ] {
            let error = Address::parse(url, None).err().expect("refused").to_string();
            assert!(error.contains(why) && error.contains("postgres://"), "{url}: {error}");
        }
    }
}
