//! What can only be said when all groups are read: of money between them, of requests and orders, of tallies.

use super::clearing::{self, OnItsWay};
use super::group::Group;
use super::orders::Orders;
use super::packets::{Packet, Part};
use super::report::Report;
use super::requests::{self, Request, Told};
use super::rule::{Difference, Differences, Rule};
use super::tally::{Decided, Tallies, TallySums};
use std::num::NonZero;

/// Compares the groups of a ledger, all of them and in order, with each other and with what clients were told.
/// `rows_now` gives how many rows a group's journal has by now: the snapshots that were read are not of one
/// instant.
pub fn judge(mut groups: Vec<Group>, tallies: Option<&Tallies>, rows_now: impl Fn(u32) -> u64) -> Report {
    groups.iter_mut().for_each(Group::check_sum);
    let mut differences = Differences::default();
    groups.iter_mut().for_each(|group| differences.append(std::mem::take(&mut group.differences)));
    let mut way = OnItsWay::default();
    for from in &groups {
        let owing = groups.iter().filter(|to| {
            let (here, there) = (to.place.group as usize, from.place.group as usize);
            !from.owed[here].is_empty() || !to.come[there].is_empty()
        });
        // Every group owes to every other, so its journal is asked for its end once.
        let mut owing = owing.peekable();
        let rows = if owing.peek().is_some() { rows_now(from.place.group) } else { from.rows };
        owing.for_each(|to| clearing::compare(from, to, rows, &mut way, &mut differences));
    }
    let told_later = check_told(&groups, &rows_now, &mut differences);
    let orders = groups.iter().map(|group| (group.place.group, &group.orders));
    Orders::check(orders, &mut differences);
    check_paid(&groups, &mut differences);
    let sums = check_requests(&mut groups, tallies, &mut differences);
    Report::new(&groups, &differences, way, told_later, sums)
}

/// What was told of packets of other groups. How many tell of rows that were written after the snapshot.
fn check_told(groups: &[Group], rows_now: &impl Fn(u32) -> u64, differences: &mut Differences) -> u64 {
    let mut later = 0;
    // Whether a group has gone on meanwhile: 0 where it was not asked for.
    let mut now = vec![0; groups.len()];
    for group in groups {
        for told in &group.told {
            let Some(of) = group.place.group_of_packet(told.packet).map(|of| of as usize) else { continue };
            let Err((rule, said, found)) = check_one(&groups[of], told) else { continue };
            if now[of] == 0 {
                now[of] = rows_now(of as u32);
            }
            if now[of] > groups[of].rows {
                later += 1;
                continue;
            }
            differences.push(Difference {
                rule,
                group: Some(group.place.group),
                row: Some(told.row),
                packet: Some(told.packet),
                user: Some(told.user),
                said,
                found,
            });
        }
    }
    later
}

fn check_one(of: &Group, told: &Told) -> Result<(), super::entry::Broken> {
    match of.packets.find(told.packet) {
        Some(at) => told.check(of.packets.get(at), of.packets.part(at, told.user)),
        None => Err((Rule::Made, format!("packet {}", told.packet), "it was never made".into())),
    }
}

/// Each order of a deposit or a withdrawal is paid once, over all groups.
fn check_paid(groups: &[Group], differences: &mut Differences) {
    let mut all: Vec<_> =
        groups.iter().flat_map(|group| group.paid.iter().map(|paid| (*paid, group.place.group))).collect();
    all.sort_unstable_by_key(|(paid, group)| (paid.id, *group, paid.row));
    for same in all.chunk_by(|(one, _), (other, _)| one.id == other.id) {
        let (first, there) = same[0];
        for (paid, group) in &same[1..] {
            differences.push(Difference {
                rule: Rule::Paid,
                group: Some(*group),
                row: Some(paid.row),
                packet: None,
                user: Some(paid.user),
                said: "an order is paid".into(),
                found: format!("row {} of group {there} has paid it", first.row),
            });
        }
    }
}

/// Requests of users, and tallies, by parts of the users: on as many threads as there are cores.
fn check_requests(
    groups: &mut [Group],
    tallies: Option<&Tallies>,
    differences: &mut Differences,
) -> Option<TallySums> {
    let mut parts: Vec<Vec<Request>> = Vec::new();
    for group in groups.iter_mut() {
        let own = std::mem::take(&mut group.requests).into_parts();
        if parts.is_empty() {
            parts = own;
        } else {
            parts.iter_mut().zip(own).for_each(|(part, mut own)| part.append(&mut own));
        }
    }
    let ledger = Decisions(groups);
    let of_part = |(number, requests): (usize, &mut Vec<Request>)| {
        let mut differences = Differences::default();
        requests::check(requests, ledger.machine(), &mut differences);
        let mut sums = TallySums::default();
        if let Some(tallies) = tallies {
            let (part_sums, told) = tallies.compare(number, requests, &ledger);
            sums = part_sums;
            differences.append(told);
        }
        *requests = Vec::new();
        (sums, differences)
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = parts.len().div_ceil(threads).max(1);
    let results: Vec<_> = std::thread::scope(|scope| {
        let work = parts.chunks_mut(share).enumerate().map(|(chunk, parts)| {
            let numbered = parts.iter_mut().enumerate().map(move |(at, part)| (chunk * share + at, part));
            let of_part = &of_part;
            scope.spawn(move || numbered.map(of_part).collect::<Vec<_>>())
        });
        let running: Vec<_> = work.collect();
        running.into_iter().flat_map(|thread| thread.join().expect("an audit does not panic")).collect()
    });
    let mut sums = tallies.map(Tallies::sums);
    for (part_sums, part) in results {
        differences.append(part);
        if let Some(sums) = &mut sums {
            sums.add(part_sums);
        }
    }
    sums
}

/// All groups, as what decided on packets.
struct Decisions<'a>(&'a [Group]);

impl Decided for Decisions<'_> {
    fn machine(&self) -> u16 {
        self.0.first().map_or(0, |group| group.place.machine)
    }

    fn packet(&self, packet: u64, user: u64) -> Option<(&Packet, Part)> {
        let group = self.0.get(self.0.first()?.place.group_of_packet(packet)? as usize)?;
        let at = group.packets.find(packet)?;
        Some((group.packets.get(at), group.packets.part(at, user)))
    }
}
