//! Text patterns in which `*` stands for any characters, `/` included.

/// Longest pattern, in bytes.
const MAX_LEN: usize = 256;

/// A pattern over text. Matching is linear in the text for a given pattern: the pieces between stars are searched one
/// after the other and never again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Glob {
    /// The text around the stars; one piece means there is no star.
    pieces: Vec<String>,
}

impl Glob {
    /// Parses a pattern; the error says what is wrong with it.
    pub(crate) fn new(text: &str) -> Result<Glob, String> {
        if text.is_empty() {
            return Err("an empty pattern matches nothing; leave the field out to match anything".into());
        }
        if text.len() > MAX_LEN {
            return Err(format!("pattern is longer than {MAX_LEN} bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err("pattern contains a control character".into());
        }
        if let Some(c) = text.chars().find(|c| "?[]{}".contains(*c)) {
            return Err(format!("bad pattern: {c:?} is not supported, \"*\" is the only wildcard"));
        }
        if text.contains("**") {
            return Err(
                "bad pattern: \"**\"; one \"*\" already matches any characters, \"/\" included".into()
            );
        }
        Ok(Glob { pieces: text.split('*').map(str::to_owned).collect() })
    }

    /// True if the pattern has no star.
    pub(crate) fn is_literal(&self) -> bool {
        self.pieces.len() == 1
    }

    /// True if the whole text matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let (first, rest) = match self.pieces.split_first() {
            Some((only, [])) => return text == only,
            Some(split) => split,
            None => return false,
        };
        let Some((last, middle)) = rest.split_last() else { return false };
        let Some(mut text) = text.strip_prefix(first.as_str()).and_then(|t| t.strip_suffix(last.as_str()))
        else {
            return false;
        };
        for piece in middle {
            match text.find(piece.as_str()) {
                Some(at) => text = &text[at + piece.len()..],
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn star_matches_any_run_of_characters() {
        let cases = [
            ("tools/call", "tools/call", true),
            ("tools/call", "tools/call2", false),
            ("tools/*", "tools/call", true),
            ("tools/*", "tools/", true),
            ("tools/*", "tool/", false),
            ("*_secret", "read_secret", true),
            ("*_secret", "read_secrets", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "acb", false),
            // The prefix and the suffix may not share a character.
            ("ab*ba", "aba", false),
            ("*", "", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(Glob::new(pattern).unwrap().matches(text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn bad_patterns_are_refused() {
        for bad in ["", "a**b", "write_?", "[ab]", "{a,b}", "a\nb", &"x".repeat(300)] {
            assert!(Glob::new(bad).is_err(), "{bad:?}");
        }
    }
}
