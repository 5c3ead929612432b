//! `databridge links`

use anyhow::{Context, bail};
use databridge_config::{ConfigFolder, Side};
use databridge_model::SystemName;
use reconciler::desk::{LinkDesk, NamedLink, Sought, WaitsFor};
use reconciler::link::{Outstanding, SideState};

use crate::cli::{LinksArgs, LinksCommand};
use crate::commands::by_hand::{moment, read_again, somebody};
use crate::commands::{broker, config, known, system};
use crate::say::say;

/// `databridge links`
pub async fn links(args: &LinksArgs) -> anyhow::Result<bool> {
    let config = config()?;
    let broker = broker().await?;
    let desk = LinkDesk::open(&broker, &config, &somebody()).await?;
    match args.command.as_ref().unwrap_or(&LinksCommand::List) {
        LinksCommand::List => {
            let found = desk.find(&Sought::Waiting).await?;
            for named in &found {
                say!("{}", told(&desk, named).join("\n"));
            }
            match found.len() {
                0 => say!("No link waits for a person."),
                count => say!("{count} in all; `databridge links show NAME` shows one whole"),
            }
        }
        LinksCommand::Show { name, id, system } => {
            let sought = match (record(&config, system.as_ref(), id.as_ref())?, name) {
                (Some((system, id)), _) => Sought::Record(system, id),
                (None, Some(name)) => Sought::Named(name.clone()),
                (None, None) => bail!("say which: its name, the key of the records, or --system and --id"),
            };
            let found = desk.find(&sought).await?;
            if found.is_empty() {
                say!("There is no such link.");
            }
            for named in &found {
                say!("{}\n", shown(&desk, named).join("\n"));
            }
            return Ok(!found.is_empty());
        }
        LinksCommand::Unlink { name } => {
            desk.unlink(name).await?;
            say!("{name} is apart: nothing is carried over until `databridge links relink {name}`");
        }
        LinksCommand::Relink { name, system, id } => {
            let to_read = desk.relink(name, record(&config, system.as_ref(), id.as_ref())?).await?;
            say!("{name} is together");
            let mut well = true;
            for (system, collection, id) in &to_read {
                well &= read_again(&broker, system, collection, id, "somebody relinked it").await?;
            }
            return Ok(well);
        }
    }
    Ok(true)
}

/// A record that was named by its system and id.
fn record(
    config: &ConfigFolder,
    named: Option<&String>,
    id: Option<&String>,
) -> anyhow::Result<Option<(SystemName, String)>> {
    let (Some(named), Some(id)) = (named, id) else { return Ok(None) };
    let found = system(config, named).with_context(|| {
        format!(
            "there is no system `{named}` in {}; the systems are: {}",
            config.path.display(),
            known(config)
        )
    })?;
    Ok(Some((found, id.clone())))
}

/// A link with what it waits for.
fn told(desk: &LinkDesk, named: &NamedLink) -> Vec<String> {
    let name = &named.name;
    let mut lines = vec![format!("{name}  {}", named.link.key)];
    for waits in desk.waits_for(&named.link) {
        lines.push(match waits {
            WaitsFor::Word => {
                let by = named.link.apart.as_ref();
                let by = by.map(|it| format!(" by {}, {}", it.by, moment(it.at))).unwrap_or_default();
                format!("    taken apart{by}; `databridge links relink {name}` puts it together")
            }
            WaitsFor::OneOf(system, ids) => format!(
                "    {system} has several records of the key ({}); give all but one another key, or `databridge links relink \
                 {name} --system {system} --id ID`",
                ids.join(", ")
            ),
            WaitsFor::Field(system, field, reason) => format!("    {system} cannot take `{field}`: {reason}"),
            WaitsFor::Refused(system, reason) => format!("    {system} refused the last write: {reason}"),
            WaitsFor::Gone(system) => format!("    {system} has the record no more"),
        });
    }
    lines
}

/// A link whole.
fn shown(desk: &LinkDesk, named: &NamedLink) -> Vec<String> {
    let link = &named.link;
    let mut lines = told(desk, named);
    let plan = desk.plan(link);
    for side in Side::BOTH {
        let of = plan.map_or_else(
            || "a side of no route".to_owned(),
            |plan| format!("{}.{}", plan.system(side), plan.collection_name(side)),
        );
        lines.extend(side_shown(&of, link.side(side)));
    }
    if !link.children.is_empty() {
        let ids: Vec<_> = link.children.keys().map(String::as_str).collect();
        lines.push(format!("  records among which it chooses: {}", ids.join(", ")));
    }
    let waits = [
        link.awaits_listing.map(|run| format!("for the complete listing of run {run}")),
        link.awaits_parent.as_ref().map(|_| "for the partner of its parent".to_owned()),
        link.due.then(|| "for the next sync, which looks at it again".to_owned()),
    ];
    lines.extend(waits.into_iter().flatten().map(|what| format!("  waits {what}")));
    lines.extend(link.conflicts.iter().map(|it| {
        let (winner, loser) = (it.winner.shortened(), it.loser.shortened());
        format!("  conflict {}, {}: {} won with `{winner}` over `{loser}`", moment(it.at), it.field, it.won)
    }));
    lines
}

fn side_shown(of: &str, state: &SideState) -> Vec<String> {
    let id = state.id.as_deref().unwrap_or("no record yet");
    let gone = if state.gone { ", which is there no more" } else { "" };
    let mut lines = vec![format!("  {of}  {id}{gone}")];
    for (field, value) in &state.base {
        let agreed = value.shortened();
        lines.push(match state.drift.get(field) {
            Some(now) => format!("    {field}: `{}` now, `{agreed}` when both agreed", now.shortened()),
            None if state.provisional.contains(field) => format!("    {field}: `{agreed}`, as we wrote it"),
            None => format!("    {field}: `{agreed}`"),
        });
    }
    let never = state.drift.iter().filter(|(field, _)| !state.base.contains_key(*field));
    lines.extend(never.map(|(field, now)| format!("    {field}: `{}`, never agreed on", now.shortened())));
    lines.extend(state.outstanding.iter().map(|it| format!("    under way: {}", push_shown(it))));
    lines.extend(state.doubts.iter().map(|it| format!("    not known whether done: {}", push_shown(it))));
    if !state.set_aside.is_empty() {
        let ids: Vec<_> = state.set_aside.iter().map(String::as_str).collect();
        lines.push(format!("    left aside: {}", ids.join(", ")));
    }
    lines
}

fn push_shown(outstanding: &Outstanding) -> String {
    let push = &outstanding.push;
    let fields: Vec<_> = push.set.keys().map(String::as_str).collect();
    let id = push.push.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{id} ({:?} {}), {}", push.op, fields.join(", "), push.why).to_lowercase()
}
