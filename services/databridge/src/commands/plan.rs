//! `databridge plan`

use anyhow::{Context, bail};
use databridge_config::ConfigFolder;
use databridge_model::{Mode, SyncRequest, SystemName};

use super::{broker, config, known, systems};
use crate::cli::PlanArgs;
use crate::follow;
use crate::plan::Plan;
use crate::say::say;

/// `databridge plan`
pub async fn plan(args: &PlanArgs) -> anyhow::Result<bool> {
    let config = config()?;
    let systems = planned(args, &config)?;
    let broker = broker().await?;
    let (mut plans, mut well) = (Vec::new(), true);
    for system in systems {
        let (title, request) = request(args, &system);
        let story = follow::request(&broker, &system, &request, &follow::bar("plan")).await?;
        let plan = Plan::of(&title, &story, &config);
        say!("{}", plan.text(&story));
        for error in &story.summary.errors {
            say!("  broke off: {error}");
        }
        well &= story.summary.errors.is_empty();
        plans.push(plan);
    }
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(&plans)?;
        std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(well)
}

/// The systems whose syncs are planned; of a migrate, the one.
fn planned(args: &PlanArgs, config: &ConfigFolder) -> anyhow::Result<Vec<SystemName>> {
    if args.system == "all" && !args.sync {
        bail!(
            "a migrate carries the records of one system over, so its plan is of one of: {}; `databridge plan --sync \
             all` plans a sync of all of them",
            known(config)
        );
    }
    systems(config, &args.system)
}

fn request(args: &PlanArgs, system: &SystemName) -> (String, SyncRequest) {
    let (mode, what) = match (args.sync, args.full) {
        (false, _) => (Mode::Migrate, "migrate"),
        (true, false) => (Mode::Incremental, "sync"),
        (true, true) => (Mode::Full, "full sync"),
    };
    let request = SyncRequest {
        mode,
        since: args.since,
        dry_run: true,
        reason: Some("a plan was asked for by hand".to_owned()),
        ..SyncRequest::default()
    };
    (format!("{what} {system}"), request)
}
