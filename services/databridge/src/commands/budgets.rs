//! `databridge budgets`

use chrono::NaiveDate;
use databridge_bridge::KeptCount;
use databridge_broker::names;
use indicatif::HumanCount;

use crate::commands::broker;
use crate::say::say;

/// `databridge budgets`
pub async fn budgets() -> anyhow::Result<bool> {
    let broker = broker().await?;
    let mut counts = broker.bucket::<KeptCount>(names::BUDGETS).await?.all().await?;
    counts.sort_by(|(system, _), (other, _)| system.cmp(other));
    let today = broker.clock().now().date_naive();
    for (system, kept) in &counts {
        say!("{}", told(system, &kept.value, today));
    }
    if counts.is_empty() {
        say!("No calls are counted: <SYSTEM>_CALLS_PER_DAY sets a budget (README.md, \"Settings\").");
    }
    Ok(true)
}

fn told(system: &str, kept: &KeptCount, today: NaiveDate) -> String {
    let count = kept.count;
    // The bridge counts from the first call of a day on.
    let calls = if count.day < today { 0 } else { count.calls };
    let day = count.day.max(today);
    format!(
        "{system}: {} of {} calls of {day} (UTC) are taken",
        HumanCount(calls.into()),
        HumanCount(count.per_day.into())
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_count_of_yesterday_is_none_of_today() {
        let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        let kept = json!({"day": "2026-11-20", "calls": 1_240, "per_day": 5_000, "by": "clio-bridge-1"});
        let kept = serde_json::from_value(kept).unwrap();
        assert_eq!(told("clio", &kept, day(20)), "clio: 1,240 of 5,000 calls of 2026-11-20 (UTC) are taken");
        assert_eq!(told("clio", &kept, day(21)), "clio: 0 of 5,000 calls of 2026-11-21 (UTC) are taken");
    }
}
