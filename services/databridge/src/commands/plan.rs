//! `databridge plan`

use anyhow::Context;
use databridge_model::{Mode, SyncRequest};

use super::{broker, config, known, system};
use crate::cli::PlanArgs;
use crate::follow;
use crate::plan::Plan;

/// `databridge plan`
pub async fn plan(args: &PlanArgs) -> anyhow::Result<bool> {
    let config = config()?;
    let system = system(&config, &args.system).with_context(|| {
        format!(
            "there is no system `{}` in {}; the systems are: {}",
            args.system,
            config.path.display(),
            known(&config)
        )
    })?;
    let broker = broker().await?;
    let request = SyncRequest {
        mode: if args.sync { Mode::Incremental } else { Mode::Migrate },
        dry_run: true,
        reason: Some("a plan was asked for by hand".to_owned()),
        ..SyncRequest::default()
    };
    let story = follow::request(&broker, &system, &request, &follow::bar("plan")).await?;
    let plan = Plan::of(&story, &config);
    print!("{}", plan.text(&story));
    for error in &story.summary.errors {
        println!("  broke off: {error}");
    }
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(&plan)?;
        std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(story.summary.errors.is_empty())
}
