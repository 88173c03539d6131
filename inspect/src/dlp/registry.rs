//! All detectors, and the one search that triggers them.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::{
    aws, card,
    detector::{Detector, Hit, Subject, Trigger},
    email, github, iban, ipv4, jwt, phone, private_key, ssn, vendor,
};

pub(crate) static DETECTORS: &[&Detector] = &[
    &aws::ACCESS_KEY_ID,
    &aws::SECRET_ACCESS_KEY,
    &github::TOKEN,
    &github::FINE_GRAINED,
    &vendor::SLACK_TOKEN,
    &vendor::SLACK_WEBHOOK,
    &vendor::ANTHROPIC_KEY,
    &vendor::OPENAI_KEY,
    &vendor::GOOGLE_KEY,
    &vendor::STRIPE_KEY,
    &private_key::DETECTOR,
    &jwt::DETECTOR,
    &card::DETECTOR,
    &iban::DETECTOR,
    &ssn::DETECTOR,
    &email::DETECTOR,
    &phone::DETECTOR,
    &ipv4::DETECTOR,
];

/// Hits of one detector in one text; more say nothing new and would let a flood use up the memory.
const HITS: usize = 256;

/// The literals of all detectors, and whose each is. A literal of two detectors stands for both.
struct Literals {
    automaton: Option<AhoCorasick>,
    owners: Vec<Vec<usize>>,
}

static LITERALS: LazyLock<Literals> = LazyLock::new(|| {
    let mut literals: Vec<&str> = Vec::new();
    let mut owners: Vec<Vec<usize>> = Vec::new();
    for (index, detector) in DETECTORS.iter().enumerate() {
        let Trigger::Literals(own) = detector.trigger else { continue };
        for literal in own {
            match literals.iter().position(|known| known == literal) {
                Some(at) => owners[at].push(index),
                None => {
                    literals.push(literal);
                    owners.push(vec![index]);
                }
            }
        }
    }
    // Building fails only for sets of patterns far over the automaton's limits; a test covers this set.
    let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(literals).ok();
    Literals { automaton, owners }
});

/// Searches a text. Hits are given in the order of their place and do not overlap.
pub(crate) fn search(bytes: &[u8], name: &str, report: &mut impl FnMut(Hit)) {
    let subject = Subject { bytes, name };
    let mut hits = Hits { hits: Vec::new(), counts: [0; 32] };
    if let Some(automaton) = &LITERALS.automaton {
        for found in automaton.find_iter(bytes) {
            for &index in &LITERALS.owners[found.pattern().as_usize()] {
                hits.check(index, &subject, found.start());
            }
        }
    }
    if let Some(value) = aws::named_secret(&subject) {
        hits.add(&aws::SECRET_ACCESS_KEY, 1, value);
    }
    for at in memchr::memchr_iter(b'@', bytes) {
        hits.trigger(|t| matches!(t, Trigger::At), &subject, at);
    }
    digit_runs(bytes, |at| hits.trigger(|t| matches!(t, Trigger::Digits), &subject, at));
    hits.resolve(report);
}

struct Hits {
    hits: Vec<Hit>,
    counts: [u16; 32],
}

impl Hits {
    fn trigger(&mut self, wanted: impl Fn(&Trigger) -> bool, subject: &Subject<'_>, at: usize) {
        for (index, detector) in DETECTORS.iter().enumerate() {
            if wanted(&detector.trigger) {
                self.check(index, subject, at);
            }
        }
    }

    fn check(&mut self, index: usize, subject: &Subject<'_>, at: usize) {
        if usize::from(self.counts[index]) < HITS
            && let Some(found) = (DETECTORS[index].check)(subject, at)
        {
            self.add(DETECTORS[index], index, found);
        }
    }

    fn add(&mut self, detector: &Detector, index: usize, found: super::detector::Match) {
        self.counts[index] += 1;
        self.hits.push(Hit { detector: detector.id, class: detector.class, found });
    }

    /// Of overlapping hits the surest stays, then the longest.
    fn resolve(mut self, report: &mut impl FnMut(Hit)) {
        if self.hits.len() > 1 {
            self.hits.sort_by(|a, b| {
                let rank = |h: &Hit| (h.found.start, usize::MAX - h.found.end);
                rank(a).cmp(&rank(b))
            });
        }
        let mut kept: Option<Hit> = None;
        for hit in self.hits {
            match &kept {
                Some(last) if hit.found.start < last.found.end => {
                    if hit.found.confidence > last.found.confidence {
                        kept = Some(hit);
                    }
                }
                _ => {
                    if let Some(done) = kept.replace(hit) {
                        report(done);
                    }
                }
            }
        }
        if let Some(done) = kept {
            report(done);
        }
    }
}

/// Calls `visit` with the start of every run of ASCII digits.
fn digit_runs(bytes: &[u8], mut visit: impl FnMut(usize)) {
    /// Text without digits is passed over in blocks, which the compiler turns into vector code.
    const BLOCK: usize = 32;
    let mut inside = false;
    for (block, chunk) in bytes.chunks(BLOCK).enumerate() {
        if !chunk.iter().fold(false, |any, b| any | b.is_ascii_digit()) {
            inside = false;
            continue;
        }
        for (at, byte) in chunk.iter().enumerate() {
            let digit = byte.is_ascii_digit();
            if digit && !inside {
                visit(block * BLOCK + at);
            }
            inside = digit;
        }
    }
}
