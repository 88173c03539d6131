use super::*;

fn error(text: &str) -> String {
    Config::parse(Path::new("a.toml"), text).unwrap_err().to_string()
}

#[test]
fn every_setting_is_read() {
    let config = Config::parse(
        Path::new("a.toml"),
        r#"
        [policy]
        file = "/etc/gnomon/policy.yaml"
        [output]
        jsonl = "/var/log/gnomon/events.jsonl"
        jsonl_max_bytes = 1_000_000
        [spool]
        dir = "/srv/gnomon"
        max_bytes = 65536
        [collector]
        address = "[::1]:7443"
        server_name = "collector.example.com"
        token_file = "/etc/gnomon/token"
        heartbeat_secs = 3
        [capture]
        ring_bytes = 0x100000
        [control]
        socket = "/tmp/a.sock"
        [log]
        format = "json"
        level = "gnomon_agent=debug,info"
        "#,
    )
    .unwrap();
    assert_eq!(config.policy.file.unwrap(), Path::new("/etc/gnomon/policy.yaml"));
    assert_eq!(config.output.jsonl.unwrap(), Path::new("/var/log/gnomon/events.jsonl"));
    assert_eq!((config.output.jsonl_max_bytes, config.spool.max_bytes), (1_000_000, 65536));
    let collector = config.collector.unwrap();
    assert_eq!((collector.address.as_str(), collector.heartbeat_secs), ("[::1]:7443", 3));
    assert_eq!(collector.server_name.as_deref(), Some("collector.example.com"));
    assert!(matches!(collector.token, Some(Token::File(path)) if path == Path::new("/etc/gnomon/token")));
    assert_eq!(config.capture.ring_bytes, 1 << 20);
    assert_eq!(
        (config.log.format, config.log.level.as_deref()),
        (LogFormat::Json, Some("gnomon_agent=debug,info"))
    );
}

#[test]
fn wrong_settings_are_named_with_their_place() {
    for (text, want) in [
        (
            "[spool]\nmax_byte = 1",
            "a.toml:2:1: unknown field `max_byte`, expected `dir` or `max_bytes`; did you mean `max_bytes`?",
        ),
        ("[colector]\naddress = \"a:1\"", "a.toml:1:2: unknown field `colector`, expected one of `policy`"),
        ("[colector]", "did you mean `collector`?"),
        (
            "\n[log]\n  format = \"jsn\"",
            "a.toml:3:12: unknown variant `jsn`, expected `text` or `json`; did you mean `json`?",
        ),
        ("[log]\nlevel = \"a=b=c\"", "a.toml:2:9: expected error, warn, info"),
        ("[spool]\nmax_bytes = \"big\"", "a.toml:2:13: invalid type: string \"big\", expected u64"),
        ("[spool]\nmax_bytes = 100", "a.toml:2:13: expected a number of bytes, at least 65536"),
        ("[capture]\nring_bytes = 100000", "a.toml:2:14: expected a power of two between 65536 (64 KiB)"),
        ("[capture]\nring_bytes = 4294967296", "a.toml:2:14: expected a power of two"),
        ("[collector]\naddress = \"example.com\"", "a.toml:2:11: expected HOST:PORT"),
        ("[collector]\naddress = \"::1:7443\"", "a.toml:2:11: expected HOST:PORT"),
        ("[collector]\naddress = \"a b:7443\"", "a.toml:2:11: expected HOST:PORT"),
        ("[collector]\naddress = \"a:0\"", "a.toml:2:11: expected HOST:PORT"),
        (
            "[collector]\naddress = \"a:1\"\nheartbeat_secs = 0",
            "a.toml:3:18: expected seconds between 1 and 3600",
        ),
        ("[collector]\naddress = \"a:1\"\nserver_name = \"a b\"", "a.toml:3:15: expected a DNS name"),
        (
            "[collector]\naddress = \"a:1\"\ntokn = \"t\"",
            "a.toml:3:1: unknown field `tokn`, expected one of `address`, `server_name`, `token`",
        ),
        ("x = 1\n", "a.toml:1:1: unknown field `x`"),
        ("[collector]\ntoken = \"t\"", "a.toml:1:1: missing field `address`"),
        (
            "[collector]\naddress = \"a:1\"\ntoken = \"t\"\ntoken_file = \"f\"",
            "a.toml:1:1: expected `token` or `token_file`, not both",
        ),
        ("[spool\n", "a.toml:1:7: "),
        ("# é\nö = [", "a.toml:2:6: unclosed array"),
        ("[log]\nformat = 'text'\nformat = 'json'", "a.toml:3:1: duplicate key"),
    ] {
        let got = error(text);
        assert!(got.contains(want), "{text:?}\n got: {got}\nwant: {want}");
        assert!(got.starts_with("a.toml:") && !got.contains('\n'), "{got}");
    }
}

#[test]
fn a_missing_file_matters_only_when_it_is_named() {
    let missing = Path::new("/nonexistent/agent.toml");
    let error = Config::load(Some(missing)).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/agent.toml: No such file"), "{error}");
    let error = Config::load(Some(Path::new("/"))).unwrap_err().to_string();
    assert!(error.starts_with("/: Is a directory"), "{error}");
    assert_eq!(Config::default().capture.ring_bytes, 8 << 20);
    assert_eq!(Config::parse(missing, "").unwrap().spool.dir, Path::new("/var/lib/gnomon"));
}

#[test]
fn a_token_stays_out_of_logs() {
    let config =
        Config::parse(Path::new("a"), "[collector]\naddress = \"a:1\"\ntoken = \"gn1.secret.00\"").unwrap();
    assert!(!format!("{config:?}").contains("secret"));
    let error = error("[collector]\naddress = \"a:1\"\ntoken = [\"gn1.secret.00\"]");
    assert!(!error.contains("secret"), "{error}");
}
