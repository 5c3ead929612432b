//! Cursors by the operator's own command: looked at, rewound, set.

use chrono::TimeDelta;
use it::Town;
use it::town::text;

type Result = anyhow::Result<()>;

const MAP: &str = "gis.active_litigations";

/// In an hour, as it is typed.
fn in_an_hour(town: &Town) -> String {
    (town.broker.clock().now() + TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewound_cursor_has_records_read_again_and_writes_nothing_that_is_carried_over() -> Result {
    let town = Town::of(5).await?;
    town.migrate().await?;
    town.let_the_overlap_pass().await?;
    town.cycle().await?;
    assert_eq!(town.sync("gis").await?.summary.records, 0, "nothing changed");
    let listed = town.databridge(&["cursors"]).await?;
    assert_eq!(listed.status, 0, "{listed:?}");
    assert!(listed.said.contains(MAP) && listed.said.contains("reads what changed since"), "{listed:?}");

    for to in ["2020-01-01", "--start"] {
        let rewound = town.databridge(&["cursors", "rewind", MAP, to]).await?;
        assert_eq!(rewound.status, 0, "{rewound:?}");
        assert!(town.databridge(&["cursors"]).await?.said.contains("somebody set it so"));
        town.admin.reset_calls().await?;
        let story = town.sync("gis").await?;
        assert_eq!((story.summary.records, story.summary.pushes), (5, 0), "{to}: {:?}", story.summary);
        assert_eq!(town.writes().await?, (0, 0));
        assert_eq!(town.sync("gis").await?.summary.records, 0, "once");
    }
    let audit = town.databridge(&["audit"]).await?.said;
    assert!(audit.contains("set cursor of gis.active_litigations, to the start"), "{audit}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_goes_forward_by_an_express_word_only_and_a_full_sync_still_finds_what_it_passed_over()
-> Result {
    let town = Town::of(3).await?;
    town.migrate().await?;
    town.let_the_overlap_pass().await?;
    town.cycle().await?;
    let forward = town.databridge(&["cursors", "rewind", MAP, &in_an_hour(&town)]).await?;
    assert_eq!(forward.status, 2, "{forward:?}");
    assert!(
        forward.error.contains("would not be read") && forward.error.contains("cursors set"),
        "{forward:?}"
    );
    let ahead = town.databridge(&["cursors", "set", MAP, "2130-01-01"]).await?;
    assert_eq!(ahead.status, 2, "{ahead:?}");
    assert!(ahead.error.contains("2130-01-01T00:00:00Z lies more than a day ahead"), "{ahead:?}");
    let set = town.databridge(&["cursors", "set", MAP, &in_an_hour(&town)]).await?;
    assert_eq!(set.status, 0, "{set:?}");
    let row = town.rows().await?.remove(0);
    town.edit_row(&row, "Court_Property_Owner", "Passed Over").await?;
    assert_eq!(town.sync("gis").await?.summary.records, 0);
    town.full_sync("gis").await?;
    let matter = town.matter(&text(&row, "CivilWarrant")).await?;
    assert_eq!(it::town::value(&matter, "Property Owner"), "Passed Over");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_collection_or_was_never_read_is_told_by_name() -> Result {
    let town = Town::of(1).await?;
    for (arguments, says) in [
        (
            ["cursors", "rewind", "gis.nowhere", "--start"],
            "gis has no collection `nowhere`; it has: active_litigations",
        ),
        (["cursors", "rewind", "knack.cases", "--start"], "there is no system `knack`"),
        (["cursors", "rewind", "matters", "--start"], "write it as gis.active_litigations"),
        (["cursors", "rewind", MAP, "--start"], "nothing of it was read yet"),
        (["cursors", "rewind", MAP, "yesterday"], "2026-11-20T15:00:00Z"),
    ] {
        let called = town.databridge(&arguments).await?;
        assert_eq!(called.status, 2, "{called:?}");
        assert!(called.error.contains(says), "{says}: {called:?}");
    }
    assert_eq!(town.databridge(&["cursors"]).await?.said.trim(), "Nothing was read yet.");
    Ok(())
}
