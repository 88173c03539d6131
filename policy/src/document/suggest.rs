//! The nearest valid name.

/// Longest text compared; edit distance is quadratic.
const MAX_LEN: usize = 64;

/// The candidate nearest to `given`, if it is near enough to be what was meant: one edit, or a third of the text.
pub(super) fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    if given.is_empty() || given.len() > MAX_LEN {
        return None;
    }
    let given = given.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= MAX_LEN)
        .map(|candidate| (strsim::osa_distance(&given, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1.max(candidate.chars().count().max(given.len()) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_names_only() {
        let cases = [
            ("tools/cal", Some("tools/call")),
            ("Tools/Call", Some("tools/call")),
            ("tool/list", Some("tools/list")),
            ("eth_call", None),
            ("", None),
        ];
        for (given, expected) in cases {
            assert_eq!(nearest(given, ["tools/list", "tools/call", "ping"]).as_deref(), expected, "{given}");
        }
    }
}
