//! The registry as a whole; the detectors have their cases in `testdata/dlp.toml`.

use super::{detector::Trigger, detectors, registry};

#[test]
fn ids_are_unique() {
    let mut ids: Vec<_> = detectors().map(|(id, _)| id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), registry::DETECTORS.len());
}

#[test]
fn every_literal_reaches_its_detector() {
    for (index, detector) in registry::DETECTORS.iter().enumerate() {
        let Trigger::Literals(literals) = detector.trigger else { continue };
        for literal in literals {
            assert!(registry::triggered(literal.as_bytes()).contains(&index), "{literal} of {}", detector.id);
        }
    }
}
