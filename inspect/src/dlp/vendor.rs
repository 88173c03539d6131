//! Keys that are a fixed prefix and a random tail, one row per vendor.

use super::{
    Class,
    detector::{Detector, Match, Subject, Trigger, placeholder, token_byte},
    redact::mask,
};

pub(crate) static SLACK_TOKEN: Detector = Detector {
    id: "slack_token",
    class: Class::Secret,
    trigger: Trigger::Literals(&["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxe-", "xoxe.", "xapp-"]),
    check: |text, at| tail(text, at, 5, 20..=255, 0.9),
};

pub(crate) static SLACK_WEBHOOK: Detector = Detector {
    id: "slack_webhook",
    class: Class::Secret,
    trigger: Trigger::Literals(&["hooks.slack.com/services/T"]),
    check: |text, at| {
        let path = text.run(at + "hooks.slack.com/services/".len(), 100, |b| token_byte(b) || b == b'/');
        let parts: Vec<&[u8]> = path.split(|&b| b == b'/').collect();
        let fits = matches!(parts[..], [t, b, key] if t.len() >= 8 && b.len() >= 8 && key.len() >= 20);
        let end = at + "hooks.slack.com/services/".len() + path.len();
        fits.then(|| Match {
            start: at,
            end,
            confidence: 0.95,
            validated: false,
            redacted: mask(&text.bytes[at..end], "hooksslackcomservices".len(), 0),
        })
    },
};

/// Before OpenAI's, whose `sk-` is a prefix of it.
pub(crate) static ANTHROPIC_KEY: Detector = Detector {
    id: "anthropic_api_key",
    class: Class::Secret,
    trigger: Trigger::Literals(&["sk-ant-"]),
    check: |text, at| tail(text, at, 7, 24..=200, 0.95),
};

/// Keys of today name their kind; older ones are 48 characters around a fixed middle.
pub(crate) static OPENAI_KEY: Detector = Detector {
    id: "openai_api_key",
    class: Class::Secret,
    trigger: Trigger::Literals(&["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-"]),
    check: |text, at| {
        let named = [&b"sk-proj-"[..], b"sk-svcacct-", b"sk-admin-"];
        if let Some(prefix) = named.iter().find(|prefix| text.bytes[at..].starts_with(prefix)) {
            return tail(text, at, prefix.len(), 20..=200, 0.95);
        }
        let key = text.run(at + 3, 200, token_byte);
        let marked = memchr::memmem::find(key, b"T3BlbkFJ").is_some();
        let plain = key.len() == 48 && key.iter().all(u8::is_ascii_alphanumeric);
        if marked || plain { tail(text, at, 3, 40..=200, if marked { 0.95 } else { 0.7 }) } else { None }
    },
};

pub(crate) static GOOGLE_KEY: Detector = Detector {
    id: "google_api_key",
    class: Class::Secret,
    trigger: Trigger::Literals(&["AIza"]),
    check: |text, at| tail(text, at, 4, 35..=35, 0.9),
};

pub(crate) static STRIPE_KEY: Detector = Detector {
    id: "stripe_api_key",
    class: Class::Secret,
    trigger: Trigger::Literals(&["sk_live_", "rk_live_", "sk_test_", "rk_test_"]),
    check: |text, at| {
        let live = text.bytes[at + 3..].starts_with(b"live");
        let key = text.run(at + 8, 250, |b| b.is_ascii_alphanumeric());
        let whole = !text.bytes.get(at + 8 + key.len()).is_some_and(|&b| token_byte(b));
        if whole { tail(text, at, 8, 16..=247, if live { 0.95 } else { 0.8 }) } else { None }
    },
};

/// A prefix of `prefix` bytes and a tail of so many token characters, not part of a longer word.
fn tail(
    text: &Subject<'_>,
    at: usize,
    prefix: usize,
    lengths: std::ops::RangeInclusive<usize>,
    confidence: f64,
) -> Option<Match> {
    if text.before(at).is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return None;
    }
    let key = text.run(at + prefix, lengths.end() + 1, token_byte);
    if !lengths.contains(&key.len()) || placeholder(key) || !key.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let end = at + prefix + key.len();
    let kept = text.bytes[at..at + prefix].iter().filter(|b| b.is_ascii_alphanumeric()).count();
    Some(Match {
        start: at,
        end,
        confidence,
        validated: false,
        redacted: mask(&text.bytes[at..end], kept, 4),
    })
}
