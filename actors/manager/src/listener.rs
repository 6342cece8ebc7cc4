//! The listening socket, which outlives the incarnations of the Manager.
//!
//! It is bound once. While a failed Manager starts again, connections wait in the socket's queue instead of being
//! refused, and a port that the system chose stays the same.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Why the Manager does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Somebody else has the port.
    #[error(
        "{address} is in use by another program: stop that program, or listen elsewhere \
         (`listen` in the configuration's `[manager]`; port 0 takes any free one)"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// The port needs more rights.
    #[error(
        "{address} may not be listened on by this user: take a port above 1023, or give the program the right"
    )]
    Denied {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// Something else.
    #[error("failed to listen on {address}")]
    Failed {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
}

impl ListenError {
    fn new(address: SocketAddr, cause: io::Error) -> Self {
        match cause.kind() {
            ErrorKind::AddrInUse => Self::InUse { address, cause },
            ErrorKind::PermissionDenied => Self::Denied { address, cause },
            _ => Self::Failed { address, cause },
        }
    }
}

/// A socket that is bound when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct SharedListener {
    socket: Mutex<Option<TcpListener>>,
}

impl SharedListener {
    /// A handle of the socket on `address`, and the address that it really has.
    pub(crate) fn open(
        &self,
        address: SocketAddr,
    ) -> Result<(TcpListener, SocketAddr), ListenError> {
        let failed = |cause| ListenError::new(address, cause);
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = match socket.take() {
            Some(listener) => listener,
            None => TcpListener::bind(address).map_err(failed)?,
        };
        let bound = listener.local_addr().map_err(failed)?;
        let handle = listener.try_clone().map_err(failed)?;
        *socket = Some(listener);
        Ok((handle, bound))
    }

    /// Gives the port back once the last handle is closed.
    pub(crate) fn close(&self) {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any_port() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn a_second_opening_gets_the_same_port() {
        let shared = SharedListener::default();
        let (_, first) = shared.open(any_port()).expect("a port");
        let (_, second) = shared.open(any_port()).expect("the same port");
        assert_eq!(first, second);
    }

    #[test]
    fn a_port_in_use_is_refused_with_its_address_and_what_to_do() {
        let other = TcpListener::bind(any_port()).expect("a port");
        let address = other.local_addr().expect("its address");
        let refusal = SharedListener::default().open(address).expect_err("in use").to_string();
        assert!(
            refusal.contains(&address.to_string()) && refusal.contains("`listen`"),
            "{refusal}"
        );
    }

    #[test]
    fn a_closed_listener_gives_its_port_back() {
        let shared = SharedListener::default();
        let (handle, address) = shared.open(any_port()).expect("a port");
        drop(handle);
        shared.close();
        TcpListener::bind(address).expect("the port is free again");
    }
}
