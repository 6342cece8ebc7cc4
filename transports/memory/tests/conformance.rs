//! The memory transport passes the suite of all transports.

use std::sync::Arc;
use std::time::Duration;

use oa_transport_conformance::Fixture;
use oa_transport_memory::{Faults, MemoryTransport};

mod plain {
    use super::*;

    async fn fixture() -> Fixture {
        Fixture::new(Arc::new(MemoryTransport::new()), "memory.plain")
    }

    oa_transport_conformance::suite!(fixture());
}

mod faulty {
    use super::*;

    async fn fixture() -> Fixture {
        let faults = Faults {
            seed: 0x0a,
            lost_publishes: 0.1,
            duplicates: 0.1,
            lost_acks: 0.1,
            reordered: 0.2,
            delayed: 0.1,
            longest_delay: Duration::from_millis(5),
        };
        Fixture::new(Arc::new(MemoryTransport::faulty(faults)), "memory.faulty")
    }

    oa_transport_conformance::faulty_suite!(fixture());
}
