//! A connection that is cut at any byte: a proxy between a client and a server.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

/// After so many more bytes of one way the connection that carries the next one is cut.
#[derive(Debug)]
struct Cut {
    way: Way,
    left: usize,
}

/// Passes connections on to a server.
pub struct Proxy {
    port: u16,
    cut: Arc<Mutex<Option<Cut>>>,
}

impl Proxy {
    /// A proxy in front of a server on this machine. It goes on until the process ends.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut: Arc<Mutex<Option<Cut>>> = Arc::default();
        let cutting = Arc::clone(&cut);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", server))) else {
                    continue;
                };
                pass_on(&client, &server, Way::ToServer, &cutting);
                pass_on(&server, &client, Way::ToClient, &cutting);
            }
        });
        Self { port, cut }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts once, after so many bytes from now on.
    pub fn cut_after(&self, way: Way, bytes: usize) {
        *self.cut.lock().unwrap() = Some(Cut { way, left: bytes });
    }

    /// Cuts no more, and says whether the cut was still to come.
    pub fn heal(&self) -> bool {
        self.cut.lock().unwrap().take().is_some()
    }
}

fn pass_on(from: &TcpStream, to: &TcpStream, way: Way, cut: &Arc<Mutex<Option<Cut>>>) {
    let (mut from, mut to, cut) = (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(cut));
    thread::spawn(move || {
        let mut bytes = [0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let whole = passing(way, count, &cut);
            if to.write_all(&bytes[..whole.unwrap_or(count)]).is_err() || whole.is_some() {
                break;
            }
        }
        // Whoever is at the ends may be gone already.
        drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
    });
}

/// How many of the bytes get through, where the connection is cut after them.
fn passing(way: Way, count: usize, cut: &Mutex<Option<Cut>>) -> Option<usize> {
    let mut cut = cut.lock().unwrap();
    let due = cut.as_mut().filter(|due| due.way == way)?;
    if count <= due.left {
        due.left -= count;
        return None;
    }
    let through = due.left;
    *cut = None;
    Some(through)
}
