//! What drivers call their statistics (`ethtool -S`), mapped to common names. There is no standard for them; those of
//! common drivers follow a handful of patterns.

use super::interface::{Interface, Queue};

/// Queues of one interface that are told of at the most.
const QUEUES_MAX: usize = 256;

/// Packets that a card had no room for: ixgbe and igb, e1000, mlx5 (memory and card), ice, bnxt, hns3.
const MISSED: [&str; 9] = [
    "rx_missed_errors",
    "rx_missed",
    "rx_no_dma_resources",
    "rx_no_buffer_count",
    "rx_out_of_buffer",
    "rx_discards_phy",
    "rx_dropped.nic",
    "rx_total_discard_pkts",
    "rx_over_errors",
];

/// What a queue's statistic counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    RxPackets,
    TxPackets,
    RxDropped,
}

/// Patterns of queues' statistics; `#` stands for the queue's number.
const QUEUES: [(&str, Counted); 21] = [
    // igb, ixgbe, hns3, virtio_net up to 6.6.
    ("rx_queue_#_packets", Counted::RxPackets),
    ("tx_queue_#_packets", Counted::TxPackets),
    ("rx_queue_#_drops", Counted::RxDropped),
    // veth, whose packets are counted only on their way through XDP.
    ("rx_queue_#_xdp_packets", Counted::RxPackets),
    ("tx_queue_#_xdp_xmit", Counted::TxPackets),
    // mlx5, virtio_net, nfp.
    ("rx#_packets", Counted::RxPackets),
    ("tx#_packets", Counted::TxPackets),
    ("rx#_drops", Counted::RxDropped),
    // mana, netvsc.
    ("rx_#_packets", Counted::RxPackets),
    ("tx_#_packets", Counted::TxPackets),
    ("rx_queue_#_drop", Counted::RxDropped),
    // i40e.
    ("rx-#.packets", Counted::RxPackets),
    ("tx-#.packets", Counted::TxPackets),
    // iavf.
    ("rx-#.rx_packets", Counted::RxPackets),
    ("tx-#.tx_packets", Counted::TxPackets),
    // ena.
    ("queue_#_rx_cnt", Counted::RxPackets),
    ("queue_#_tx_cnt", Counted::TxPackets),
    // bnxt.
    ("[#]: rx_ucast_packets", Counted::RxPackets),
    ("[#]: tx_ucast_packets", Counted::TxPackets),
    // gve.
    ("rx_packets[#]", Counted::RxPackets),
    ("tx_packets[#]", Counted::TxPackets),
];

/// Takes one statistic of an interface in, if it is one of the common ones.
pub fn take(interface: &mut Interface, name: &str, value: u64) {
    if MISSED.contains(&name) {
        // The same loss under several names: the greatest is all of it.
        interface.rx_missed = interface.rx_missed.max(value);
        return;
    }
    let Some((queue, counted)) = of_queue(name) else { return };
    if queue >= interface.queues.len() {
        interface.queues.resize(queue + 1, Queue::default());
    }
    let queue = &mut interface.queues[queue];
    let told = match counted {
        Counted::RxPackets => &mut queue.rx_packets,
        Counted::TxPackets => &mut queue.tx_packets,
        Counted::RxDropped => &mut queue.rx_dropped,
    };
    *told = (*told).max(Some(value));
}

/// Which queue a statistic is of, and what it counts.
fn of_queue(name: &str) -> Option<(usize, Counted)> {
    QUEUES.iter().find_map(|(pattern, counted)| {
        let (before, after) = pattern.split_once('#').expect("each has the number's place");
        let number = name.strip_prefix(before)?.strip_suffix(after)?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let queue = number.parse().ok().filter(|queue| is_number && *queue < QUEUES_MAX)?;
        Some((queue, *counted))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_found_by_the_names_of_common_drivers() {
        for (name, expected) in [
            ("rx_queue_3_packets", Some((3, Counted::RxPackets))),
            ("rx_queue_0_xdp_packets", Some((0, Counted::RxPackets))),
            ("rx12_packets", Some((12, Counted::RxPackets))),
            ("tx0_packets", Some((0, Counted::TxPackets))),
            ("tx-7.packets", Some((7, Counted::TxPackets))),
            ("queue_1_rx_cnt", Some((1, Counted::RxPackets))),
            ("[5]: rx_ucast_packets", Some((5, Counted::RxPackets))),
            ("tx_packets[2]", Some((2, Counted::TxPackets))),
            ("rx_queue_2_drops", Some((2, Counted::RxDropped))),
            ("rx_packets", None),
            ("rx_queue_x_packets", None),
            ("rx+1_packets", None),
            ("rx_queue_256_packets", None),
            ("rx_queue_0_bytes", None),
        ] {
            assert_eq!(of_queue(name), expected, "{name}");
        }
    }

    #[test]
    fn a_loss_under_two_names_counts_once_and_unknown_names_not_at_all() {
        let mut interface = Interface { rx_missed: 3, ..Interface::default() };
        for (name, value) in [
            ("rx_missed_errors", 7),
            ("rx_no_dma_resources", 5),
            ("rx1_packets", 40),
            ("rx1_drops", 2),
            ("alloc_rx_page", 9),
        ] {
            take(&mut interface, name, value);
        }
        assert_eq!(interface.rx_missed, 7);
        let second = Queue { rx_packets: Some(40), tx_packets: None, rx_dropped: Some(2) };
        assert_eq!(interface.queues, [Queue::default(), second]);
    }
}
