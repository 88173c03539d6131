//! A headless Chromium, driven by the DevTools protocol over two named pipes: the page holds a live stream open, which
//! `--dump-dom` and `--virtual-time-budget` cannot cope with.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;

const FLAGS: &str = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync \
    --disable-background-networking --disable-component-update --hide-scrollbars --remote-debugging-pipe";
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Chromium {
    child: Child,
    commands: File,
    answers: Receiver<Value>,
    session: Option<String>,
    sent: u64,
    _profile: TempDir,
}

impl Chromium {
    /// With one empty page.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let pipe = |name: &str| profile.path().join(name);
        for name in ["in", "out"] {
            assert!(Command::new("mkfifo").arg(pipe(name)).status().unwrap().success());
        }
        let child = Command::new("sh")
            .arg("-c")
            .arg(format!("exec chromium {FLAGS} --user-data-dir=\"$1\" 3<\"$1/in\" 4>\"$1/out\""))
            .arg("sh")
            .arg(profile.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let commands = OpenOptions::new().write(true).open(pipe("in")).unwrap();
        let out = BufReader::new(File::open(pipe("out")).unwrap());
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for message in out.split(0).map_while(Result::ok) {
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
            }
        });
        let mut this = Self { child, commands, answers, session: None, sent: 0, _profile: profile };
        let target = this.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = this.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        this.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        this
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut command = json!({"id": self.sent, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let mut answer = self.answers.recv_timeout(PATIENCE).expect("chromium answers");
            if answer["id"] == self.sent {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    pub fn open(&mut self, address: &str) {
        self.call("Page.navigate", json!({"url": address}));
    }

    /// The value of a JavaScript expression.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let mut answer = self.call(
            "Runtime.evaluate",
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true}),
        );
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Until the expression is true.
    pub fn wait_for(&mut self, expression: &str) {
        let started = Instant::now();
        while self.evaluate(expression) != true {
            let page = self.evaluate("document.documentElement.outerHTML");
            assert!(started.elapsed() < PATIENCE, "never true: {expression}\n{page}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn resize(&mut self, width: u32, height: u32, scheme: &str) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        );
        let feature = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": feature}));
    }

    pub fn screenshot(&mut self, path: &Path) {
        let answer = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let png = base64::engine::general_purpose::STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
        std::fs::write(path, png).unwrap();
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
