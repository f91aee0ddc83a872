//! `redpkt serve`: the loop of the control thread, from start to stop.

use super::Failure;
use super::keys::read_key_file;
use super::lines::Lines;
use super::serve_options::ServeArgs;
use crate::control::{
    Rates, Server, ServiceError, Settings, Shared, StartError, Stats, http_serve, read_table,
};
use crate::telemetry::{self, LogOptions};
use redpkt_proto::steer::Layout;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;

/// Runs the server until it is told to stop.
pub fn run(args: ServeArgs) -> Result<(), Failure> {
    telemetry::init_log(LogOptions { json: args.log_json });
    let settings = args.settings()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::machine(format!("the control thread: {error}")))?;
    let ended = runtime.block_on(control(settings));
    // A stop that was cut short is not waited for.
    runtime.shutdown_background();
    ended
}

/// The signals that are listened to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn catch() -> Result<Signals, Failure> {
        let caught =
            |kind| signal(kind).map_err(|error| Failure::machine(format!("catching signals: {error}")));
        Ok(Signals {
            terminate: caught(SignalKind::terminate())?,
            interrupt: caught(SignalKind::interrupt())?,
            hangup: caught(SignalKind::hangup())?,
        })
    }

    /// SIGTERM or SIGINT.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn control(settings: Settings) -> Result<(), Failure> {
    let json = settings.json_lines;
    let http = match &settings.http {
        None => None,
        Some(http) => Some(
            tokio::net::TcpListener::bind(http.addr)
                .await
                .map_err(|error| Failure::machine(StartError::Http { addr: http.addr, error }))?,
        ),
    };
    // Signals are caught before the first datagram is, so that none of them ends the process halfway.
    let mut signals = Signals::catch()?;
    let lines = Lines::to_stdout().map_err(|error| Failure::machine(format!("a thread: {error}")))?;
    let starting = tokio::task::spawn_blocking(move || Server::start(settings));
    let mut server = tokio::select! {
        started = starting => match started {
            Ok(Ok(server)) => server,
            Ok(Err(error)) if error.is_usage() => return Err(Failure::usage(error)),
            Ok(Err(error)) => return Err(Failure::machine(error)),
            Err(error) => return Err(Failure::machine(format!("starting: {error}"))),
        },
        // Reading a long ledger takes a while. Nothing has been promised yet.
        () = signals.stop() => return Ok(()),
    };
    let shared = Arc::clone(server.shared());
    announce(&shared, http.as_ref());
    if let Some(listener) = http {
        tokio::spawn(http_serve(listener, Arc::clone(&shared)));
    }
    watch(&mut server, &shared, &mut signals, |rates| {
        lines.print(if json { to_json(&rates) } else { rates.line() });
    })
    .await;
    let stopping = tokio::task::spawn_blocking(move || {
        let (stats, failed) = server.stop();
        lines.finish(totals(&stats, json));
        match failed {
            None => Ok(()),
            Some(worker) => {
                Err(Failure::check(format!("worker {worker} has failed; its last words are above")))
            }
        }
    });
    tokio::select! {
        ended = stopping => ended.unwrap_or_else(|error| Err(Failure::check(format!("stopping: {error}")))),
        () = signals.stop() => {
            Err(Failure::check("a second signal while stopping: ended at once, requests may be unanswered"))
        }
    }
}

/// Tells each second's rates until a signal says to stop.
async fn watch(server: &mut Server, shared: &Shared, signals: &mut Signals, tell: impl Fn(Rates)) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    // After a pause of the whole process one line tells all of it.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.tick().await;
    loop {
        tokio::select! {
            _ = tick.tick() => tell(server.sample()),
            _ = signals.hangup.recv() => {
                reload_keys(shared);
                reload_service(shared);
            }
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
        }
    }
}

fn announce(shared: &Shared, http: Option<&tokio::net::TcpListener>) {
    let settings = shared.settings();
    let Layout { sets, groups, workers } = settings.layout;
    tracing::info!(
        version = crate::version(),
        listen = ?shared.listen(),
        http = ?http.and_then(|listener| listener.local_addr().ok()),
        workers,
        cores = ?settings.worker_cores(),
        groups,
        sets,
        sessions = settings.totals.sessions,
        memory_mib = settings.bytes() >> 20,
        "serving"
    );
}

fn reload_keys(shared: &Shared) {
    match read_key_file(&shared.settings().key_file, "--key") {
        Ok(keys) => match shared.set_keys(&keys) {
            Ok(()) => tracing::info!(ids = ?keys.ids().collect::<Vec<_>>(), "keys read again"),
            Err(error) => tracing::error!(%error, "keys read again, but not taken"),
        },
        Err(failure) => tracing::error!(%failure, "keys stay as they were"),
    }
}

/// Reads the table of levels again, if there is one. What was forced by hand is let go.
fn reload_service(shared: &Shared) {
    let Some(file) = &shared.settings().service_file else { return };
    let changed = shared.change_service(|plan| {
        *plan = read_table(file)?;
        Ok::<_, ServiceError>(())
    });
    match changed {
        Ok(()) => tracing::info!(file = %file.display(), "levels of service read again"),
        Err(error) => tracing::error!(%error, "levels of service stay as they were"),
    }
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn totals(stats: &Stats, json: bool) -> Vec<String> {
    if json {
        return vec![to_json(stats)];
    }
    let drops: Vec<String> = stats
        .drops
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    vec![
        format!(
            "served {:.1} s: {} joins, {} requests answered, {} datagrams in, {} out",
            stats.uptime_s, stats.joins, stats.answers, stats.datagrams_in, stats.datagrams_out
        ),
        format!(
            "shakes: {} missed, {} won; opens: {} took {} fen, {} found nothing; pool: {} packets, {} fen",
            stats.shake.miss,
            stats.shake.win,
            stats.open.ok,
            stats.open.fen,
            stats.open.empty,
            stats.pool_packets,
            stats.pool_fen
        ),
        format!("drops: {}", if drops.is_empty() { "none".to_owned() } else { drops.join(", ") }),
    ]
}
