//! The client against a server that answers from a script, as a recorded Fleet 1.0 did.

mod support;

use std::time::Duration;

use oa_fleet::unit::{UnitDesire, UnitOption};
use oa_fleet::{Engine, EngineError, LogQuery, UnitName};
use support::{Answer, ScriptedServer};

fn app() -> UnitName {
    UnitName::new("app@0.service").expect("a valid name")
}

fn options() -> Vec<UnitOption> {
    vec![UnitOption::new("Service", "ExecStart", "/bin/app")]
}

const NO_UNIT: &str = "{\"error\":{\"code\":404,\"message\":\"unit does not exist\"}}";
/// What Fleet says of a path that it does not have.
const NO_PATH: &str = "{\"error\":{\"code\":404,\"message\":\"\"}}";

#[tokio::test]
async fn every_page_of_a_listing_is_read_over_one_connection() {
    let server = ScriptedServer::start(|request| match request.target.as_str() {
        "/fleet/v1/units" => Answer::json(
            200,
            "{\"nextPageToken\":\"ZAACAA==\",\"units\":[{\"name\":\"a.service\"}]}",
        ),
        "/fleet/v1/units?nextPageToken=ZAACAA%3D%3D" => {
            Answer::json(200, "{\"units\":[{\"name\":\"b.service\"}]}")
        }
        other => panic!("unexpected {other}"),
    })
    .await;

    let units = server.client().units().await.expect("the units");

    let names: Vec<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
    assert_eq!(names, ["a.service", "b.service"]);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_put_says_options_and_state_and_takes_201_and_204_alike() {
    for status in [201, 204] {
        let server = ScriptedServer::start(move |_| Answer::empty(status)).await;

        server.client().put(&app(), &options(), UnitDesire::Launched).await.expect("it is put");

        let seen = server.requests();
        assert_eq!(seen[0].line(), "PUT /fleet/v1/units/app@0.service");
        assert_eq!(
            seen[0].body,
            "{\"options\":[{\"section\":\"Service\",\"name\":\"ExecStart\",\"value\":\"/bin/app\"}],\
             \"desiredState\":\"launched\"}"
        );
    }
}

#[tokio::test]
async fn a_value_that_would_add_a_line_never_reaches_the_server() {
    let server = ScriptedServer::start(|_| Answer::empty(201)).await;
    let injected = [UnitOption::new("Service", "ExecStart", "/bin/app\nUser=root")];

    let why = server.client().put(&app(), &injected, UnitDesire::Launched).await.expect_err("no");

    assert!(matches!(why, EngineError::InvalidUnit { .. }), "{why}");
    assert!(!why.is_retryable() && server.requests().is_empty());
}

#[tokio::test]
async fn an_unknown_unit_is_none_and_cannot_be_changed() {
    let server = ScriptedServer::start(|request| match request.method.as_str() {
        "PUT" => Answer::json(
            409,
            "{\"error\":{\"code\":409,\"message\":\"unit does not exist and options field empty\"}}",
        ),
        _ => Answer::json(404, NO_UNIT),
    })
    .await;
    let client = server.client();

    assert_eq!(client.unit(&app()).await.expect("an answer"), None);
    assert!(!client.remove(&app()).await.expect("an answer"));
    let unknown = [
        client.set_desire(&app(), UnitDesire::Loaded).await.expect_err("unknown"),
        client.restart(&app()).await.expect_err("unknown"),
        client.logs(&app(), LogQuery::default()).await.expect_err("unknown"),
    ];
    for why in unknown {
        assert!(matches!(why, EngineError::UnknownUnit { .. }), "{why}");
    }
}

#[tokio::test]
async fn a_refusal_keeps_the_words_of_the_server() {
    for (status, body, words, retryable) in [
        (400, "{\"error\":{\"code\":400,\"message\":\"line too long\"}}", "line too long", false),
        (500, "{\"error\":{\"code\":500,\"message\":\"\"}}", "Internal Server Error", true),
        (503, "", "Service Unavailable", true),
        (502, "<html>bad gateway</html>", "bad gateway", true),
    ] {
        let server = ScriptedServer::start(move |_| Answer::json(status, body)).await;

        let why = server.client().machines().await.expect_err("a refusal");

        assert!(why.to_string().contains(words), "{why}");
        assert_eq!(why.is_retryable(), retryable, "{why}");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_fleet_api_is_told_from_an_empty_listing() {
    let server = ScriptedServer::start(|_| Answer::json(200, "<html></html>")).await;

    let why = server.client().states().await.expect_err("no listing");

    assert!(matches!(why, EngineError::Unreadable { .. }), "{why}");
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_costs_nothing() {
    let server = ScriptedServer::start(|_| Answer::json(200, "{}").then_close()).await;
    let client = server.client();

    for _ in 0..50 {
        client.states().await.expect("an empty listing");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_worth_another_try() {
    let server = ScriptedServer::start(|_| Answer::empty(204)).await;
    let client = server.client();
    server.stop().await;

    let why = client.machines().await.expect_err("nobody listens");

    assert!(matches!(why, EngineError::Unreachable { .. }) && why.is_retryable(), "{why}");
}

#[tokio::test]
async fn a_server_with_states_only_restarts_by_states() {
    let server = ScriptedServer::start(|request| match request.line().as_str() {
        "POST /oa/v1/units/app@0.service/restart" => Answer::json(404, NO_PATH),
        "PUT /fleet/v1/units/app@0.service" => Answer::empty(204),
        "GET /fleet/v1/units/app@0.service" => {
            Answer::json(200, "{\"name\":\"app@0.service\",\"currentState\":\"loaded\"}")
        }
        "GET /fleet/v1/state?unitName=app%400.service" => Answer::json(
            200,
            "{\"states\":[{\"name\":\"app@0.service\",\"systemdActiveState\":\"inactive\"}]}",
        ),
        other => panic!("unexpected {other}"),
    })
    .await;

    server.client().restart(&app()).await.expect("it is restarted");

    let wishes: Vec<String> = server
        .requests()
        .into_iter()
        .filter(|request| request.method == "PUT")
        .map(|request| request.body)
        .collect();
    assert_eq!(wishes, ["{\"desiredState\":\"loaded\"}", "{\"desiredState\":\"launched\"}"]);
}

#[tokio::test]
async fn a_server_without_output_says_so() {
    let server = ScriptedServer::start(|_| Answer::json(404, NO_PATH)).await;

    let why = server.client().logs(&app(), LogQuery::default()).await.expect_err("no output");

    assert!(matches!(why, EngineError::Unsupported { .. }) && !why.is_retryable(), "{why}");
}

#[tokio::test]
async fn output_is_asked_for_by_place_and_time_to_wait() {
    let server = ScriptedServer::start(|_| {
        Answer::json(200, "{\"text\":\"hello\\n\",\"next\":48,\"dropped\":2}")
    })
    .await;
    let query = LogQuery { after: Some(40), lines: None, wait: Duration::from_secs(2) };

    let page = server.client().logs(&app(), query).await.expect("a page");

    assert_eq!((page.text.as_str(), page.next, page.dropped), ("hello\n", 48, 2));
    assert_eq!(
        server.requests()[0].line(),
        "GET /oa/v1/units/app@0.service/logs?wait_ms=2000&after=40"
    );
}

#[tokio::test]
async fn runs_are_asked_for_from_a_place_on_and_a_real_fleet_has_none() {
    let server = ScriptedServer::start(|request| match request.target.as_str() {
        "/oa/v1/intervals?limit=7&wait_ms=0&after=c%3A1" => {
            Answer::json(200, "{\"intervals\":[],\"next\":\"c:2\"}")
        }
        _ => Answer::json(404, NO_PATH),
    })
    .await;
    let client = server.client();

    let page = client.intervals(Some("c:1"), 7, Duration::ZERO).await.expect("an answer");
    assert_eq!(page.expect("this one keeps records").next, "c:2");
    let other = client.intervals(None, 7, Duration::ZERO).await.expect("an answer");
    assert!(other.is_none(), "a path that is not there");
}
