//! What the whole config costs in calls: notes, court dates, documents and history beside the matters. The same at
//! greater sizes is printed by `cargo run --release -p it --bin calls -- --config whole`.

use it::costs::whole::{self, Sizes};

type Result = anyhow::Result<()>;

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_every_kind_costs_no_more_than_it_may() -> Result {
    let sizes = Sizes { litigations: 80, court_dates: 20, attachments: 40 };
    let steps = Box::pin(whole::day(sizes, |_| ())).await?;
    for step in &steps {
        assert!(step.holds(), "{}: {}, and not {:?}", step.name, step.bound, step.calls);
    }
    Ok(())
}
