//! What happens to the content of one body.

use std::sync::Arc;

use super::head::{Content, Length};
use crate::{
    Direction, Item, Loss, Transport,
    documents::{Documents, Outcome},
    mcp::{HttpContext, Origin, ResponseContext},
    message_buf::{Complete, MessageBuf},
    sse::{Event, Sse},
    text::Text,
};

/// One body on its way.
#[derive(Debug)]
pub(crate) struct Body {
    sink: Sink,
    pub(crate) source: Source,
    /// The raw head; searched once, with the first MCP message of the body.
    head: Vec<u8>,
    /// Something was recognised as MCP.
    pub(crate) mcp: bool,
    /// The beginning was reported, findings included.
    shown: bool,
}

/// Where a body belongs.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) direction: Direction,
    pub(crate) http: Arc<HttpContext>,
    pub(crate) response: Option<ResponseContext>,
    pub(crate) exchange: Option<u64>,
    pub(crate) exchange_mcp: bool,
    pub(crate) legacy_stream: bool,
}

#[derive(Debug)]
enum Sink {
    Json(MessageBuf),
    Events(Sse),
    Text(Text),
    /// Not declared as JSON by a client that may not have meant it; the first byte that is not blank decides. The
    /// text is what it is otherwise; `None`: not read.
    Undecided(Option<Text>),
    /// Not read: media. Not counted as lost, because nothing in it could be a message.
    Skip,
    /// Not readable: encoded. Bytes so far.
    Encoded(u64),
}

impl Source {
    pub(crate) fn origin(&self) -> Origin<'_> {
        Origin {
            direction: self.direction,
            transport: Transport::Http,
            http: Some(&self.http),
            response: self.response.as_ref(),
            exchange: self.exchange,
            exchange_mcp: self.exchange_mcp,
            legacy_stream: self.legacy_stream,
        }
    }

    /// Whether it is a response, or a request with the one method that carries messages.
    fn posted(&self) -> bool {
        self.direction == Direction::Response || self.http.http_method.as_deref() == Some("POST")
    }

    /// Whether the first byte decides about a body of this type: a form cannot begin with a bracket, and curl calls
    /// JSON a form unless told otherwise.
    fn may_be_json(&self, content: Content) -> bool {
        let request = self.direction == Direction::Request && self.posted();
        request && matches!(content, Content::Form | Content::Octets)
    }

    /// Whether MCP may be in this body at all. Clients send messages with POST only, and declare JSON. A body that
    /// is declared as something else (an upload) counts only where everything around it says MCP.
    fn may_be_mcp(&self, content: Content, documents: &Documents) -> bool {
        if !self.posted() {
            return false;
        }
        match content {
            Content::Json | Content::Unnamed | Content::EventStream => true,
            Content::Text | Content::Form | Content::Octets | Content::Binary => {
                self.http.certain()
                    || self.http.accept_both
                    || self.exchange_mcp
                    || documents.connection.established(&self.origin())
            }
        }
    }
}

impl Sink {
    fn text(text: Option<Text>) -> Self {
        text.map_or(Self::Skip, Self::Text)
    }
}

impl Body {
    pub(crate) fn new(
        source: Source,
        head: Vec<u8>,
        length: Length,
        encoded: bool,
        content: Content,
        documents: &Documents,
    ) -> Self {
        let cap = documents.limits.message_bytes;
        let sink = if length == Length::Exactly(0) {
            Sink::Skip
        } else if encoded {
            Sink::Encoded(0)
        } else if source.may_be_mcp(content, documents) {
            match content {
                Content::EventStream => Sink::Events(Sse::new(cap)),
                _ => Sink::Json(MessageBuf::new(cap)),
            }
        } else {
            let text = documents.limits.search_other && !matches!(content, Content::Binary | Content::Octets);
            let text = text.then(|| Text::new(documents.limits.findings));
            if source.may_be_json(content) { Sink::Undecided(text) } else { Sink::text(text) }
        };
        let mcp = source.exchange_mcp;
        Self { sink, source, head, mcp, shown: false }
    }

    pub(crate) fn buffered(&self) -> usize {
        let sink = match &self.sink {
            Sink::Json(buf) => buf.buffered(),
            Sink::Events(sse) => sse.buffered(),
            Sink::Text(text) | Sink::Undecided(Some(text)) => text.buffered(),
            Sink::Undecided(None) | Sink::Skip | Sink::Encoded(_) => 0,
        };
        sink + self.head.capacity()
    }

