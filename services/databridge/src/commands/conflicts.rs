//! `databridge conflicts`

use databridge_model::OtherValue;
use reconciler::desk::{Chosen, ConflictDesk, ConflictFilter, KeptConflict};

use crate::cli::{ConflictsArgs, ConflictsChoice, ConflictsCommand, ConflictsFilter};
use crate::commands::broker;
use crate::commands::by_hand::{chosen, each_of, key_of, moment, read_again, somebody};
use crate::say::say;

/// `databridge conflicts`
pub async fn conflicts(args: &ConflictsArgs) -> anyhow::Result<bool> {
    let broker = broker().await?;
    let desk = ConflictDesk::open(&broker, &somebody()).await?;
    match args.command.as_ref() {
        None => list(&desk, &ConflictFilter::default()).await?,
        Some(ConflictsCommand::List { filter, settled }) => {
            list(&desk, &ConflictFilter { settled: *settled, ..filter_of(filter)? }).await?;
        }
        Some(ConflictsCommand::Show { number }) => say!("{}", shown(&desk.get(*number).await?)),
        Some(ConflictsCommand::Other { number }) => {
            let written = desk.choose_other(*number).await?;
            say!("{number}: the other value is written in {}", written.system);
            let Chosen { system, collection, id } = written;
            return read_again(
                &broker,
                &system,
                &collection,
                &id,
                "somebody chose the other value of a conflict",
            )
            .await;
        }
        Some(ConflictsCommand::Settle(choice)) => return settle(&desk, choice).await,
    }
    Ok(true)
}

async fn list(desk: &ConflictDesk, filter: &ConflictFilter) -> anyhow::Result<()> {
    let found = desk.all(filter).await?;
    for kept in &found {
        say!("{}", line(kept));
    }
    match found.len() {
        0 if filter.is_all() && !filter.settled => say!("There are no conflicts that wait for a person."),
        0 => say!("There are no conflicts of these."),
        count => say!("{count} in all; `databridge conflicts show NUMBER` shows one"),
    }
    Ok(())
}

async fn settle(desk: &ConflictDesk, choice: &ConflictsChoice) -> anyhow::Result<bool> {
    let filter = filter_of(&choice.filter)?;
    let numbers = match chosen(&choice.numbers, filter.is_all(), choice.all, "--system clio")? {
        Some(numbers) => numbers,
        None => desk.all(&filter).await?.iter().map(|kept| kept.number).collect(),
    };
    if numbers.is_empty() {
        say!("There are no conflicts of these.");
    }
    each_of(&numbers, async |number| {
        desk.settle(number).await?;
        Ok(format!("{number} is settled: the value that won stands"))
    })
    .await
}

fn filter_of(args: &ConflictsFilter) -> anyhow::Result<ConflictFilter> {
    Ok(ConflictFilter {
        system: args.system.clone(),
        key: key_of(args.key.as_ref())?,
        field: args.field.clone(),
        settled: false,
    })
}

/// One in a line.
fn line(kept: &KeptConflict) -> String {
    let conflict = &kept.record.conflict;
    let settled = match &kept.record.settled {
        None => "",
        Some(settled) if settled.other_chosen => " (the other was chosen)",
        Some(_) => " (settled)",
    };
    format!(
        "{:>6}  {}  {} {}: {} won with `{}` over `{}`{settled}",
        kept.number,
        moment(conflict.at),
        kept.record.key,
        conflict.field,
        conflict.won,
        conflict.winner.shortened(),
        conflict.loser.shortened()
    )
}

/// One whole.
fn shown(kept: &KeptConflict) -> String {
    let (number, record, conflict) = (kept.number, &kept.record, &kept.record.conflict);
    let mut lines = vec![
        format!("conflict {number}, {}, {} {}", moment(conflict.at), record.key, conflict.field),
        format!("link     {}", conflict.link),
        format!("before   {}", conflict.base.to_plain()),
        format!("won      {} with {}", conflict.won, conflict.winner.to_plain()),
        format!("lost     {} with {}", conflict.lost, conflict.loser.to_plain()),
        format!("because  {}", record.why()),
    ];
    lines.extend(record.run.map(|run| format!("in run   {run}")));
    match (&record.settled, &record.other) {
        (Some(settled), _) => {
            let what = if settled.other_chosen { "the other value was chosen" } else { "the winner stands" };
            lines.push(format!("settled  {} by {}: {what}", moment(settled.at), settled.by));
        }
        (None, OtherValue::Push { .. }) => {
            lines.push(format!(
                "`databridge conflicts other {number}` writes the value that lost, in both systems"
            ));
            lines.push(format!("`databridge conflicts settle {number}` lets the one that won stand"));
        }
        (None, OtherValue::Impossible(why)) => {
            lines.push(format!("the value that lost cannot be brought back from here: {why}"));
            lines.push(format!("`databridge conflicts settle {number}` lets the one that won stand"));
        }
    }
    lines.join("\n")
}
