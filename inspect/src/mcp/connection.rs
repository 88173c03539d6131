//! What is known about a connection from the messages before.

use std::{collections::VecDeque, sync::Arc};

use super::{HttpContext, Origin, fields::Target};
use crate::{Direction, message::Id};

/// Paths remembered as carrying MCP, per connection.
const PATHS: usize = 8;

/// State of one connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) revision: Option<String>,
    /// Announced by the `endpoint` event of the legacy transport.
    pub(crate) session: Option<String>,
    pub(crate) client_name: Option<String>,
    pub(crate) server_name: Option<String>,
    /// Any sign of MCP so far.
    pub(crate) mcp: bool,
    /// A complete message was seen, of whatever kind.
    pub(crate) complete: bool,
    /// MCP was recognised on these lines (not HTTP).
    lines: bool,
    /// Another protocol introduced itself on these lines.
    pub(crate) foreign: bool,
    /// Host and path of HTTP requests recognised as MCP.
    paths: Vec<(Option<String>, Option<String>)>,
    pending: VecDeque<Pending>,
    pending_limit: usize,
}

/// A request waiting for its response.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Which way the request went.
    direction: Direction,
    id: Id,
    exchange: Option<u64>,
    pub(crate) method: String,
    pub(crate) target: Target,
    pub(crate) revision: Option<String>,
    pub(crate) http: Option<Arc<HttpContext>>,
}

impl Pending {
    pub(crate) fn new(
        origin: &Origin<'_>,
        id: Id,
        method: String,
        target: Target,
        revision: Option<String>,
    ) -> Self {
        Self {
            direction: origin.direction,
            id,
            exchange: origin.exchange,
            method,
            target,
            revision,
            http: origin.http.cloned(),
        }
    }

    fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        size_of::<Self>()
            + self.id.as_json().len()
            + self.method.len()
            + text(&self.target.name) * 2
            + self
                .http
                .as_ref()
                .map_or(0, |http| size_of::<HttpContext>() + text(&http.path) + text(&http.host))
    }
}

impl Connection {
    pub(crate) fn new(pending_limit: usize) -> Self {
        Self {
            revision: None,
            session: None,
            client_name: None,
            server_name: None,
            mcp: false,
            complete: false,
            lines: false,
            foreign: false,
            paths: Vec::new(),
            pending: VecDeque::new(),
            pending_limit,
        }
    }

    /// Whether MCP was recognised before where this document was found.
    pub(crate) fn established(&self, origin: &Origin<'_>) -> bool {
        match origin.http {
            Some(http) => self.paths.iter().any(|(host, path)| *host == http.host && *path == http.path),
            None => self.lines,
        }
    }

    /// Remembers that MCP was recognised here.
    pub(crate) fn establish(&mut self, http: Option<&HttpContext>) {
        self.mcp = true;
        let Some(http) = http else {
            self.lines = true;
            return;
        };
        let place = (http.host.clone(), http.path.clone());
        if !self.paths.contains(&place) {
            if self.paths.len() == PATHS {
                self.paths.remove(0);
            }
            self.paths.push(place);
        }
    }

    pub(crate) fn remember(&mut self, pending: Pending) {
        if self.pending_limit == 0 {
            return;
        }
        if self.pending.len() >= self.pending_limit {
            self.pending.pop_front();
        }
        self.pending.push_back(pending);
    }

    /// The request that a response answers: of the same HTTP exchange if there is one, else the latest of that id.
    pub(crate) fn answer(&mut self, origin: &Origin<'_>, id: &Id) -> Option<Pending> {
        let asked = origin.direction.opposite();
        let fits = |p: &Pending| p.direction == asked && p.id == *id;
        // The response to a POST that was not MCP answers that POST, and nothing that waits elsewhere.
        let post = origin.http.is_some_and(|http| http.http_method.as_deref() == Some("POST"));
        let elsewhere = !post || origin.exchange_mcp;
        let same_exchange = |p: &Pending| p.exchange == origin.exchange && fits(p);
        let at = self.pending.iter().rposition(same_exchange).or_else(|| {
            let position = self.pending.iter().rposition(fits);
            position.filter(|_| elsewhere)
        })?;
        self.pending.remove(at)
    }

    pub(crate) fn buffered(&self) -> usize {
        self.pending.iter().map(Pending::bytes).sum()
    }
}
