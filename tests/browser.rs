//! `report.html` in a real browser, Chromium, driven over its debugging pipe.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Bench, EVERY_PROBE, GOOD, skipped};

/// A page in a browser of its own.
struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Value,
    sent: u64,
    /// Messages that answered nothing: the console's among them.
    events: Vec<Value>,
    /// Removed with it.
    _profile: tempfile::TempDir,
}

impl Browser {
    /// The installed Chromium, if there is one.
    fn find() -> Option<&'static str> {
        ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
            let version =
                Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            version.is_ok_and(|status| status.success())
        })
    }

    /// Opens a file without a network.
    fn open(program: &str, file: &Path) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-component-update \
                     --disable-background-networking --disable-sync --remote-debugging-pipe --window-size=1300,900";
        // the browser reads commands from descriptor 3 and answers on 4
        let script = format!("exec {program} {flags} --user-data-dir=\"$0\" 3<&0 4>&1 </dev/null >/dev/null");
        let mut process = Command::new("sh")
            .args(["-c", &script])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (to, from) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let session = Value::Null;
        let mut browser = Self { process, to, from, session, sent: 0, events: vec![], _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        browser.session = browser.call("Target.attachToTarget", attach)["sessionId"].clone();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        let offline =
            json!({ "offline": true, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        browser.call("Network.emulateNetworkConditions", offline);
        browser.call("Page.navigate", json!({ "url": format!("file://{}", file.display()) }));
        browser.wait_until_loaded();
        browser
    }

    fn wait_until_loaded(&mut self) {
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let message = self.read();
            self.events.push(message);
        }
    }

    fn read(&mut self) -> Value {
        let mut message = vec![];
        self.from.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "the browser ended");
        serde_json::from_slice(&message).unwrap()
    }

    /// Calls a method of the debugging protocol.
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": parameters });
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.to.write_all(&bytes).unwrap();
        loop {
            let answer = self.read();
            if answer["id"] == self.sent {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    /// The value of an expression in the page.
    fn value(&mut self, expression: &str) -> Value {
        let call = json!({ "expression": expression, "returnByValue": true });
        let result = self.call("Runtime.evaluate", call);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    fn mouse(&mut self, kind: &str, [x, y]: [f64; 2], clicks: u32) {
        let button = if kind == "mouseMoved" && clicks == 0 { "none" } else { "left" };
        let held = u32::from(kind != "mouseReleased" && button == "left");
        let call = json!({
            "type": kind, "x": x, "y": y, "button": button, "buttons": held, "clickCount": clicks,
        });
        self.call("Input.dispatchMouseEvent", call);
    }

    fn click(&mut self, at: [f64; 2], clicks: u32) {
        for count in 1..=clicks {
            self.mouse("mousePressed", at, count);
            self.mouse("mouseReleased", at, count);
        }
    }

    /// The middle of an element, scrolled to; moved by shares of its width and height.
    fn place(&mut self, selector: &str, [right, down]: [f64; 2]) -> [f64; 2] {
        let expression = format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{ block: 'center' }}); \
             const b = e.getBoundingClientRect(); \
             return [b.left + b.width * (0.5 + {right}), b.top + b.height * (0.5 + {down})]; }})()"
        );
        serde_json::from_value(self.value(&expression)).unwrap()
    }

    /// What went wrong in the page, as the console has it, and what it asked a network for.
    fn complaints(&self) -> Vec<&Value> {
        let is_bad = |event: &&Value| match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => true,
            "Runtime.consoleAPICalled" => event["params"]["type"] == "error",
            "Log.entryAdded" => event["params"]["entry"]["level"] == "error",
            "Network.requestWillBeSent" => {
                let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
                !url.starts_with("file:") && !url.starts_with("data:")
            }
            _ => false,
        };
        self.events.iter().filter(is_bad).collect()
    }

    /// Lays the page out for a window of this width.
    fn resize(&mut self, width: u32) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        // the figures' texts lie where they belong once the page has been laid out
        self.value("document.body.getBoundingClientRect().height");
    }

    /// Loads the page again.
    fn reload(&mut self) {
        self.events.retain(|event| event["method"] != "Page.loadEventFired");
        self.call("Page.reload", json!({}));
        self.wait_until_loaded();
    }

    /// Texts that reach beyond the window, are cut, or overlap in a figure.
    fn misplaced(&mut self) -> Value {
        self.value(
            "(() => {
                const bad = [];
                const wide = document.documentElement.scrollWidth - window.innerWidth;
                if (wide > 0) bad.push(`the page is ${wide} pixels too wide`);
                document.querySelectorAll('h1, h2, h3, p, figcaption, nav a, button').forEach((one) => {
                    const box = one.getBoundingClientRect();
                    if (box.right > window.innerWidth + 1 || box.left < -1) bad.push(`beyond the window: ${one.textContent}`);
                    if (one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0) bad.push(`cut: ${one.textContent}`);
                });
                document.querySelectorAll('.chart svg').forEach((svg) => {
                    const frame = svg.getBoundingClientRect();
                    const texts = [...svg.querySelectorAll('text')].map((text) => [text.textContent, text.getBoundingClientRect()]);
                    texts.forEach(([text, box], at) => {
                        if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1) bad.push(`cut: ${text}`);
                        for (const [other, place] of texts.slice(at + 1)) {
                            const across = Math.min(box.right, place.right) - Math.max(box.left, place.left);
                            const down = Math.min(box.bottom, place.bottom) - Math.max(box.top, place.top);
                            if (across > 1 && down > 2) bad.push(`${text} over ${other} in ${svg.getAttribute('aria-label')}`);
                        }
                    });
                });
                return bad;
            })()",
        )
    }

    /// Writes a picture of the whole page where `WALK_SCREENSHOTS` says, for people to look at.
    fn screenshot(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("WALK_SCREENSHOTS") else { return };
        let shot = self.call("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
        std::fs::write(Path::new(&folder).join(format!("{name}.png.base64")), shot["data"].as_str().unwrap())
            .unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_page_works_in_a_browser() {
    let Some(program) = Browser::find() else {
        skipped("report.html in a browser; Chromium is not installed (Debian: apt-get install chromium)");
        return;
    };
    let bench = Bench::new(&(GOOD.split("[probe").next().unwrap().to_owned() + EVERY_PROBE));
    bench.run_into("run", &[]);
    let mut page = Browser::open(program, &bench.path("run/report.html"));
    let count = |page: &mut Browser, what: &str| {
        page.value(&format!("document.querySelectorAll({what:?}).length")).as_u64().unwrap()
    };

    // it renders
    let figures = count(&mut page, "figure");
    assert!(figures >= 8, "{figures} figures");
    assert_eq!(count(&mut page, "figure .chart svg"), figures);
    assert_eq!(count(&mut page, "figure:not(.still)"), figures);
    assert_eq!(page.value("document.title"), "exp");
    assert!(count(&mut page, "#Tables ~ .table tbody tr") > 8);
    let text = page.value("document.body.innerText");
    for expected in ["Barriers / updates", "validation accuracy", "optim.lr", "SHA-256", "metrics.jsonl"] {
        assert!(text.as_str().unwrap().contains(expected), "{expected}");
    }
    page.screenshot("light");

    // a hover shows values
    let tip = "document.querySelector('#figure-0 .tip').hidden ? '' : document.querySelector('#figure-0 .tip').textContent";
    assert_eq!(page.value(tip), "");
    let middle = page.place("#figure-0 .chart svg", [0.1, 0.0]);
    page.mouse("mouseMoved", middle, 0);
    let shown = page.value(tip);
    assert!(shown.as_str().unwrap().contains("training loss: "), "{shown}");

    // a click takes a series away, another brings it back
    let lines = count(&mut page, "#figure-0 polyline.series");
    for (all_shown, pressed) in [(false, "false"), (true, "true")] {
        let at = page.place("#figure-0 .legend button", [0.0, 0.0]);
        page.click(at, 1);
        assert_eq!(count(&mut page, "#figure-0 polyline.series") == lines, all_shown);
        let button = "document.querySelector('#figure-0 .legend button').getAttribute('aria-pressed')";
        assert_eq!(page.value(button), pressed);
    }

    // dragging zooms, a double click shows all again
    let ticks =
        "[...document.querySelectorAll('#figure-0 .chart text')].map((text) => text.textContent).join()";
    let all = page.value(ticks);
    let from = page.place("#figure-0 .chart svg", [-0.2, -0.2]);
    let to = page.place("#figure-0 .chart svg", [0.1, 0.2]);
    page.mouse("mousePressed", from, 1);
    page.mouse("mouseMoved", to, 1);
    page.mouse("mouseReleased", to, 1);
    assert_ne!(page.value(ticks), all);
    page.click(from, 2);
    assert_eq!(page.value(ticks), all);

    // light and dark
    let back = "getComputedStyle(document.body).backgroundColor";
    let light = page.value(back);
    let button = page.place("#theme", [0.0, 0.0]);
    page.click(button, 1);
    assert_ne!(page.value(back), light);
    page.screenshot("dark");

    // no text is cut or overlaps, light or dark, on wide and on narrow screens
    for dark in ["light", "dark"] {
        page.value(&format!("document.documentElement.dataset.theme = {dark:?}"));
        for width in [1280, 390] {
            page.resize(width);
            assert_eq!(page.misplaced(), json!([]), "{dark}, {width} pixels");
            page.screenshot(&format!("{dark}-{width}"));
        }
    }
    page.resize(1300);

    // terms are explained on hover
    let term = "document.querySelector('.term').title.length > 20";
    assert_eq!(page.value(term), true);

    // on paper stand the still pictures
    page.call("Emulation.setEmulatedMedia", json!({ "media": "print" }));
    let still = "getComputedStyle(document.querySelector('#figure-0 img')).display";
    assert_eq!(page.value(still), "block");
    assert!(page.value("document.querySelector('#figure-0 img').naturalWidth").as_u64().unwrap() > 0);
    page.screenshot("print");
    assert!(page.complaints().is_empty(), "{:#?}", page.complaints());
}

#[test]
fn a_page_of_several_settings_has_buttons_that_hide_them() {
    let Some(program) = Browser::find() else {
        skipped(
            "the page of a sweep in a browser; Chromium is not installed (Debian: apt-get install chromium)",
        );
        return;
    };
    let bench = Bench::new(&(GOOD.to_owned() + "[probe.cosine]\n[probe.distance]\n"));
    let rates: Vec<String> = (1..=10).map(|rate| format!("{}", 0.01 * f64::from(rate))).collect();
    let sweep = format!("optim.lr={}", rates.join(","));
    let ran = bench.run(&["exp.toml", "--sweep", &sweep, "--seeds", "2", "--out", "sweep", "--quiet"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut page = Browser::open(program, &bench.path("sweep/report/report.html"));
    let rows = "[...document.querySelectorAll('.results tbody tr')].filter((row) => !row.hidden).length";
    let lines = "document.querySelectorAll('polyline.series').length";
    let (all_rows, all_lines) = (page.value(rows), page.value(lines));
    let button = page.place("#filters button", [0.0, 0.0]);
    page.click(button, 1);
    assert!(page.value(rows).as_u64() < all_rows.as_u64() && page.value(lines).as_u64() < all_lines.as_u64());
    page.click(button, 1);
    assert_eq!((page.value(rows), page.value(lines)), (all_rows, all_lines));
    for width in [1280, 390] {
        page.resize(width);
        assert_eq!(page.misplaced(), json!([]), "{width} pixels");
        page.screenshot(&format!("sweep-{width}"));
    }
    assert!(page.complaints().is_empty(), "{:#?}", page.complaints());
}

#[test]
fn the_page_of_a_run_grows_with_it_and_says_when_the_run_is_gone() {
    let Some(program) = Browser::find() else {
        skipped("a growing page in a browser; Chromium is not installed (Debian: apt-get install chromium)");
        return;
    };
    let text =
        GOOD.split("[probe").next().unwrap().replace("epochs = 2", "epochs = 1000000") + "[probe.distance]\n";
    let bench = Bench::new(&text);
    let mut run = Command::new(env!("CARGO_BIN_EXE_sgdwalk"))
        .args(["exp.toml", "--out", "run", "--quiet"])
        .current_dir(bench.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let file = bench.path("run/report.html");
    while !file.exists() {
        assert!(run.try_wait().unwrap().is_none(), "the run ended early");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let mut page = Browser::open(program, &file);
    let live = "document.getElementById('live').textContent";
    assert!(page.value(live).as_str().unwrap().starts_with("The run is still in progress"));
    let last = "Math.max(...figures.flatMap((figure) => figure.chart.series.flatMap((one) => one.points.map((point) => point[0]))))";
    let before = page.value(last).as_f64().unwrap();

    // a report of the run as it is now
    assert_eq!(bench.run(&["report", "run"]).code, 0);
    page.reload();
    assert!(page.value(last).as_f64().unwrap() > before);

    // killed: nobody writes the page any more, which it notices
    run.kill().unwrap();
    run.wait().unwrap();
    let html = std::fs::read_to_string(&file).unwrap();
    let (start, rest) = html.split_once("data-written=\"").unwrap();
    let (written, rest) = rest.split_once('"').unwrap();
    let earlier = written.parse::<u64>().unwrap() - 600;
    std::fs::write(&file, format!("{start}data-written=\"{earlier}\"{rest}")).unwrap();
    page.reload();
    assert!(
        page.value(live).as_str().unwrap().contains("the run may have been killed"),
        "{}",
        page.value(live)
    );
    assert!(page.complaints().is_empty(), "{:#?}", page.complaints());
}
