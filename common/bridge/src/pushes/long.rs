//! Pushes that may take minutes, because they carry a content. They wait apart from the others, and no more of them are
//! taken than are begun: however many there are, they take up nothing that others need.

use std::sync::Arc;
use std::time::Duration;

use databridge_runtime::CancellationToken;
use tokio::task::JoinSet;

use super::desk::Desk;
use super::{Lanes, capacity, finish, tell_of_panic};
use crate::OutsideSystem;

/// The most that are done at once.
pub(super) const MOST_LONG: usize = 4;

/// How long one waits with the broker whose record has another push under way, roughly.
pub(super) const LONG_ONES_APART: Duration = Duration::from_secs(10);

/// Deals with them until told to stop.
pub(super) async fn run<S: OutsideSystem>(lanes: &Lanes, desk: &Arc<Desk<S>>, stop: &CancellationToken) {
    let mut under_way = JoinSet::new();
    while !stop.is_cancelled() {
        while let Some(ended) = under_way.try_join_next() {
            tell_of_panic(ended);
        }
        let room = MOST_LONG.saturating_sub(under_way.len());
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = under_way.join_next(), if room == 0 => tell_of_panic(ended),
            jobs = async { lanes.next(capacity(desk).await.min(room)).await.1 }, if room > 0 => {
                for job in jobs {
                    under_way.spawn(Arc::clone(desk).deal_with(vec![job]));
                }
            }
        }
    }
    finish(under_way).await;
}
