//! The JSON-RPC 2.0 envelope.

use std::borrow::Cow;

use crate::{
    Kind,
    json::{Error, Value},
    message::Id,
};

/// Members of one JSON-RPC object; of duplicates, the last.
#[derive(Debug)]
pub(crate) struct Rpc<'a> {
    /// The object's bytes.
    pub(crate) raw: &'a [u8],
    pub(crate) kind: Kind,
    pub(crate) id: Option<Id>,
    pub(crate) method: Option<Cow<'a, str>>,
    pub(crate) params: Option<Value<'a>>,
    pub(crate) result: Option<Value<'a>>,
    pub(crate) error: Option<Value<'a>>,
    pub(crate) duplicate_keys: bool,
}

/// What a JSON text turned out to be.
#[derive(Debug)]
pub(crate) enum Parsed<'a> {
    Rpc(Rpc<'a>),
    /// An object, but no JSON-RPC message.
    Other,
    Broken(Error),
}

impl<'a> Rpc<'a> {
    /// Reads one object. With `partial`, the object may be cut anywhere: members that began count, and the version
    /// marker, which many clients write last, is not asked for.
    pub(crate) fn parse(raw: &'a [u8], partial: bool) -> Parsed<'a> {
        let mut seen = Seen::default();
        let mut members = Value(raw).members();
        if partial {
            members = members.partial();
        }
        for member in members.by_ref() {
            match member {
                Ok((key, value)) => {
                    seen.add(&key.bytes(), value);
                }
                Err(Error::End) if partial => break,
                Err(error) => return Parsed::Broken(error),
            }
        }
        if !partial && !members.at_end() {
            return Parsed::Broken(Error::Syntax);
        }
        seen.into_rpc(raw, partial).map_or(Parsed::Other, Parsed::Rpc)
    }
}

#[derive(Default)]
struct Seen<'a> {
    jsonrpc: Option<Value<'a>>,
    id: Option<Value<'a>>,
    method: Option<Value<'a>>,
    params: Option<Value<'a>>,
    result: Option<Value<'a>>,
    error: Option<Value<'a>>,
    duplicate: bool,
}

impl<'a> Seen<'a> {
    fn add(&mut self, key: &[u8], value: Value<'a>) {
        let slot = match key {
            b"jsonrpc" => &mut self.jsonrpc,
            b"id" => &mut self.id,
            b"method" => &mut self.method,
            b"params" => &mut self.params,
            b"result" => &mut self.result,
            b"error" => &mut self.error,
            _ => return,
        };
        self.duplicate |= slot.replace(value).is_some();
    }

    fn into_rpc(self, raw: &'a [u8], partial: bool) -> Option<Rpc<'a>> {
        let versioned = self.jsonrpc.and_then(Value::text).is_some_and(|text| text.is("2.0"));
        if !versioned && !partial {
            return None;
        }
        let method = self.method.and_then(Value::text).map(super::json::Text::to_str);
        let id = self.id.map(|value| Id::new(value.0));
        let kind = match (&method, &id) {
            (Some(_), Some(_)) => Kind::Request,
            // A request cut before its id would pass for a notification.
            (Some(name), None) if partial && !name.starts_with("notifications/") => Kind::Request,
            (Some(_), None) => Kind::Notification,
            (None, _) if self.result.is_some() || self.error.is_some() => Kind::Response,
            (None, _) => return None,
        };
        Some(Rpc {
            raw,
            kind,
            id,
            method,
            params: self.params,
            result: self.result,
            error: self.error,
            duplicate_keys: self.duplicate,
        })
    }
}

impl Id {
    /// Canonical JSON text of an id: whole numbers without fraction or exponent, strings without needless escapes.
    fn new(raw: &[u8]) -> Self {
        let value = Value(raw);
        if let Some(text) = value.text() {
            let text = crate::mcp::clip(text.to_str().into_owned());
            return Self(serde_json::Value::String(text).to_string());
        }
        let token = String::from_utf8_lossy(raw.trim_ascii());
        if value.is_number()
            && let Ok(number) = token.parse::<f64>()
            && number.fract() == 0.0
            && number.abs() < 9_007_199_254_740_992.0
        {
            return Self(format!("{number:.0}"));
        }
        Self(crate::mcp::clip(token.into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Rpc<'_>> {
        match Rpc::parse(text.as_bytes(), false) {
            Parsed::Rpc(rpc) => Some(rpc),
            _ => None,
        }
    }

    #[test]
    fn keys_in_any_order_with_escapes_last_wins() {
        let rpc =
            parse(r#"{"m\u0065thod":"ping","id":1.0,"method":"tools\/list","json\u0072pc":"2.0"}"#).unwrap();
        assert_eq!(rpc.method.as_deref(), Some("tools/list"));
        assert!(rpc.duplicate_keys);
        assert_eq!(rpc.id.unwrap().as_json(), "1");
        assert_eq!(rpc.kind, Kind::Request);
    }

    #[test]
    fn refuses_what_is_no_message() {
        for text in [
            r#"{"method":"initialize"}"#,
            r#"{"jsonrpc":"1.0","method":"x"}"#,
            r#"{"jsonrpc":"2.0"}"#,
            r#"{"jsonrpc":"2.0","method":7}"#,
            r#"{"jsonrpc":"2.0","method":"x"} trailing"#,
            r#"{"jsonrpc":"2.0","method":"x""#,
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn ids_keep_their_digits() {
        for (id, json) in [
            ("123456789012345678901234", "123456789012345678901234"),
            ("9007199254740993", "9007199254740993"),
            ("1.50", "1.50"),
            ("-7", "-7"),
            ("1e400", "1e400"),
            ("1.0", "1"),
            ("1e0", "1"),
            (r#""\u0061\/\n""#, r#""a/\n""#),
            ("[1,\n2]", "[1,2]"),
            ("0x1", r#""0x1""#),
        ] {
            let text = format!(r#"{{"jsonrpc":"2.0","method":"x","id":{id}}}"#);
            let id = parse(&text).unwrap().id.unwrap();
            assert_eq!(serde_json::to_string(&id).unwrap(), json);
        }
    }

    #[test]
    fn reads_the_beginning_of_a_cut_message() {
        let text = br#"{"method":"tools/call","params":{"name":"echo","arguments":{"a":"lon"#;
        let Parsed::Rpc(rpc) = Rpc::parse(text, true) else { panic!() };
        assert_eq!(rpc.kind, Kind::Request);
        assert_eq!(rpc.params.unwrap().get("name").and_then(Value::string).as_deref(), Some("echo"));
    }
}
