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

/// Which detector to ask where. A literal of two detectors stands for both.
struct Plan {
    automaton: Option<AhoCorasick>,
    /// Per literal, indices into [`DETECTORS`].
    owners: Vec<Vec<usize>>,
    at: Vec<usize>,
    digits: Vec<usize>,
}

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let mut plan = Plan { automaton: None, owners: Vec::new(), at: Vec::new(), digits: Vec::new() };
    let mut literals: Vec<&str> = Vec::new();
    for (index, detector) in DETECTORS.iter().enumerate() {
        match detector.trigger {
            Trigger::At => plan.at.push(index),
            Trigger::Digits => plan.digits.push(index),
            Trigger::Literals(own) => {
                for literal in own {
                    match literals.iter().position(|known| known == literal) {
                        Some(known) => plan.owners[known].push(index),
                        None => {
                            literals.push(literal);
                            plan.owners.push(vec![index]);
                        }
                    }
                }
            }
        }
    }
    // Building fails only for sets far over the automaton's limits; every test of a literal covers this set.
    plan.automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(literals).ok();
    plan
});

/// Searches a text. Hits are given in the order of their place and do not overlap.
pub(crate) fn search(bytes: &[u8], name: &str, report: &mut impl FnMut(Hit)) {
    let subject = Subject { bytes, name };
    let plan = &*PLAN;
    let mut hits = Hits { hits: Vec::new(), counts: [0; DETECTORS.len()] };
    if let Some(automaton) = &plan.automaton {
        for found in automaton.find_iter(bytes) {
            hits.check(&plan.owners[found.pattern().as_usize()], &subject, found.start());
        }
    }
    if let Some(value) = aws::named_secret(&subject) {
        hits.hits.push(Hit::new(&aws::SECRET_ACCESS_KEY, value));
    }
    for at in memchr::memchr_iter(b'@', bytes) {
        hits.check(&plan.at, &subject, at);
    }
    digit_runs(bytes, |at| {
        if plausible(bytes, at) {
            hits.check(&plan.digits, &subject, at);
        }
    });
    hits.resolve(report);
}

struct Hits {
    hits: Vec<Hit>,
    counts: [usize; DETECTORS.len()],
}

impl Hits {
    fn check(&mut self, detectors: &[usize], subject: &Subject<'_>, at: usize) {
        for &index in detectors {
            let detector = DETECTORS[index];
            if self.counts[index] < HITS
                && let Some(found) = (detector.check)(subject, at)
            {
                self.counts[index] += 1;
                self.hits.push(Hit::new(detector, found));
            }
        }
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

/// Whether a run of digits can begin anything a detector knows. Most numbers in a text are counts, prices and dates;
/// this keeps them from being looked at five times.
fn plausible(bytes: &[u8], at: usize) -> bool {
    let run = bytes[at..].iter().take(9).take_while(|b| b.is_ascii_digit()).count();
    let before = &bytes[at.saturating_sub(2)..at];
    match (run, bytes.get(at + run).copied()) {
        _ if before.ends_with(b"+") => true,
        // IBAN
        (2.., _) if before.len() == 2 && before.iter().all(u8::is_ascii_alphabetic) => true,
        // IPv4, telephone, social security number
        (1..=3, Some(b'.')) => true,
        (3, Some(b'-' | b' ' | b')')) => true,
        // Card in groups
        (4, Some(b'-' | b' ')) => true,
        (9.., _) => true,
        _ => false,
    }
}

/// Detectors a text triggers by a literal.
#[cfg(test)]
pub(super) fn triggered(bytes: &[u8]) -> Vec<usize> {
    let automaton = PLAN.automaton.as_ref().expect("the set of literals builds");
    automaton.find_iter(bytes).flat_map(|found| PLAN.owners[found.pattern().as_usize()].clone()).collect()
}
