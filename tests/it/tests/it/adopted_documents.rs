//! Documents that an earlier program left: each becomes what its attachment is, and none is made a second time.

use std::collections::BTreeMap;

use it::Town;
use it::town::{TownOptions, object_id, text, whole_config};
use sandbox::GisOptions;
use sandbox::clio::hand::{DocumentPage, NewDocument, Property, Upload};

use crate::bad_input::matter_by_hand;

type Result = anyhow::Result<()>;

async fn documents_of(town: &Town, attachment: i64) -> anyhow::Result<Vec<DocumentPage>> {
    let key = attachment.to_string();
    let all = town.admin.documents().await?;
    Ok(all.into_iter().filter(|document| document.property("GIS_ID") == Some(&key)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn stubs_and_corrupt_documents_are_finished_and_two_of_one_attachment_wait_for_a_person() -> Result {
    let town = Town::with(TownOptions {
        gis: GisOptions::city(12, 7),
        config: whole_config(),
        ..TownOptions::default()
    })
    .await?;
    let warrants: BTreeMap<_, _> = town
        .rows()
        .await?
        .iter()
        .map(|row| Ok((object_id(row)?, text(row, "CivilWarrant"))))
        .collect::<anyhow::Result<_>>()?;
    let attachments = town.admin.gis_attachments(town.layer()).await?;
    let mut matters = BTreeMap::new();
    let left = [
        vec![Upload::None],
        vec![Upload::unmarked(b"a form")],
        vec![Upload::form("roof.png", "image/png", b"roof")],
        vec![Upload::of(b"one"), Upload::None],
    ];
    anyhow::ensure!(attachments.len() > left.len(), "the city has {} attachments", attachments.len());
    for (attachment, uploads) in attachments.iter().zip(&left) {
        let warrant = warrants[&attachment.object_id].clone();
        let matter = match matters.get(&warrant) {
            Some(matter) => *matter,
            None => town.admin.add_matter(&matter_by_hand(&warrant)).await?.id,
        };
        matters.insert(warrant, matter);
        for upload in uploads {
            let document = NewDocument {
                matter,
                name: attachment.name.clone(),
                external_properties: vec![Property::new("GIS_ID", &attachment.id.to_string())],
                upload: upload.clone(),
                ..NewDocument::default()
            };
            town.admin.add_document(&document).await?;
        }
    }
    let story = town.migrate().await?;
    assert_eq!(story.summary.failed, 0, "{story:?}");
    for (index, attachment) in attachments.iter().enumerate() {
        let documents = documents_of(&town, attachment.id).await?;
        if index == left.len() - 1 {
            assert_eq!(documents.len(), 2);
            let told =
                story.parked.iter().filter(|it| it.reason.contains(&documents[0].id.to_string())).count();
            assert!(told > 0, "two of one attachment are told: {:?}", story.parked);
            continue;
        }
        assert_eq!(documents.len(), 1, "{}", attachment.name);
        let current = documents[0].current().and_then(|version| version.sha256.clone());
        assert_eq!(current.as_deref(), Some(attachment.sha256.as_str()), "{}", attachment.name);
    }
    town.cycle().await?;
    let (gis, clio) = town.cycle().await?;
    assert_eq!((gis.summary.pushes, clio.summary.pushes), (0, 0));
    Ok(())
}
