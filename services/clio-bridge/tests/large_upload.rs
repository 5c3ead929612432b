//! A large document passes through the bridge without being held in memory. Alone in its process, whose memory it
//! measures.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

#[path = "it/office.rs"]
#[expect(dead_code, reason = "what the other tests need is of no use here")]
mod office;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use clio_bridge::{ClioSystem, ContentSource, FetchedContent};
use databridge_bridge::ContentError;
use databridge_model::{ContentObject, OutcomeResult, PushRequest, RunId, Source};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, ReadBuf};

use office::{Office, Settled, create_below, effect, text};

const MB: u64 = 1024 * 1024;
const SIZE: u64 = 64 * MB;
const BYTE: u8 = 7;

/// A film of so many equal bytes.
struct Film {
    left: u64,
}

impl AsyncRead for Film {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.remaining());
        buffer.initialize_unfilled_to(most).fill(BYTE);
        buffer.advance(most);
        self.left -= most as u64;
        Poll::Ready(Ok(()))
    }
}

#[derive(Debug)]
struct Films {
    sha256: String,
}

impl ContentSource for Films {
    fn fetch<'a>(
        &'a self,
        _: &'a Source,
        _: Option<RunId>,
    ) -> BoxFuture<'a, Result<FetchedContent, ContentError>> {
        let object = ContentObject {
            object: "film".to_owned(),
            size: SIZE,
            sha256: self.sha256.clone(),
            content_type: Some("video/mp4".to_owned()),
        };
        ready(Ok(FetchedContent { object, reader: Box::new(Film { left: SIZE }) })).boxed()
    }
}

/// The most memory that the process has had, in bytes (`VmHWM` of proc(5)).
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn sixty_four_megabytes_are_uploaded_in_a_few_of_memory() {
    let piece = vec![BYTE; usize::try_from(MB).unwrap()];
    let mut sha256 = Sha256::new();
    (0..SIZE / MB).for_each(|_| sha256.update(&piece));
    let films = Arc::new(Films { sha256: hex::encode(sha256.finalize()) });

    let office = Office::ready().await;
    office.admin.record_traffic(false).await.unwrap();
    let matter = office.add("E-1", &[]).await;
    let system =
        ClioSystem::new(office.file.clone(), office.client.clone(), Arc::clone(&office.catalogue), films);
    let values = [("GIS_ID", text("31")), ("name", text("film.mp4")), ("content", text(&SIZE.to_string()))];
    let source =
        Source { system: "gis".parse().unwrap(), collection: "attachments".parse().unwrap(), id: "1".into() };
    let push = PushRequest { source: Some(source), ..create_below(matter.id, &values) };

    let before = peak_memory();
    let done = Settled::of(effect(&system.unwrap(), "documents", push, None).await);
    assert_eq!(done.result, OutcomeResult::Written, "{}", done.error);
    assert_eq!(done.shown.unwrap().fields["content"], text(&SIZE.to_string()));
    let grown = peak_memory() - before;
    println!("{} MB more at the peak than the {} MB before", grown / MB, before / MB);
    assert!(grown < 24 * MB, "{} MB more were held at once", grown / MB);
}
