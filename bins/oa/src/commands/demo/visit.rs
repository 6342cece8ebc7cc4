//! Asks the units of the demo over HTTP.

use std::time::Duration;

use oa_api::DeployedUnit;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::problem::Problem;

/// Instances that `fleet.json` of the sample application asks for.
const INSTANCES: usize = 2;
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// What a unit answered.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) unit: String,
    /// `host:port`.
    pub(super) address: String,
    pub(super) answer: String,
}

/// Visits every unit; each must greet.
pub(super) async fn all(units: &[DeployedUnit]) -> Result<Vec<Visit>, Problem> {
    let mut visits = Vec::new();
    for unit in units {
        let Some(address) = &unit.address else {
            return Err(Problem::new(
                format!("`{}` cannot be visited", unit.name),
                "its address is not known",
            ));
        };
        let answer = ask(address).await;
        let answer = answer.map_err(|why| {
            Problem::new(format!("`{}` at {address} does not answer", unit.name), why)
        })?;
        if !answer.starts_with("hello from ") {
            return Err(Problem::new(
                format!("`{}` at {address} does not greet", unit.name),
                format!("it said `{answer}`"),
            ));
        }
        visits.push(Visit { unit: unit.name.clone(), address: address.clone(), answer });
    }
    if visits.len() != INSTANCES {
        let why = format!("{} units were deployed, {INSTANCES} were asked for", visits.len());
        return Err(Problem::new("the deployment is not complete", why));
    }
    Ok(visits)
}

/// Sees that nobody answers any more.
pub(super) async fn all_gone(visits: &[Visit]) -> Result<(), Problem> {
    for visit in visits {
        let gone = async {
            while TcpStream::connect(&visit.address).await.is_ok() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(GONE_WITHIN, gone).await.is_err() {
            let what = format!("`{}` still runs", visit.unit);
            return Err(Problem::new(
                what,
                format!("{} takes connections after the node ended", visit.address),
            ));
        }
    }
    Ok(())
}

async fn ask(address: &str) -> Result<String, String> {
    let client =
        reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(ANSWER_WITHIN).build();
    let request = async {
        let response =
            client?.get(format!("http://{address}/")).send().await?.error_for_status()?;
        response.text().await
    };
    request.await.map(|text| text.trim().to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fewer_units_than_asked_for_are_a_failure() {
        let problem = all(&[]).await.expect_err("nothing was deployed");
        assert!(
            format!("{problem:?}").contains("0 units were deployed, 2 were asked for"),
            "{problem:?}"
        );
    }

    #[tokio::test]
    async fn a_unit_without_an_address_is_named() {
        let unit = DeployedUnit { name: "hello@0.service".into(), ..DeployedUnit::default() };
        let problem = all(&[unit]).await.expect_err("no address");
        assert!(format!("{problem:?}").contains("hello@0.service"), "{problem:?}");
    }
}
