//! A token against a certificate.

use std::sync::Arc;

use gnomon_proto::v1::{EnrolRequest, EnrolResponse, enrolment_server::Enrolment};
use tonic::{Request, Response, Status};

use crate::{
    pki::{Ca, PkiError},
    secret::{Secret, hex, random_bytes},
    store::{EnrolError, NewHost, Store, StoreError},
};

/// RFC 1035 allows 253 bytes for a name; a machine id is hashed to 64 digits.
const NAME_BYTES: usize = 255;

pub(super) struct Service {
    ca: Arc<Ca>,
    store: Store,
}

impl Service {
    pub(super) fn new(ca: Arc<Ca>, store: Store) -> Self {
        Self { ca, store }
    }
}

#[tonic::async_trait]
impl Enrolment for Service {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolResponse>, Status> {
        let from = request.remote_addr();
        let request = request.into_inner();
        for (field, value) in [("hostname", &request.hostname), ("machine", &request.machine)] {
            if value.len() > NAME_BYTES {
                return Err(Status::invalid_argument(format!("{field} is longer than {NAME_BYTES} bytes")));
            }
        }
        let token = Secret::from_enrolment_token(&request.token).ok_or_else(bad_token)?;
        let fresh_id =
            format!("h-{}", hex(&random_bytes::<8>().map_err(|e| Status::internal(e.to_string()))?));
        let ca = self.ca.clone();
        let host = NewHost { hostname: request.hostname.clone(), machine: request.machine };
        let sign = move |host_id: &str| ca.issue_client(&request.csr_der, host_id);
        match self.store.enrol(&token, host, fresh_id, sign).await {
            Ok(enrolled) => {
                tracing::info!(host = %enrolled.host_id, hostname = ?request.hostname, ?from, again = enrolled.again,
                    "host enrolled");
                Ok(Response::new(EnrolResponse {
                    host_id: enrolled.host_id,
                    certificate_pem: enrolled.certificate.pem,
                    ca_pem: self.ca.pem().to_owned(),
                }))
            }
            Err(EnrolError::Store(StoreError::BadSecret)) => {
                tracing::warn!(hostname = ?request.hostname, ?from, "enrolment refused: token unknown, used or expired");
                Err(bad_token())
            }
            Err(EnrolError::Sign(error @ PkiError::Request(_))) => {
                Err(Status::invalid_argument(error.to_string()))
            }
            Err(error) => {
                tracing::error!(%error, "enrolment failed");
                Err(Status::unavailable("the collector cannot enrol hosts now, see its log"))
            }
        }
    }
}

fn bad_token() -> Status {
    Status::unauthenticated(
        "the enrolment token is unknown, used or expired: make a new one with `gnomon-collector token create`",
    )
}
