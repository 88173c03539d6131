//! Servers that write down what really arrived, so that "nothing reached the server" is measured at the server.
mod connection;
mod request;

use std::{
    fmt,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use rustls::{ServerConnection, StreamOwned};

use crate::pki::Pki;

/// A blocked read looks at the stop flag this often.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_millis(100);

/// What arrived so far, over all connections. With TLS: after decryption.
#[derive(Debug, Default, Clone)]
pub struct Received {
    /// TCP connections accepted.
    pub connections: usize,
    /// Bytes of any kind.
    pub bytes: usize,
    /// Request heads that were complete.
    pub heads: usize,
    /// Body bytes of requests (chunk framing not counted).
    pub body_bytes: usize,
    /// Bodies that were complete.
    pub bodies: Vec<Vec<u8>>,
}

/// What to do with a request once it is written down.
#[derive(Debug, Clone, Copy)]
enum Role {
    /// Answer as an MCP server would.
    Answer,
    /// Pass everything on to a real server and its answers back.
    Forward(SocketAddr),
}

/// A server on a free loopback port; stops when dropped.
pub struct Recorder {
    addr: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
}

#[derive(Default)]
pub(crate) struct Shared {
    stop: AtomicBool,
    received: Mutex<Received>,
}

impl Shared {
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn received(&self) -> MutexGuard<'_, Received> {
        // Counters stay right even when a thread that held them panicked.
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("addr", &self.addr)
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// Both halves of a connection in one object, encrypted or not.
pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Recorder {
    /// Answers MCP over plaintext HTTP.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn plain() -> Result<Self> {
        Self::listen(None, Role::Answer)
    }

    /// Answers MCP over TLS.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn tls(pki: &Pki) -> Result<Self> {
        Self::listen(Some(pki), Role::Answer)
    }

    /// Stands in front of the real server at `to` and counts what passes.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn in_front_of(to: SocketAddr) -> Result<Self> {
        Self::listen(None, Role::Forward(to))
    }

    fn listen(pki: Option<&Pki>, role: Role) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("recorder: no free port")?;
        let addr = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let tls = pki.map(Pki::server_config);
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for tcp in listener.incoming().map_while(|tcp| (!for_thread.stopped()).then_some(tcp)).flatten() {
                for_thread.received().connections += 1;
                let shared = Arc::clone(&for_thread);
                let tls = tls.clone();
                thread::spawn(move || {
                    // A client that goes away in the middle is what these tests are about; what arrived is counted already.
                    let _ = serve(tcp, tls, role, &shared);
                });
            }
        });
        Ok(Self { addr, scheme: if pki.is_some() { "https" } else { "http" }, shared })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `host:port` as clients write it in the URL, which is what policies match on.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.addr.port())
    }

    /// The MCP endpoint.
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host(), crate::mcp::PATH)
    }

    /// What arrived so far.
    pub fn received(&self) -> Received {
        self.shared.received().clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        drop(TcpStream::connect_timeout(&self.addr, Duration::from_secs(1)));
    }
}

fn serve(tcp: TcpStream, tls: Option<Arc<rustls::ServerConfig>>, role: Role, shared: &Shared) -> Result<()> {
    tcp.set_read_timeout(Some(READ_TIMEOUT))?;
    tcp.set_nodelay(true)?;
    match (role, tls) {
        (Role::Forward(to), _) => connection::forward(tcp, to, shared),
        (Role::Answer, None) => connection::answer(tcp, shared),
        (Role::Answer, Some(config)) => {
            connection::answer(StreamOwned::new(ServerConnection::new(config)?, tcp), shared)
        }
    }
}
