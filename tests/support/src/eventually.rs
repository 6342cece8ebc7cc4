//! Waiting for something outside this process, where no event can be awaited.

use std::future::Future;
use std::time::{Duration, Instant};

/// Asks `condition` again and again until it holds; `false` if it did not within `limit`.
///
/// The pause begins at 1 ms and doubles to 50 ms, so that a fast answer is noticed fast.
pub async fn eventually<F, C>(limit: Duration, mut condition: F) -> bool
where
    F: FnMut() -> C,
    C: Future<Output = bool>,
{
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if condition().await {
            return true;
        }
        if started.elapsed() >= limit {
            return false;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_condition_that_never_holds_ends_at_the_limit() {
        assert!(!eventually(Duration::from_secs(3), || async { false }).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_condition_that_holds_later_is_noticed() {
        let mut asked = 0;
        let held = eventually(Duration::from_secs(3), || {
            asked += 1;
            let now = asked > 5;
            async move { now }
        });
        assert!(held.await);
    }
}
