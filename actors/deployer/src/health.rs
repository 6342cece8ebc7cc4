//! Tells whether an instance is up: systemd's state, then the health check over the network.
//!
//! A state counts only if it is of the definition that was written: just after a change the cluster may still show the
//! one before, and its hash gives it away.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use oa_protocol::cluster::HealthCheck;
use oa_protocol::unit::{Machine, UnitState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How a unit does, by systemd's states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Active on the machine with this id.
    Active { machine_id: String },
    /// Not yet; what is missing.
    Starting(String),
    /// Not, and it will not come up by itself.
    Failed(String),
}

/// Judges `name` by the states of a cluster. `hash` is that of the wanted definition; `None` takes any.
///
/// A global unit has a state on each machine: one that failed fails it, all must be active.
pub(crate) fn judge(states: &[UnitState], name: &str, hash: Option<&str>) -> Condition {
    let own: Vec<&UnitState> = states.iter().filter(|state| state.name == name).collect();
    let Some(first) = own.first() else {
        return Condition::Starting("a machine to take it".into());
    };
    if own.iter().any(|state| is_of_other_definition(state, hash)) {
        return Condition::Starting("its earlier definition to end".into());
    }
    if let Some(failed) = own.iter().find(|state| has_failed(state)) {
        return Condition::Failed(in_words(failed));
    }
    match own.iter().find(|state| !is_active(state)) {
        Some(starting) => {
            Condition::Starting(format!("the state active, it is {}", in_words(starting)))
        }
        None => Condition::Active { machine_id: first.machine_id.clone() },
    }
}

fn is_of_other_definition(state: &UnitState, hash: Option<&str>) -> bool {
    hash.is_some_and(|hash| !state.hash.is_empty() && !state.hash.eq_ignore_ascii_case(hash))
}

fn is_active(state: &UnitState) -> bool {
    matches!(state.systemd_active_state.as_str(), "active" | "reloading")
}

fn has_failed(state: &UnitState) -> bool {
    state.systemd_active_state == "failed"
        || matches!(state.systemd_load_state.as_str(), "error" | "not-found" | "masked")
}

/// Such as `failed` or `activating (auto-restart)`.
fn in_words(state: &UnitState) -> String {
    let (active, sub) = (&state.systemd_active_state, &state.systemd_sub_state);
    match state.systemd_load_state.as_str() {
        "error" | "not-found" | "masked" => {
            format!("{active}, systemd says {}", state.systemd_load_state)
        }
        _ if active.is_empty() => "unknown".into(),
        _ if sub.is_empty() || sub == active => active.clone(),
        _ => format!("{active} ({sub})"),
    }
}

/// Whether anything of `name` still runs.
pub(crate) fn runs(states: &[UnitState], name: &str) -> bool {
    let ended = |state: &UnitState| {
        matches!(state.systemd_active_state.as_str(), "inactive" | "failed" | "")
    };
    states.iter().any(|state| state.name == name && !ended(state))
}

/// Whether `name` has come to an end that systemd counts as success.
pub(crate) fn has_ended(states: &[UnitState], name: &str) -> bool {
    let mut own = states.iter().filter(|state| state.name == name).peekable();
    own.peek().is_some() && own.all(|state| state.systemd_active_state == "inactive")
}

/// Where the units of a machine are reached: its address, or this host if it has none.
pub(crate) fn host_of(machines: &[Machine], machine_id: &str) -> Result<IpAddr, String> {
    match machines.iter().find(|machine| machine.id == machine_id) {
        Some(machine) if !machine.primary_ip.is_empty() => {
            machine.primary_ip.parse().map_err(|_| {
                format!("an address of machine {machine_id}, whose primaryIP is no IP address")
            })
        }
        _ => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    }
}

/// What a probe waits for, such as `GET /health on 127.0.0.1:45000`.
pub(crate) fn describe(check: &HealthCheck, target: SocketAddr) -> String {
    match &check.http {
        Some(path) => format!("GET {path} on {target}"),
        None => format!("a connection to {target}"),
    }
}

/// Asks `target` once; the error says what it answered.
pub(crate) async fn probe(check: &HealthCheck, target: SocketAddr) -> Result<(), String> {
    let once = async {
        let stream = TcpStream::connect(target).await.map_err(|why| why.to_string())?;
        match &check.http {
            Some(path) => get(stream, path, target).await,
            None => Ok(()),
        }
    };
    match tokio::time::timeout(check.timeout, once).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {:?}", check.timeout)),
    }
}

