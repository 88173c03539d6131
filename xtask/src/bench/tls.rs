//! wrk to nginx over TLS, 1 KiB POST, both on this host: the agent's probes are in every request's way.
use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use gnomon_tests::{agent::Agent, pki::Pki, policy, process::Process, server::free_port};

use super::{
    Setting,
    row::{Budget, Row, median},
};
use crate::{interrupt, shell::output};

/// For this first release: write-side probes at sites that the kernel emulates.
const LEAST_RATIO: f64 = 0.60;
const BODY_BYTES: usize = 1024;
const WARM_UP: Duration = Duration::from_secs(1);

pub(super) fn measure(setting: &Setting<'_>) -> Result<Vec<Row>> {
    let nginx = Nginx::start(setting.dir)?;
    let script = setting.dir.join("post.lua");
    fs::write(&script, format!("wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", {BODY_BYTES})\n"))?;
    let (mut off, mut on) = (Vec::new(), Vec::new());
    for round in 0..setting.rounds {
        interrupt::check()?;
        off.push(requests_per_second(&nginx.url, &script, setting.round)?);
        // A folder of its own: each round's agent starts with an empty spool.
        let dir = setting.dir.join(format!("agent-{round}"));
        let mut agent = Agent::start(&dir, &policy::only(1, &[]), None)?;
        on.push(requests_per_second(&nginx.url, &script, setting.round)?);
        agent.stop()?;
    }
    let ratios: Vec<f64> = off.iter().zip(&on).map(|(off, on)| on / off).collect();
    Ok(vec![Row {
        what: "TLS at saturation, wrk to nginx, agent on".to_owned(),
        unit: "requests/s",
        value: median(&on),
        baseline: Some(median(&off)),
        against: "requests/s, agent off".to_owned(),
        // Of neighbours in time, then the median: a machine that slows down hits both.
        ratio: Some(median(&ratios)),
        budget: Some(Budget::RatioAtLeast(LEAST_RATIO)),
        rounds: ratios,
    }])
}

struct Nginx {
    url: String,
    _process: Process,
}

impl Nginx {
    fn start(dir: &Path) -> Result<Self> {
        let pki = Pki::create(dir)?;
        let port = free_port()?;
        let config: PathBuf = dir.join("nginx.conf");
        let text = format!(
            "daemon off;\nuser root;\nworker_processes 1;\npid {dir}/nginx.pid;\nerror_log stderr;\n\
             events {{ worker_connections 64; }}\n\
             http {{\n  access_log off;\n  keepalive_requests 100000000;\n  client_body_temp_path {dir}/body;\n  \
             proxy_temp_path {dir}/proxy;\n  fastcgi_temp_path {dir}/fastcgi;\n  uwsgi_temp_path {dir}/uwsgi;\n  scgi_temp_path {dir}/scgi;\n  \
             server {{\n    listen 127.0.0.1:{port} ssl;\n    ssl_certificate {cert};\n    ssl_certificate_key {key};\n    \
             location / {{ return 200 ok; }}\n  }}\n}}\n",
            dir = dir.display(),
            cert = pki.cert.display(),
            key = pki.key.display(),
        );
        fs::write(&config, text)?;
        let mut process =
            Process::start("nginx", Command::new("nginx").arg("-c").arg(&config).arg("-p").arg(dir), dir)?;
        process
            .ready(Duration::from_secs(20), |_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())?;
        Ok(Self { url: format!("https://localhost:{port}/"), _process: process })
    }
}

fn requests_per_second(url: &str, script: &Path, length: Duration) -> Result<f64> {
    let wrk = |length: Duration| {
        output(
            Command::new("wrk")
                .args(["-t1", "-c8", &format!("-d{}s", length.as_secs()), "-s"])
                .arg(script)
                .arg(url),
        )
    };
    wrk(WARM_UP)?;
    let report = wrk(length)?;
    // A server that answers errors, or nobody, is fast.
    if report.contains("Non-2xx") || report.contains("Socket errors") {
        bail!("wrk saw errors:\n{report}");
    }
    parse(&report).with_context(|| format!("wrk printed no rate:\n{report}"))
}

fn parse(report: &str) -> Option<f64> {
    report.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn rate_is_read_from_wrk() {
        let report =
            "  400 requests in 1.00s, 1MB read\nRequests/sec:  33421.70\nTransfer/sec:      5.02MB\n";
        assert!(parse(report).is_some_and(|rate| (rate - 33421.70).abs() < 0.001));
        assert_eq!(parse("nothing"), None);
    }
}
