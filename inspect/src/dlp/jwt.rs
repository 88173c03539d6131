//! JSON Web Tokens (RFC 7519), signed: three parts of base64url.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    Class,
    detector::{Detector, Match, Subject, Trigger, token_byte},
};
use crate::json::Value;

/// `eyJ` is `{"` in base64.
pub(crate) static DETECTOR: Detector =
    Detector { id: "jwt", class: Class::Secret, trigger: Trigger::Literals(&["eyJ"]), check };

const LONGEST: usize = 16 << 10;

fn check(text: &Subject<'_>, at: usize) -> Option<Match> {
    let belongs = |b: u8| token_byte(b) || b == b'.';
    if text.before(at).is_some_and(belongs) {
        return None;
    }
    let token = text.run(at, LONGEST, belongs);
    let mut parts = token.splitn(4, |&b| b == b'.');
    let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let algorithm = object(header)?;
    let algorithm = Value(&algorithm).get("alg")?.string()?;
    object(claims)?;
    // A sentence may end right after the token.
    let length = header.len() + claims.len() + signature.len() + 2;
    if signature.is_empty() && !algorithm.eq_ignore_ascii_case("none") {
        return None;
    }
    Some(Match {
        start: at,
        end: at + length,
        confidence: 0.95,
        validated: true,
        redacted: "eyJ***.***.***".to_owned(),
    })
}

/// The JSON object a part is.
fn object(part: &[u8]) -> Option<Vec<u8>> {
    let text = URL_SAFE_NO_PAD.decode(part).ok()?;
    let mut members = Value(&text).members();
    (members.by_ref().all(|member| member.is_ok()) && members.at_end() && Value(&text).is_object())
        .then_some(text)
}
