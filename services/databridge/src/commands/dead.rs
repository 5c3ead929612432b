//! `databridge dead`

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use databridge_broker::{Buried, Corpse, DeadLetters, Filter};

use crate::cli::{DeadArgs, DeadChoice, DeadCommand, DeadFilter};
use crate::commands::broker;
use crate::commands::by_hand::{chosen, each_of, key_of, moment, somebody};
use crate::say::say;

/// `databridge dead`
pub async fn dead(args: &DeadArgs) -> anyhow::Result<bool> {
    let broker = broker().await?;
    let letters = DeadLetters::open(&broker, &somebody()).await?;
    match args.command.as_ref() {
        None => list(&letters, &DeadFilter::default()).await?,
        Some(DeadCommand::List(filter)) => list(&letters, filter).await?,
        Some(DeadCommand::Show { number }) => say!("{}", shown(&letters.get(*number).await?)),
        Some(DeadCommand::Edit { number, body }) => {
            let now = letters.edit(*number, &read(body)?).await?;
            say!("{number} is {now} now; `databridge dead replay {now}` has it dealt with again");
        }
        Some(DeadCommand::Replay(choice)) => {
            return each(&letters, choice, async |number| {
                let stored = letters.replay(number).await?;
                Ok(format!("{number} goes again, as message {stored}"))
            })
            .await;
        }
        Some(DeadCommand::Discard(choice)) => {
            return each(&letters, choice, async |number| {
                letters.discard(number).await?;
                Ok(format!("{number} is discarded"))
            })
            .await;
        }
    }
    Ok(true)
}

async fn list(letters: &DeadLetters, filter: &DeadFilter) -> anyhow::Result<()> {
    let filter = filter_of(filter)?;
    let found = letters.all(&filter).await?;
    for buried in &found {
        say!("{}", line(buried));
    }
    match found.len() {
        0 if filter.is_all() => say!("There are no dead letters."),
        0 => say!("There are no dead letters of these."),
        count => say!("{count} in all; `databridge dead show NUMBER` shows one"),
    }
    Ok(())
}

/// Does something to each of those that were chosen.
async fn each(
    letters: &DeadLetters,
    choice: &DeadChoice,
    action: impl AsyncFn(u64) -> anyhow::Result<String>,
) -> anyhow::Result<bool> {
    let filter = filter_of(&choice.filter)?;
    let numbers = match chosen(&choice.numbers, filter.is_all(), choice.all, "--stage push")? {
        Some(numbers) => numbers,
        None => letters.all(&filter).await?.iter().map(|buried| buried.sequence).collect(),
    };
    if numbers.is_empty() {
        say!("There are no dead letters of these.");
    }
    each_of(&numbers, action).await
}

fn filter_of(args: &DeadFilter) -> anyhow::Result<Filter> {
    for part in [&args.stage, &args.system, &args.collection].into_iter().flatten() {
        let is_word =
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        anyhow::ensure!(is_word, "`{part}` is no name: it has letters, digits, `_` and `-` only");
    }
    Ok(Filter {
        stage: args.stage.clone(),
        system: args.system.clone(),
        collection: args.collection.clone(),
        key: key_of(args.key.as_ref())?,
        reason: args.reason.clone(),
    })
}

/// One in a line.
fn line(buried: &Buried) -> String {
    let why = match &buried.what {
        Corpse::Letter(letter) => format!("{}: {}", letter.subject, letter.error),
        Corpse::Advisory(text) => format!("nats-server gave a message up: {}", shortened(text)),
        Corpse::Unreadable(why) => format!("{}: {why}", buried.subject),
    };
    format!("{:>6}  {}  {why}", buried.sequence, moment(buried.at))
}

/// One whole.
fn shown(buried: &Buried) -> String {
    let number = buried.sequence;
    let mut lines = vec![format!("dead letter {number}, {}, {}", moment(buried.at), buried.subject)];
    match &buried.what {
        Corpse::Letter(letter) => {
            lines.push(format!("was      {} of {}, on {}", letter.sequence, letter.stream, letter.subject));
            lines.push(format!("because  {}", letter.error));
            let tries = letter.attempts.iter();
            lines.extend(tries.map(|attempt| format!("tried    {} {}", moment(attempt.at), attempt.error)));
            lines.push(match (&letter.body, &letter.body_base64) {
                (Some(text), _) => pretty(text),
                (None, Some(text)) => format!("no text; in base64: {text}"),
                (None, None) => "its body was too large to be kept".to_owned(),
            });
            lines.push(format!("`databridge dead replay {number}` has it dealt with again, `edit {number} --body FILE` before that if it is wrong"));
        }
        Corpse::Advisory(text) => {
            lines.push("nats-server says that it gave a message up. After it was killed, an \"Unacknowledged message was deleted\" is none: that was done.".to_owned());
            lines.push(pretty(text));
        }
        Corpse::Unreadable(why) => lines.push(format!("it cannot be read: {why}")),
    }
    lines.push(format!("`databridge dead discard {number}` takes it away"));
    lines.join("\n")
}

fn pretty(text: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(text);
    value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| text.to_owned())
}

fn shortened(text: &str) -> String {
    let short: String = text.chars().take(120).collect();
    if short.len() < text.len() { format!("{short}...") } else { short }
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}
