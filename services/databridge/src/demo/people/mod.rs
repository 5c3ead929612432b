//! What people do on either side, and whether it arrives on the other.

mod arrival;
mod court_dates;
mod dismissals;
mod fields;
mod files;
mod notes;

use std::time::{Duration, Instant};

use databridge_config::ConfigFolder;
use sandbox::Admin;

pub(crate) use self::arrival::{Arrival, Wanted};
use super::compare::{Case, Comparer};
use super::lines::{SHOWN, fitted, more};
use super::picture::Picture;
use super::table::Arrived;
use crate::say::say;

/// Columns of a value that is shown.
const VALUE_WIDTH: usize = 32;
/// How long after the end of its run an edit may take to show.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where people edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the map.
    Map,
    /// In Clio.
    Clio,
}

/// What people have done, and what should come of it.
pub(crate) struct Act {
    /// The line of the table, such as `20 edits on the map`.
    pub(crate) name: String,
    /// What they did, in a sentence.
    pub(crate) headline: String,
    /// Where; this system is read then.
    pub(crate) place: Place,
    /// Whether it shows only in a listing of everything.
    pub(crate) needs_full: bool,
    /// What arrives, as `edits` or `notes`.
    pub(crate) things: &'static str,
    /// What should be seen on the other side.
    pub(crate) arrivals: Vec<Arrival>,
    /// What should be seen once that is read back.
    pub(crate) follows: Vec<Arrival>,
}

/// People, who see what both sides showed before they came.
pub(crate) struct People<'a> {
    pub(crate) admin: &'a Admin,
    pub(crate) layer: u32,
    pub(crate) comparer: &'a Comparer,
    pub(crate) config: &'a ConfigFolder,
    pub(crate) picture: Picture,
}

impl People<'_> {
    /// Litigations for an act: those that fit, from this number on and then from the first, so that acts choose others
    /// as long as there are enough.
    fn cases(&self, first: usize, count: usize, fits: impl Fn(&Case<'_>) -> bool) -> Vec<Case<'_>> {
        let cases = self.comparer.cases(&self.picture);
        let first = first.checked_rem(cases.len()).unwrap_or_default();
        let (before, after) = cases.split_at(first);
        after.iter().chain(before).filter(|case| fits(case)).take(count).cloned().collect()
    }
}

/// Waits until everything has arrived, and shows some of these things.
pub(crate) async fn see_arrive(
    things: &str,
    arrivals: &[Arrival],
    (admin, layer): (&Admin, u32),
    comparer: &Comparer,
) -> anyhow::Result<Arrived> {
    let deadline = Instant::now() + PATIENCE;
    let seen = loop {
        let picture = Picture::take(admin, comparer, layer).await?;
        let matters = comparer.matters_by_key(&picture);
        let seen: Vec<_> = arrivals.iter().map(|it| it.seen(comparer, &picture, &matters)).collect();
        if seen.iter().all(Option::is_some) || Instant::now() > deadline {
            break seen;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let pairs = || arrivals.iter().zip(&seen);
    let arrived: Vec<_> = pairs().filter_map(|(arrival, seen)| Some((arrival, seen.as_ref()?))).collect();
    let missing: Vec<_> = pairs().filter(|(_, seen)| seen.is_none()).map(|(arrival, _)| arrival).collect();
    let shown = arrived.get(..SHOWN.min(arrived.len())).unwrap_or_default();
    let width = |text: fn(&Arrival) -> &str| shown.iter().map(|(it, _)| text(it).chars().count()).max();
    let (keys, places) = (width(|it| &it.key), width(|it| &it.place));
    for (arrival, value) in shown {
        say!(
            "  {:keys$}  {:places$}  {:VALUE_WIDTH$} {:4.1} s",
            arrival.key,
            arrival.place,
            fitted(value, VALUE_WIDTH, arrival.side),
            arrival.made.elapsed().as_secs_f64(),
            keys = keys.unwrap_or(0),
            places = places.unwrap_or(0),
        );
    }
    if let Some(more) = more(arrived.len()) {
        say!("  {more}");
    }
    for arrival in missing.iter().take(SHOWN) {
        say!("  {}, {}: {} has not arrived", arrival.key, arrival.place, arrival.wanted);
    }
    match (arrived.len(), arrivals.len()) {
        (1, 1) => say!("  It has arrived."),
        (arrived, all) => say!("  {arrived} of {all} {things} have arrived."),
    }
    Ok(Arrived { arrived: arrived.len(), expected: arrivals.len() })
}

/// A text that differs from the one that is there: people do not write the same again.
fn another(text: &str, there: &str) -> String {
    if text == there { format!("{text} (again)") } else { text.to_owned() }
}