    /// Takes content. `last`: nothing follows, so a body that came whole need not be copied.
    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        last: bool,
        documents: &mut Documents,
        out: &mut Vec<Item>,
    ) {
        if let Sink::Undecided(text) = &mut self.sink {
            let blank = bytes.iter().take_while(|b| b.is_ascii_whitespace()).count();
            if let Some(text) = text {
                text.push(&bytes[..blank], out);
            }
            bytes = &bytes[blank..];
            match bytes.first() {
                None => {}
                Some(b'{' | b'[') => self.sink = Sink::Json(MessageBuf::new(documents.limits.message_bytes)),
                Some(_) => self.sink = Sink::text(text.take()),
            }
        }
        match &mut self.sink {
            Sink::Skip | Sink::Undecided(_) => {}
            Sink::Encoded(total) => *total += bytes.len() as u64,
            Sink::Text(text) => text.push(bytes, out),
            Sink::Json(_) if last => {}
            Sink::Json(buf) => {
                if let Some(beginning) = buf.push(bytes) {
                    let outcome = documents.inspect(&self.source.origin(), beginning, &self.head, true, out);
                    self.mcp |= outcome == Outcome::Mcp;
                    buf.release();
                }
            }
            Sink::Events(sse) => {
                let mut visit = Visit { source: &mut self.source, head: &mut self.head, mcp: &mut self.mcp };
                sse.push(bytes, &mut |event| visit.event(event, documents, out));
            }
        }
        if last {
            self.end(bytes, documents, out);
        }
    }

    /// The body has ended; `tail` is content of a JSON body not pushed before.
    fn end(&mut self, tail: &[u8], documents: &mut Documents, out: &mut Vec<Item>) {
        let origin = self.source.origin();
        let direction = origin.direction;
        match &mut self.sink {
            Sink::Skip | Sink::Undecided(_) => {}
            Sink::Encoded(total) => {
                self.mcp |= documents.inspect_headers(&origin, &self.head, *total, out);
                documents.lost(direction, Loss::Encoded, *total, out);
            }
            Sink::Text(text) => text.finish(out),
            Sink::Json(buf) => match buf.complete(tail) {
                Complete::Whole(document) => {
                    let outcome = documents.inspect(&origin, document, &self.head, false, out);
                    self.mcp |= outcome == Outcome::Mcp;
                }
                Complete::Over { bytes, beginning } => {
                    if !beginning.is_empty() {
                        let outcome = documents.inspect(&origin, beginning, &self.head, true, out);
                        self.mcp |= outcome == Outcome::Mcp;
                    }
                    if !self.mcp {
                        self.mcp =
                            documents.inspect_headers(&origin, &self.head, buf_total(bytes, documents), out);
                    }
                    documents.lost(direction, Loss::Message, bytes, out);
                }
            },
            Sink::Events(sse) => {
                let mut visit = Visit { source: &mut self.source, head: &mut self.head, mcp: &mut self.mcp };
                sse.finish(&mut |event| visit.event(event, documents, out));
            }
        }
        documents.other();
        self.sink = Sink::Skip;
    }

    /// Reports what has come of a message that will not be completed.
    pub(crate) fn beginning(&mut self, documents: &mut Documents, out: &mut Vec<Item>) {
        if let Sink::Json(buf) = &self.sink {
            let origin = self.source.origin();
            let outcome = documents.inspect(&origin, buf.held(), &self.head, true, out);
            self.shown = true;
            if outcome != Outcome::Mcp && !self.mcp {
                documents.inspect_headers(&origin, &self.head, buf.total(), out);
            }
        }
    }

    /// The stream ends here. Returns the bytes of a message cut by it.
    pub(crate) fn cut(&mut self, documents: &mut Documents, out: &mut Vec<Item>) -> u64 {
        match &mut self.sink {
            Sink::Json(buf) => {
                if !self.shown {
                    documents.search_cut(buf.held(), out);
                }
                buf.total()
            }
            Sink::Encoded(total) => *total,
            Sink::Skip | Sink::Undecided(_) => 0,
            Sink::Text(_) | Sink::Events(_) => {
                self.end(b"", documents, out);
                0
            }
        }
    }

    /// Content was lost in the middle. Returns the bytes dropped besides.
    pub(crate) fn gap(&mut self, missing: u64, out: &mut Vec<Item>) -> u64 {
        match &mut self.sink {
            Sink::Json(buf) => {
                let dropped = buf.total();
                self.sink = Sink::Skip;
                dropped
            }
            Sink::Events(sse) => sse.gap(),
            Sink::Text(text) => {
                text.gap(missing, out);
                0
            }
            Sink::Undecided(text) => {
                if let Some(text) = text {
                    text.gap(missing, out);
                }
                // The byte that decides may be among the lost ones.
                self.sink = Sink::text(text.take());
                0
            }
            Sink::Skip => 0,
            Sink::Encoded(total) => std::mem::take(total),
        }
    }
}

fn buf_total(over: u64, documents: &Documents) -> u64 {
    over + documents.limits.message_bytes as u64
}

/// What the events of a stream need.
struct Visit<'a> {
    source: &'a mut Source,
    head: &'a mut Vec<u8>,
    mcp: &'a mut bool,
}

impl Visit<'_> {
    fn event(&mut self, event: Event<'_>, documents: &mut Documents, out: &mut Vec<Item>) {
        let origin = self.source.origin();
        let outcome = match event {
            Event::Endpoint(uri) => {
                if is_endpoint(uri) {
                    let mut announced = HttpContext::default();
                    announced.target(&String::from_utf8_lossy(uri));
                    documents.connection.session = announced.session;
                    documents.connection.establish(Some(&self.source.http));
                    self.source.legacy_stream = true;
                    *self.mcp = true;
                }
                return;
            }
            Event::Data(data) if data.trim_ascii().is_empty() => return,
            Event::Data(data) => documents.inspect(&origin, data, self.head, false, out),
            Event::Cut(data, over) => {
                let outcome = documents.inspect(&origin, data, self.head, true, out);
                documents.lost(origin.direction, Loss::Message, over, out);
                outcome
            }
        };
        if outcome == Outcome::Mcp {
            *self.mcp = true;
            *self.head = Vec::new();
        }
    }
}

/// The legacy endpoint event carries a URI reference, not JSON.
fn is_endpoint(uri: &[u8]) -> bool {
    uri.starts_with(b"/") || uri.starts_with(b"http://") || uri.starts_with(b"https://")
}
