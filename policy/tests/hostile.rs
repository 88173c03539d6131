//! No document makes the parser panic, and every report points into the document.
#![forbid(unsafe_code)]

use gnomon_policy::parse;
use proptest::prelude::*;

const VALID: &str = r#"schema: gnomon.policy/v1
revision: 7
servers:
  - id: everything
    hosts: ["127.0.0.1:3001", "*.example.com"]
defaults:
  unsanctioned: { action: deny, mode: enforce }
rules:
  - id: no-secrets-out
    match:
      server: [everything]
      method: ["tools/call", "tools/*"]
      user: [alice, 0]
    action: deny
    mode: observe
"#;

fn check(source: &str) -> Result<(), TestCaseError> {
    let Err(errors) = parse(source) else { return Ok(()) };
    prop_assert!(!errors.diagnostics().is_empty());
    // YAML also ends lines at a lone CR. The end of the document is a place too, on the line after the last.
    let lines = source.replace("\r\n", "\n").replace('\r', "\n").split('\n').count();
    for diagnostic in &errors {
        prop_assert!((1..=lines + 1).contains(&diagnostic.line), "{diagnostic} of {lines}");
        prop_assert!(diagnostic.column >= 1);
    }
    Ok(())
}

fn token() -> impl Strategy<Value = String> {
    let words = vec![
        "schema: gnomon.policy/v1\n",
        "revision: 1\n",
        "rules",
        "servers",
        "defaults",
        "id",
        "hosts",
        "match",
        "action",
        ": ",
        ":",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "\t",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "'",
        "\"",
        "&a ",
        "*a",
        "!!str ",
        "|\n",
        ">-\n",
        "? ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "#",
        "<<",
        "deny",
        "unsanctioned",
        "~",
        "\u{feff}",
        "\r",
        "é",
        "\u{2028}",
        "\\x",
        "0x1f",
    ];
    prop_oneof![10 => prop::sample::select(words).prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text(source in any::<String>()) {
        check(&source)?;
    }

    #[test]
    fn arbitrary_tokens(tokens in prop::collection::vec(token(), 0..60)) {
        check(&tokens.concat())?;
    }

    #[test]
    fn mutated_documents(edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..8, token()), 1..6)) {
        let mut chars: Vec<char> = VALID.chars().collect();
        for (at, removed, inserted) in edits {
            let from = at.index(chars.len() + 1);
            let to = (from + removed).min(chars.len());
            chars.splice(from..to, inserted.chars());
        }
        check(&chars.into_iter().collect::<String>())?;
    }
}
