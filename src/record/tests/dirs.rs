//! Run directories: what is written comes back, and what is wrong with one is said in a line.

use super::*;
use serde_json::json;
use std::fs;
use std::path::Path;

fn sample(second: u64) -> Sample {
    let mut sample = at(second, vec![of_server("http://a:1", server(60.0 + second as f64, 100 * second))]);
    sample.sources[0].latencies = latencies("service/shake", &vec![2_000; 7 + 10 * second as usize]);
    sample
}

fn recorded(dir: &Path, seconds: u64) {
    let mut recorder = Recorder::create(dir, json!({"users": 5})).unwrap();
    (0..=seconds).for_each(|second| drop(recorder.push(&sample(second)).unwrap()));
    recorder.finish(json!({"ok": true})).unwrap();
}

/// Expect: the same seconds and sums read back as were seen while recording; histograms without what was before the
/// run.
#[test]
fn a_run_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("deep/run");
    let mut recorder = Recorder::create(&dir, json!({"users": 5})).unwrap();
    let seen: Vec<Second> = (0..4).filter_map(|second| recorder.push(&sample(second)).unwrap()).collect();
    recorder.finish(json!({"ok": true})).unwrap();
    let found = read(&dir).unwrap();
    assert_eq!((found.seconds, found.missing), (seen, None));
    assert_eq!(found.series.totals()[Count::Answers], 300.0);
    assert_eq!(found.series.latencies().of_kind("service").len(), 30);
    assert_eq!((&found.run.settings["users"], &found.run.verdict["ok"]), (&json!(5), &json!(true)));
    assert_eq!(found.run.sources, ["http://a:1"]);
    // The same values once more, for HdrHistogram's viewers.
    let log = fs::read_to_string(dir.join("latencies.hlog")).unwrap();
    let lines = log.split_inclusive('\n');
    let intervals: Vec<_> =
        lines.filter_map(|line| crate::hdr::log::interval(line.as_bytes()).unwrap()).collect();
    let values: u64 = intervals.iter().map(|interval| interval.decode().unwrap().len()).sum();
    assert!(intervals.iter().all(|interval| interval.tag == Some("service/shake")));
    assert_eq!((intervals.len(), values), (3, 30));
    let again = Recorder::create(&dir, json!({})).unwrap_err();
    assert!(again.to_string().contains("has a run already"), "{again}");
}

/// Expect: wherever the last line is cut off, the whole lines are read and the end is said to be missing.
#[test]
fn a_line_that_is_cut_off_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    recorded(dir.path(), 3);
    let file = dir.path().join("samples.jsonl");
    let whole = fs::read(&file).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for end in [last + 1, last + 40, whole.len() - 1] {
        fs::write(&file, &whole[..end]).unwrap();
        let found = read(dir.path()).unwrap();
        assert_eq!(found.seconds.len(), 2, "{end}");
        assert!(found.missing.unwrap().contains("cut off"));
    }
    fs::write(&file, [&whole[..last], b"{junk}\n", &whole[last..]].concat()).unwrap();
    let found = read(dir.path()).unwrap();
    assert_eq!(found.seconds.len(), 2);
    assert!(found.missing.unwrap().contains("line 4 of samples.jsonl is damaged"));
}

#[test]
fn what_is_no_run_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let said = |dir: &Path| {
        let error = read(dir).unwrap_err();
        assert!(!error.is_machine() && error.to_string().lines().count() == 1, "{error}");
        error.to_string()
    };
    assert!(said(&dir.path().join("none")).contains("No such file"));
    assert!(said(dir.path()).contains("no run's directory"));
    let run = dir.path().join("run.json");
    fs::write(&run, "{").unwrap();
    assert!(said(dir.path()).contains("damaged"));
    fs::write(&run, r#"{"format": 7, "version": "9.0"}"#).unwrap();
    assert!(said(dir.path()).contains("format 7, recorded by redpkt 9.0"));
    fs::remove_file(&run).unwrap();
    drop(Recorder::create(dir.path(), json!({})).unwrap());
    assert!(said(dir.path()).contains("0 samples"));
    assert!(said(&run).contains("Not a directory"));
}