/// One GET, of whose answer only the status matters: redirects are answers, the body stays unread.
///
/// By hand, since the probe is plain HTTP to an address that the cluster gave: no proxy, no TLS, no pooled connection
/// to an instance that was replaced meanwhile.
async fn get(mut stream: TcpStream, path: &str, target: SocketAddr) -> Result<(), String> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: openaperture\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(|why| why.to_string())?;
    let mut head = Vec::with_capacity(64);
    // `HTTP/1.1 200` is all that is needed.
    while head.len() < 12 {
        match stream.read_buf(&mut head).await {
            Ok(0) => return Err("the connection was closed without an answer".into()),
            Ok(_) => {}
            Err(why) => return Err(why.to_string()),
        }
    }
    match status(&head) {
        Some(200..=399) => Ok(()),
        Some(status) => Err(format!("it answered {status}")),
        None => Err("what it answered is not HTTP".into()),
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.1 ").or_else(|| head.strip_prefix(b"HTTP/1.0 "))?;
    std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    fn state(name: &str, active: &str, sub: &str) -> UnitState {
        UnitState {
            name: name.into(),
            hash: "ab".into(),
            machine_id: "m1".into(),
            systemd_load_state: "loaded".into(),
            systemd_active_state: active.into(),
            systemd_sub_state: sub.into(),
        }
    }

    fn http(path: &str) -> HealthCheck {
        HealthCheck { http: Some(path.into()), tcp: false, timeout: Duration::from_secs(5) }
    }

    /// Answers one connection with `answer`; gives the request back.
    async fn serve_once(answer: &'static str) -> (SocketAddr, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = vec![0; 1024];
            let read = stream.read(&mut request).await.expect("a request");
            stream.write_all(answer.as_bytes()).await.expect("an open connection");
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        (address, served)
    }

    #[test]
    fn a_state_of_the_earlier_definition_does_not_count() {
        let states = [state("a.service", "active", "running")];
        assert!(matches!(judge(&states, "a.service", Some("cd")), Condition::Starting(_)));
        assert_eq!(
            judge(&states, "a.service", Some("AB")),
            Condition::Active { machine_id: "m1".into() }
        );
        assert!(matches!(judge(&states, "a.servic", None), Condition::Starting(_)));
    }

    #[test]
    fn a_unit_on_several_machines_is_as_good_as_its_worst() {
        let mut states = [
            state("a.service", "active", "running"),
            state("a.service", "activating", "auto-restart"),
        ];
        let waits = Condition::Starting("the state active, it is activating (auto-restart)".into());
        assert_eq!(judge(&states, "a.service", None), waits);
        states[0] = state("a.service", "failed", "failed");
        assert_eq!(judge(&states, "a.service", None), Condition::Failed("failed".into()));
    }

    #[test]
    fn units_are_reached_at_the_address_of_their_machine() {
        let machine = |ip: &str| Machine {
            id: "m1".into(),
            primary_ip: ip.into(),
            metadata: Default::default(),
        };
        assert_eq!(
            host_of(&[machine("10.0.0.7")], "m1").expect("an address").to_string(),
            "10.0.0.7"
        );
        assert_eq!(host_of(&[machine("")], "m1").expect("this host").to_string(), "127.0.0.1");
        assert!(host_of(&[machine("evil@host")], "m1").is_err());
    }

    #[tokio::test]
    async fn success_and_redirects_are_healthy() {
        for answer in
            ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n"]
        {
            let (address, served) = serve_once(answer).await;
            assert_eq!(probe(&http("/health"), address).await, Ok(()), "{answer}");
            assert!(served.await.expect("served").starts_with("GET /health HTTP/1.1\r\n"));
        }
    }

    #[tokio::test]
    async fn errors_and_other_protocols_are_not_healthy() {
        let answers = [
            ("HTTP/1.1 503 Busy\r\n\r\n", "503"),
            ("SSH-2.0-OpenSSH\r\n", "not HTTP"),
            ("", "closed"),
        ];
        for (answer, says) in answers {
            let (address, _served) = serve_once(answer).await;
            let why = probe(&http("/"), address).await.expect_err(answer);
            assert!(why.contains(says), "{why}");
        }
    }

    #[tokio::test]
    async fn a_tcp_check_asks_for_a_connection_alone() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let check = HealthCheck { http: None, tcp: true, timeout: Duration::from_secs(5) };
        assert_eq!(probe(&check, address).await, Ok(()));
        drop(listener);
        assert!(probe(&check, address).await.is_err());
    }
}
