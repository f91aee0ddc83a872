//! What people look at: the live page in a browser, `watch` and `report` over a real server.

use super::common::*;
use std::path::Path;
use std::process::{Command, Stdio};

/// Set where a browser must be there: then a machine without one fails the test.
const DEMAND: &str = "REDPKT_TEST_BROWSER";

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// The first browser that starts; `None`, and a word on stderr, if there is none and none is demanded.
fn browser() -> Option<&'static str> {
    let starts = |name: &&&str| {
        let asked = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    let found = BROWSERS.iter().find(starts).copied();
    if found.is_none() {
        assert!(std::env::var_os(DEMAND).is_none(), "{DEMAND} is set, and none of {BROWSERS:?} starts");
        eprintln!("not tested: none of {BROWSERS:?} starts here; {DEMAND}=1 makes that an error");
    }
    found
}

/// The page as it is after some seconds of its script.
fn shown(browser: &str, url: &str, profile: &Path) -> String {
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .expect("the browser starts");
    String::from_utf8(output.stdout).expect("a page in UTF-8")
}

/// Expect: figures, plots and the SETs in the page, and no message of an error.
#[test]
fn the_live_page_shows_figures_in_a_browser() {
    let Some(browser) = browser() else { return };
    let keys = Keys::new();
    let server = Server::start(&keys, &["--mint", "100"]);
    // The page needs two samples, a second apart.
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    let profile = tempfile::tempdir().unwrap();
    let page = shown(browser, &format!("http://{}/", server.http()), profile.path());
    for part in
        ["QPS: requests answered a second", "made by orders", "<polyline", "Sessions by SET", "conserved"]
    {
        assert!(page.contains(part), "no {part:?} in {page}");
    }
    assert!(page.contains("id=\"note\" class=\"warn\" hidden=\"\">"), "{page}");
    assert!(!page.contains("Waiting for the first figures"), "{page}");
}

/// Expect: without the token the page asks for it and tells nothing.
#[test]
fn the_live_page_asks_for_its_token_in_a_browser() {
    let Some(browser) = browser() else { return };
    let keys = Keys::new();
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "correct horse battery staple").unwrap();
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let server = Server::start(&keys, &["--http-token", token.to_str().unwrap()]);
    let profile = tempfile::tempdir().unwrap();
    let page = shown(browser, &format!("http://{}/", server.http()), profile.path());
    assert!(page.contains("This server asks for its token."), "{page}");
    assert!(!page.contains("id=\"ask\" hidden=\"\"") && !page.contains("QPS"), "{page}");
}

/// Expect: lines under a header, totals and a run's directory, of which a report is made; the second recording into it
/// is refused.
#[test]
fn a_run_is_watched_recorded_and_reported() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let url = format!("http://{}", server.http());
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let run = run.to_str().unwrap();
    let watch = ["watch", "--http", &url, "--run-dir", run, "--duration", "3s"];
    let (code, stdout, stderr) = run_to_end(&watch);
    assert_eq!(code, 0, "{stderr}");
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(lines[0].contains("QPS") && lines[0].contains("lost nic/soft/sock/us"), "{stdout}");
    assert!(lines.len() >= 5 && stdout.contains("watched 3 s"), "{stdout}");
    let (code, stdout, stderr) = run_to_end(&["report", run]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("report.html"), "{stdout}");
    assert!(std::fs::read_to_string(format!("{run}/report.html")).unwrap().contains("Seen from all sides"));
    let (code, _, stderr) = run_to_end(&watch);
    assert!(code == 2 && stderr.contains("has a run already"), "{stderr}");
    let (code, stdout, _) = run_to_end(&["watch", "--http", &url, "--json", "--duration", "2s"]);
    let values: Vec<serde_json::Value> =
        stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        code == 0
            && values[0]["per_s"]["answers"].is_number()
            && values.last().unwrap()["totals"].is_object()
    );
}

/// Expect: each mistake is told in one line with the contract's exit code.
#[test]
fn what_cannot_be_watched_is_said() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let url = format!("http://{}", server.http());
    for (args, code, words) in [
        (&["watch", "--http", "http://127.0.0.1:9"][..], 3, "Connection refused"),
        (&["watch", "--http", "127.0.0.1:7101"], 2, "expected a URL"),
        (&["watch", "--http", &url, "--iface", "no-such"], 2, "there are lo"),
        (&["report", "/no/such"], 2, "No such file"),
        (&["report", "/"], 2, "no run's directory"),
    ] {
        let (found, _, stderr) = run_to_end(args);
        assert!(
            found == code && stderr.contains(words) && stderr.lines().count() == 1,
            "{args:?}: {found} {stderr}"
        );
    }
}
