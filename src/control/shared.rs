//! What the HTTP side, the ticker and the signals share of a running server.

use super::conservation::Checker;
use super::desk::{Desk, Refused};
use super::http_page::Page;
use super::rates::Rates;
use super::recover::Store;
use super::server::lock;
use super::service::{ServiceStats, service_stats};
use super::settings::Settings;
use super::stats::{IoStats, Sources, Stats};
use crate::capture::CaptureCounters;
use crate::ledger::AnyLedger;
use crate::set::SetState;
use crate::set::book::Order;
use crate::telemetry::latencies::Latencies;
use crate::telemetry::machine::Machine;
use crate::worker::{
    Command, GroupSnapshot, Plan, SetSnapshot, WorkerHandle, WorkerHangs, WorkerLatencies, WorkerSnapshot,
};
use redpkt_proto::keyring::KeyRing;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Why the levels of service were not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError<E> {
    /// It is no change that can be.
    #[error("{0}")]
    Refused(E),
    /// A worker does not listen.
    #[error(transparent)]
    Hangs(WorkerHangs),
}

/// A running server, for whoever asks or orders.
pub struct Shared {
    workers: Vec<WorkerHandle<AnyLedger>>,
    settings: Settings,
    store: Store,
    listen: Vec<SocketAddr>,
    io: IoStats,
    captured: Option<Arc<CaptureCounters>>,
    started: Instant,
    desk: Mutex<Desk>,
    rates: Mutex<Rates>,
    checker: Checker,
    plan: Mutex<Plan>,
    page: Page,
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        store: Store,
        workers: Vec<WorkerHandle<AnyLedger>>,
        desk: Desk,
        listen: Vec<SocketAddr>,
        io: IoStats,
        captured: Option<Arc<CaptureCounters>>,
    ) -> Shared {
        let (desk, started, plan) = (Mutex::new(desk), Instant::now(), settings.service.clone());
        Shared {
            workers,
            settings,
            store,
            listen,
            io,
            captured,
            started,
            desk,
            rates: Mutex::default(),
            plan: Mutex::new(plan),
            checker: Checker::default(),
            page: Page::default(),
        }
    }

    /// The addresses that are listened at, with the ports that were really taken.
    pub fn listen(&self) -> &[SocketAddr] {
        &self.listen
    }

    /// The settings it was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// All figures.
    pub fn stats(&self) -> Stats {
        let workers = self.snapshots();
        let sets: Vec<(u32, SetSnapshot)> = self.workers.iter().flat_map(WorkerHandle::sets).collect();
        Stats::collect(Sources {
            uptime_s: self.started.elapsed().as_secs_f64(),
            rates: *lock(&self.rates),
            orders: self.orders(),
            workers: &workers,
            sets,
            groups: self.groups().collect(),
            is_memory: matches!(self.store, Store::Memory),
            conservation: self.checker.last(),
            layout: self.settings.layout,
            io: self.io.clone(),
            capture: self.captured.as_ref().map(|counters| counters.read()),
            machine: Machine::read(&self.listen),
            service: service_stats(&lock(&self.plan), &workers),
        })
    }

    /// How long requests of all workers take, by what is measured and by op.
    pub fn latencies(&self) -> Latencies {
        let mut each = self.workers.iter().filter_map(WorkerHandle::latencies).map(WorkerLatencies::read);
        let mut all = each.next().unwrap_or_default();
        each.for_each(|other| all.add(&other));
        all
    }

    /// A worker that has panicked.
    pub fn failed_worker(&self) -> Option<usize> {
        self.workers.iter().position(WorkerHandle::has_failed)
    }

    /// A group whose journal has failed.
    pub fn failed_group(&self) -> Option<u32> {
        self.groups().find(|(_, snapshot)| snapshot.has_failed != 0).map(|(group, _)| group)
    }

    /// Groups whose journals have failed, ascending.
    pub fn failed_groups(&self) -> Vec<u32> {
        let failed = self.groups().filter(|(_, snapshot)| snapshot.has_failed != 0);
        let mut failed: Vec<u32> = failed.map(|(group, _)| group).collect();
        failed.sort_unstable();
        failed
    }

    /// What a SET's worker published of it.
    pub fn set(&self, number: u32) -> Option<SetSnapshot> {
        self.workers.iter().flat_map(WorkerHandle::sets).find(|(set, _)| *set == number).map(|(_, set)| set)
    }

    /// SETs that are masked, ascending.
    pub fn masked_sets(&self) -> Vec<u32> {
        let sets = self.workers.iter().flat_map(WorkerHandle::sets);
        let mut masked: Vec<u32> =
            sets.filter(|(_, set)| set.state() == SetState::Masked).map(|(number, _)| number).collect();
        masked.sort_unstable();
        masked
    }

    /// Where a group's journal is kept.
    pub fn journal_of(&self, group: u32) -> String {
        match &self.settings.ledger {
            Some(dir) => dir.join(format!("group-{group}.sqlite")).display().to_string(),
            None => "memory:".to_owned(),
        }
    }

    /// What the workers published of each group.
    pub fn groups(&self) -> impl Iterator<Item = (u32, GroupSnapshot)> {
        self.workers.iter().flat_map(WorkerHandle::groups)
    }

    /// The token that HTTP requests have to show.
    pub fn http_token(&self) -> Option<&str> {
        self.settings.http.as_ref()?.token.as_deref()
    }

    /// As [`give_order`](Self::give_order), for whoever is no async task.
    pub fn give_order_now(&self, order: Order, any_day: bool) -> Result<(bool, usize), Refused> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| Refused::Hangs(error.to_string()))?;
        runtime.block_on(self.give_order(order, any_day))
    }

    /// Changes what is given up at which load, for all workers. What was in force stays where the change is none.
    pub fn change_service<E>(
        &self,
        change: impl FnOnce(&mut Plan) -> Result<(), E>,
    ) -> Result<(), ChangeError<E>> {
        let mut plan = lock(&self.plan);
        let mut changed = plan.clone();
        change(&mut changed).map_err(ChangeError::Refused)?;
        let told = Arc::new(changed.clone());
        for worker in &self.workers {
            worker.command(Command::Service(Arc::clone(&told))).map_err(ChangeError::Hangs)?;
        }
        *plan = changed;
        Ok(())
    }

    /// What is in force.
    pub fn service(&self) -> ServiceStats {
        service_stats(&lock(&self.plan), &self.snapshots())
    }

    /// Has all workers check tickets with these keys.
    pub fn set_keys(&self, keys: &KeyRing) -> Result<(), WorkerHangs> {
        self.workers.iter().try_for_each(|worker| worker.command(Command::Keys(keys.clone())))
    }

    pub(super) fn desk(&self) -> &Mutex<Desk> {
        &self.desk
    }

    pub(super) fn page(&self) -> &Page {
        &self.page
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn workers(&self) -> &[WorkerHandle<AnyLedger>] {
        &self.workers
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Looks whether money is conserved. To be called once a second.
    pub(super) fn check_money(&self, workers: &[WorkerSnapshot]) {
        let mut groups: Vec<_> = self.groups().collect();
        groups.sort_by_key(|(group, _)| *group);
        let miscounted = workers.iter().map(|worker| worker.core.miscounted).sum();
        self.checker.check(&groups, miscounted, self.masked_sets().len() as u64);
    }

    pub(super) fn set_rates(&self, rates: Rates) {
        *lock(&self.rates) = rates;
    }

    pub(super) fn snapshots(&self) -> Vec<WorkerSnapshot> {
        self.workers.iter().map(WorkerHandle::snapshot).collect()
    }
}
