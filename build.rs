//! Puts the commit into `--version`.

use std::process::Command;

fn main() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    // Where a worktree keeps them: a path that does not exist would mean a new build each time.
    for watched in ["HEAD", "index", "logs/HEAD"] {
        let path =
            git(&["rev-parse", "--git-path", watched]).filter(|path| std::path::Path::new(path).exists());
        if let Some(path) = path {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    println!("cargo:rerun-if-changed=build.rs");
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "no commit".into());
    println!("cargo:rustc-env=REDPKT_COMMIT={commit}");
}
