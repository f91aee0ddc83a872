//! A lab joins two sides by a wire, disturbs nobody, and leaves nothing behind however it ends.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use redpkt_bench::child::{ChildCommand, ChildOptions, ServerChild};
use redpkt_bench::lab::{Lab, Side};
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_redpkt-bench");

/// Whether there can be no lab here; then the reason is said.
fn is_skipped() -> bool {
    Lab::why_not().inspect(|why| eprintln!("skipped: {why}")).is_some()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}: not within 30 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The network namespace of the calling thread, such as `net:[4026531840]`.
fn namespace() -> String {
    std::fs::read_link("/proc/thread-self/ns/net").unwrap().to_string_lossy().into_owned()
}

/// Whether any process has a thread in this namespace.
fn is_inhabited(namespace: &str) -> bool {
    let entries =
        |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let processes = entries(Path::new("/proc"));
    let mut tasks = processes.flat_map(|process| entries(&process.join("task")).collect::<Vec<_>>());
    tasks
        .any(|task| std::fs::read_link(task.join("ns/net")).is_ok_and(|it| it.to_string_lossy() == namespace))
}

/// The interfaces of the namespace that these tests are run in.
fn interfaces() -> String {
    let output = Command::new("ip").args(["-brief", "link"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn lab(args: &[&str]) -> Output {
    Command::new(PROGRAM).arg("lab").args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Sends a word from one side to the other, over IPv4 and IPv6.
fn talk(lab: &Lab, word: &str) {
    for (server, client) in [
        (Some(lab.address(Side::Server)), Some(lab.address(Side::Client))),
        (lab.address_v6(Side::Server), lab.address_v6(Side::Client)),
    ] {
        let (Some(server), Some(client)) = (server, client) else { continue };
        // The same port in every lab: they do not know each other.
        let server = lab.inside(Side::Server, || UdpSocket::bind((server, 7_100))).unwrap().unwrap();
        let client = lab.inside(Side::Client, || UdpSocket::bind((client, 0))).unwrap().unwrap();
        server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.send_to(word.as_bytes(), server.local_addr().unwrap()).unwrap();
        let mut bytes = [0; 64];
        let (len, from) = server.recv_from(&mut bytes).unwrap();
        assert_eq!((&bytes[..len], from), (word.as_bytes(), client.local_addr().unwrap()));
    }
}

/// Expect: labs with every number of queues stand side by side, each with its own wire under the same names; the
/// calling thread stays where it was, also after a panic, and interfaces of the machine stay as they were.
#[test]
fn labs_side_by_side_do_not_disturb_each_other() {
    if is_skipped() {
        return;
    }
    let (home, before) = (namespace(), interfaces());
    let labs: Vec<Lab> = (1..=8).map(|queues| Lab::new(queues).unwrap()).collect();
    std::thread::scope(|scope| {
        for lab in &labs {
            scope.spawn(move || (0..20).for_each(|at| talk(lab, &format!("{} {at}", lab.queues()))));
        }
    });
    for lab in &labs {
        for (side, interface) in [(Side::Server, "redpkt-s"), (Side::Client, "redpkt-c")] {
            assert_eq!(lab.interface(side), interface);
            let show = || Command::new("ip").args(["-d", "link", "show", interface]).output().unwrap();
            let shown = text(&lab.inside(side, show).unwrap().stdout);
            let queues = format!("numtxqueues {0} numrxqueues {0}", lab.queues());
            assert!(shown.contains(&queues) && shown.contains("LOWER_UP"), "{shown}");
        }
    }
    let panicking = std::panic::AssertUnwindSafe(|| labs[0].inside(Side::Client, || panic!("on purpose")));
    assert!(std::panic::catch_unwind(panicking).is_err());
    assert_eq!((namespace(), interfaces()), (home, before));
    assert!(Lab::new(0).is_err() && Lab::new(9).is_err());
}

/// Expect: nobody is in a dropped lab's namespaces, and a thread that entered a side is in it alone.
#[test]
fn a_dropped_lab_leaves_nobody_behind() {
    if is_skipped() {
        return;
    }
    let lab = Lab::new(1).unwrap();
    let home = namespace();
    let sides = [Side::Server, Side::Client].map(|side| lab.inside(side, namespace).unwrap());
    assert!(sides[0] != sides[1] && !sides.contains(&home));
    let entered = std::thread::scope(|scope| {
        scope.spawn(|| lab.enter(Side::Server).map(|()| namespace())).join().unwrap().unwrap()
    });
    assert_eq!((&entered, &namespace()), (&sides[0], &home));
    drop(lab);
    wait_until("both sides to be empty", || !sides.iter().any(|side| is_inhabited(side)));
}

/// Expect: a server in a lab takes datagrams at the lab's address, tells its figures, and comes back after a
/// crash; the echo answers there too.
#[test]
fn children_serve_in_a_lab() {
    if is_skipped() {
        return;
    }
    let lab = Arc::new(Lab::new(1).unwrap());
    let start = |command, arguments: &[&str]| {
        let arguments = arguments.iter().map(Into::into).collect();
        let options = ChildOptions { program: PROGRAM.into(), command, arguments };
        ServerChild::start_in(&lab, options).unwrap()
    };
    let options = ["--workers=1", "--cores=none", "--sessions=1000", "--io=mmsg"];
    let mut server = start(ChildCommand::Serve, &options);
    assert_eq!(server.listen().ip(), lab.address(Side::Server));
    for _ in 0..2 {
        assert_eq!(server.stats().unwrap()["sessions"], 0);
        let socket = lab.inside(Side::Client, || UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
        socket.send_to(b"no frame", server.listen()).unwrap();
        wait_until("the drop", || server.stats().unwrap()["drops"]["length"] == 1);
        server.restart().unwrap();
    }
    let output = server.terminate().unwrap();
    assert!(output.contains("drops: none"), "{output}");
    let echo = start(ChildCommand::Echo, &[]);
    assert_eq!(echo.listen().ip(), lab.address(Side::Server));
}

/// Expect: both commands know both ends; the server's is asked to end when the other has; the
/// exit code is the command's.
#[test]
fn the_command_runs_on_both_sides() {
    if is_skipped() {
        return;
    }
    let server = "trap 'echo asked to end; exit' TERM; sleep 1000 & wait";
    let ask = "ip -brief address show $REDPKT_LAB_CLIENT_IF; echo $REDPKT_LAB_SERVER_IF $REDPKT_LAB_SERVER_IP $REDPKT_LAB_CLIENT_IP; sleep 0.3; exit 7";
    let output = lab(&["--queues=2", "--server-command", server, "--", "sh", "-c", ask]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!((output.status.code(), stderr.as_str()), (Some(7), ""), "{stdout}");
    for part in ["10.77.0.2/24", "redpkt-s 10.77.0.1 10.77.0.2", "asked to end"] {
        assert!(stdout.contains(part), "no {part:?} in {stdout}");
    }
    let on_server = lab(&["--side=server", "--", "ip", "-brief", "address", "show", "redpkt-s"]);
    assert!(text(&on_server.stdout).contains("10.77.0.1/24"), "{on_server:?}");
    let killed = lab(&["--server-command", "exit 5", "--", "sh", "-c", "sleep 0.3; kill -9 $$"]);
    assert_eq!(killed.status.code(), Some(128 + 9));
    assert!(
        text(&killed.stderr).contains("--server-command ended before COMMAND, with exit code 5"),
        "{killed:?}"
    );
}

/// Expect: what cannot be is refused with the option and exit code 2.
#[test]
fn wrong_options_are_named() {
    if is_skipped() {
        return;
    }
    for (args, part) in [
        (&["--queues=0", "--", "true"][..], "--queues"),
        (&["--queues=9", "--", "true"], "1..=8"),
        (&["--side=left", "--", "true"], "--side"),
        (&[], "COMMAND"),
        (&["--", "/no/such/program"], "/no/such/program"),
    ] {
        let output = lab(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(text(&output.stderr).contains(part), "{args:?}: {output:?}");
    }
}

/// Expect: without the capabilities exit code 3, and one line that names them.
#[test]
fn without_privileges_one_line_says_what_is_needed() {
    let mut command = Command::new(PROGRAM);
    if Lab::why_not().is_none() {
        command = Command::new("setpriv");
        // The file may be readable by its owner alone, so the user stays and the capabilities go.
        command.args(["--bounding-set", "-all", PROGRAM]);
    }
    let output = match command.args(["lab", "--", "true"]).output() {
        Ok(output) => output,
        Err(error) => return eprintln!("skipped: setpriv: {error}"),
    };
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let stderr = text(&output.stderr);
    assert_eq!((stderr.lines().count(), output.stdout.len()), (1, 0), "{stderr}");
    assert!(stderr.starts_with("redpkt-bench: ") && stderr.contains("CAP_NET_ADMIN"), "{stderr}");
}

/// A lab whose commands start others that nobody waits for, deaf to SIGTERM, and the namespaces of both sides.
fn full_lab() -> (Child, Vec<String>) {
    let inhabit = "trap '' TERM INT HUP; setsid sleep 1000 & readlink /proc/self/ns/net; sleep 1000";
    let mut child = Command::new(PROGRAM)
        .args(["lab", "--server-command", inhabit, "--", "sh", "-c", inhabit])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines.take(2).map(Result::unwrap).collect())
}

/// Expect: a lab that is interrupted, asked to end or killed outright leaves no process, no namespace and no
/// interface.
#[test]
fn a_lab_leaves_nothing_however_it_ends() {
    if is_skipped() {
        return;
    }
    let before = interfaces();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let (mut child, sides) = full_lab();
        assert!(sides.len() == 2 && sides[0] != sides[1] && sides.iter().all(|side| is_inhabited(side)));
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        let code = child.wait().unwrap().code();
        assert_eq!(code, (signal != Signal::SIGKILL).then_some(128 + signal as i32));
        wait_until("both sides to be empty", || !sides.iter().any(|side| is_inhabited(side)));
    }
    assert_eq!(interfaces(), before);
}

/// Expect: a process that holds a lab with a server in it, here this test's own program, takes it along when it is
/// killed outright.
#[test]
fn a_killed_process_takes_its_lab_and_children_along() {
    if is_skipped() {
        return;
    }
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holds_a_lab_until_it_is_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let told =
        lines.by_ref().map(Result::unwrap).find_map(|line| Some(line.split_once("holds ")?.1.to_owned()));
    let told = told.expect("it tells what it holds");
    let (server, sides) = told.split_once(' ').unwrap();
    let sides: Vec<&str> = sides.split(' ').collect();
    assert!(is_inhabited(sides[0]));
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_until("the server to end", || !Path::new(&format!("/proc/{server}")).exists());
    wait_until("both sides to be empty", || !sides.iter().any(|side| is_inhabited(side)));
}

#[test]
#[ignore = "started by a_killed_process_takes_its_lab_and_children_along"]
fn holds_a_lab_until_it_is_killed() {
    let lab = Arc::new(Lab::new(1).unwrap());
    let echo = ChildOptions { program: PROGRAM.into(), command: ChildCommand::Echo, arguments: Vec::new() };
    let child = ServerChild::start_in(&lab, echo).unwrap();
    let [server, client] = [Side::Server, Side::Client].map(|side| lab.inside(side, namespace).unwrap());
    println!("\nholds {} {server} {client}", child.id());
    std::thread::sleep(Duration::from_secs(60));
}

/// Expect: ports, too, are each lab's own.
#[test]
fn a_port_is_free_in_every_lab() {
    if is_skipped() {
        return;
    }
    let labs = [Lab::new(1).unwrap(), Lab::new(1).unwrap()];
    let addr = SocketAddr::new(labs[0].address(Side::Server), 7_100);
    let sockets = labs.each_ref().map(|lab| lab.inside(Side::Server, || UdpSocket::bind(addr)).unwrap());
    assert!(sockets.iter().all(Result::is_ok));
}
