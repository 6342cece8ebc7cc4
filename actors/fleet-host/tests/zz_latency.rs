//! temp
mod support;
use oa_fleet::Engine;
use oa_fleet::unit::UnitDesire;
use support::*;
#[tokio::test]
async fn latency() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    client.machines().await.expect("m");
    for i in 0..10 {
        let (a, b) = (format!("a@{i}.service"), format!("b@{i}.service"));
        let t = tokio::time::Instant::now();
        client.put(&name(&a), &service(&[("ExecStart", "/bin/sleep 899999")]), UnitDesire::Launched).await.expect("p");
        let t1 = t.elapsed();
        client.put(&name(&b), &service(&[("ExecStart", "/bin/sleep 899999")]), UnitDesire::Launched).await.expect("p");
        reaches(&client, &a, "active", "running").await;
        reaches(&client, &b, "active", "running").await;
        let t2 = t.elapsed();
        let t = tokio::time::Instant::now();
        client.remove(&name(&a)).await.expect("r");
        stage.is_off_the_machine(&a).await;
        println!("put {t1:?} both running {t2:?} removed {:?}", t.elapsed());
    }
    let k = processes(&stage.run_of("b@0.service").display().to_string())[0];
    println!("{}", std::fs::read_to_string(format!("/proc/{k}/status")).expect("s").lines().filter(|l| l.starts_with("VmRSS") || l.starts_with("Rss") || l.starts_with("Threads")).collect::<Vec<_>>().join(" "));
    stage.end(host).await;
}
