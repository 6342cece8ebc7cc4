//! The address of the REST API and the ports that units get.

use std::fs;
use std::net::{SocketAddr, TcpListener};

use super::finding::Finding;
use super::place::Place;

/// Where ports of units begin unless configured.
const FIRST_UNIT_PORT: u16 = 45_000;
/// As many as a node of usual size hands out.
const UNIT_PORTS: u16 = 1000;
const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// Whether a node could listen, or does.
pub(super) fn address(place: &Place) -> Finding {
    let (subject, address) = ("address", place.address());
    if place.node.is_some() {
        return Finding::fine(subject, format!("the node says that it listens on {address}"));
    }
    let Ok(parsed) = address.parse::<SocketAddr>() else {
        return Finding::bad(subject, format!("{address} is no address"), "restart the node");
    };
    match TcpListener::bind(parsed) {
        Ok(_) => Finding::fine(subject, format!("{address} is free")),
        Err(why) => Finding::bad(
            subject,
            format!("{address} cannot be used: {why}"),
            "stop what listens there (ss -ltnp), or choose another with oa-node --listen",
        ),
    }
}

/// Whether outgoing connections of this machine may take the ports of units.
pub(super) fn ports_of_units() -> Finding {
    let subject = "unit ports";
    let (first, last) = (FIRST_UNIT_PORT, FIRST_UNIT_PORT + UNIT_PORTS - 1);
    let range = fs::read_to_string(RANGE).unwrap_or_default();
    let reserved = fs::read_to_string(RESERVED).unwrap_or_default();
    if !overlaps(&range, first, last) || is_reserved(&reserved, first, last) {
        return Finding::fine(subject, format!("{first} to {last} are kept for them"));
    }
    Finding::note(
        subject,
        format!("{first} and up lie among the ports of outgoing connections, which may hold one"),
        format!(
            "sysctl net.ipv4.ip_local_reserved_ports={first}-{last}, or set first_port in [cluster.local]"
        ),
    )
}

/// Whether `"low high"` and the ports have one in common.
fn overlaps(range: &str, first: u16, last: u16) -> bool {
    let mut ends = range.split_whitespace().filter_map(|end| end.parse::<u16>().ok());
    matches!((ends.next(), ends.next()), (Some(low), Some(high)) if first <= high && last >= low)
}

/// Whether one entry of `"8080,9148-9999"` holds all of the ports.
fn is_reserved(list: &str, first: u16, last: u16) -> bool {
    list.trim().split(',').any(|entry| {
        let (low, high) = entry.split_once('-').unwrap_or((entry, entry));
        matches!((low.parse::<u16>(), high.parse::<u16>()), (Ok(low), Ok(high)) if low <= first && high >= last)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_compared_at_their_ends() {
        assert!(overlaps("32768\t60999\n", 45_000, 45_999));
        assert!(!overlaps("32768\t44999\n", 45_000, 45_999));
        assert!(!overlaps("", 45_000, 45_999));
        assert!(is_reserved("8080,45000-46000\n", 45_000, 45_999));
        assert!(!is_reserved("8080,45001-46000\n", 45_000, 45_999));
    }
}
