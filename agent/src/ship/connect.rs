//! TCP and TLS by hand, so that each failure keeps its cause; then HTTP/2 over the finished connection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::{AlertDescription, CertificateError, ClientConfig};
use rustls_pki_types::ServerName;
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use super::ShipError;
use crate::config::{Collector, split_address};

const CONNECT: Duration = Duration::from_secs(10);
/// Servers that wait for the client's first word are not waited for.
const FIRST_WORD: Duration = Duration::from_secs(1);
/// A collector that vanished without a word is noticed after the two together.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
const KEEPALIVE_WAIT: Duration = Duration::from_secs(10);

pub(super) async fn open(collector: &Collector, config: ClientConfig) -> Result<Channel, ShipError> {
    let late = |_| ShipError::Timeout(CONNECT.as_secs());
    let tcp = timeout(CONNECT, TcpStream::connect(&collector.address))
        .await
        .map_err(late)?
        .map_err(ShipError::Tcp)?;
    tcp.set_nodelay(true).map_err(ShipError::Tcp)?;
    let name = server_name(collector)?;
    let mut tls = timeout(CONNECT, TlsConnector::from(Arc::new(config)).connect(name.clone(), tcp))
        .await
        .map_err(late)?
        .map_err(|e| tls_error(&e, &name))?;
    // In TLS 1.3 a refusal of our certificate comes after our last handshake message; had we written more by then, the
    // collector's reset could overtake it. A gRPC server that accepts us speaks first (SETTINGS).
    if let Ok(Err(error)) = timeout(FIRST_WORD, tls.fill_buf()).await {
        return Err(tls_error(&error, &name));
    }

    // tonic wants to be able to connect again; it gets this connection, once. The next one is ours to make.
    let once = Arc::new(Mutex::new(Some(TokioIo::new(tls))));
    let connector = tower::service_fn(move |_| {
        let stream = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        std::future::ready(stream.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected)))
    });
    // The scheme only says that tonic itself adds no TLS.
    Endpoint::from_static("http://collector")
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_WAIT)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await
        .map_err(|e| lost(&e))
}

fn server_name(collector: &Collector) -> Result<ServerName<'static>, ShipError> {
    let host = match (&collector.server_name, split_address(&collector.address)) {
        (Some(name), _) => name.as_str(),
        (None, Some((host, _))) => host,
        (None, None) => collector.address.as_str(),
    };
    ServerName::try_from(host.to_owned()).map_err(|e| ShipError::Tls(e.to_string()))
}

/// Says what is wrong with a certificate, and who has to do something about it.
fn tls_error(error: &std::io::Error, name: &ServerName<'_>) -> ShipError {
    let Some(cause) = rustls_error(error) else { return ShipError::Tls(error.to_string()) };
    if let Some(refused) = host_refused(cause) {
        return refused;
    }
    let rustls::Error::InvalidCertificate(problem) = cause else { return ShipError::Tls(cause.to_string()) };
    let name = name.to_str();
    ShipError::Tls(match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!(
                "the collector's certificate is expired ({cause}); restart the collector to renew it, and check the clocks of both"
            )
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the collector's certificate is not valid yet ({cause}); check the clocks of both")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "the collector's certificate is not for {name} ({cause}); set [collector] address or server_name to a name in it, or have the collector put {name} in"
            )
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!(
                "the certificate presented was not issued by the CA this host was enrolled with ({cause}); check [collector] address; if the collector was set up anew, set token to a new token"
            )
        }
        CertificateError::Other(other) => {
            format!("{}; check that [collector] address and token are of the same collector", other.0)
        }
        _ => format!(
            "the collector's certificate is refused ({cause}); check that [collector] address and token are of the same collector"
        ),
    })
}

/// The collector's refusal of our certificate.
fn host_refused(cause: &rustls::Error) -> Option<ShipError> {
    use AlertDescription as Alert;
    match cause {
        rustls::Error::AlertReceived(
            alert @ (Alert::BadCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::DecryptError
            | Alert::UnknownCA),
        ) => Some(ShipError::HostRefused(format!("{alert:?}"))),
        _ => None,
    }
}

/// Of an error after the handshake.
pub(super) fn lost(error: &(dyn std::error::Error + 'static)) -> ShipError {
    // The outermost texts ("transport error") say nothing.
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    ShipError::Lost(innermost.to_string())
}

fn rustls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An io::Error hides what it wraps from source().
        next = match error.downcast_ref::<std::io::Error>().and_then(|e| e.get_ref()) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
