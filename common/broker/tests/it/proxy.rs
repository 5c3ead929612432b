//! A connection to NATS that breaks at a chosen word.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Stands between a client and the server.
pub(crate) struct Proxy {
    pub(crate) url: String,
    line: Arc<Line>,
}

/// What the connections through it share.
struct Line {
    word: Mutex<Option<(String, Loses)>>,
    broke: AtomicBool,
    flow: watch::Sender<Flow>,
}

/// How the connections that are there carry bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Free,
    /// Nothing gets through, and nothing tells of it.
    Still,
    /// What the client says gets through, and no answer does.
    Deaf,
    Cut,
}

/// What is lost when the word passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loses {
    /// The message that has it: the server never sees it.
    TheQuestion,
    /// The server's answer to it.
    TheAnswer,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let flow = watch::Sender::new(Flow::Free);
        let line = Arc::new(Line { word: Mutex::default(), broke: AtomicBool::default(), flow });
        let shared = Arc::clone(&line);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let flow = shared.flow.subscribe();
                tokio::spawn(carry(client, server, Arc::clone(&shared), flow));
            }
        });
        Self { url, line }
    }

    /// The connection breaks once, when the client says this.
    pub(crate) fn break_at(&self, word: &str, loses: Loses) {
        *self.line.word.lock().unwrap() = Some((word.to_owned(), loses));
    }

    pub(crate) fn has_broken(&self) -> bool {
        self.line.broke.load(Ordering::SeqCst)
    }

    /// The connections that are there stay, and nothing gets through them any more. Those that come are fine.
    pub(crate) fn fall_silent(&self) {
        self.line.flow.send_replace(Flow::Still);
    }

    /// No answer gets through any more.
    pub(crate) fn fall_deaf(&self) {
        self.line.flow.send_replace(Flow::Deaf);
    }

    /// Cuts the connections that are there.
    pub(crate) fn cut(&self) {
        self.line.flow.send_replace(Flow::Cut);
    }
}

async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    line: Arc<Line>,
    mut flow: watch::Receiver<Flow>,
) {
    let (mut said, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    // What was said to those before is not said to this one.
    flow.mark_unchanged();
    let mut now = Flow::Free;
    loop {
        tokio::select! {
            changed = flow.changed() => {
                if changed.is_err() {
                    return;
                }
                now = *flow.borrow();
                match now {
                    Flow::Cut => return,
                    Flow::Still => {
                        let is_cut = flow.wait_for(|flow| *flow == Flow::Cut);
                        drop(is_cut.await);
                        return;
                    }
                    Flow::Free | Flow::Deaf => {}
                }
            }
            read = client.read(&mut said) => {
                let Ok(read @ 1..) = read else { return };
                let found = {
                    let mut word = line.word.lock().unwrap();
                    let has = |it: &mut (String, Loses)| {
                        said[..read].windows(it.0.len()).any(|part| part == it.0.as_bytes())
                    };
                    word.take_if(has)
                };
                if found.as_ref().is_none_or(|(_, loses)| *loses == Loses::TheAnswer) {
                    server.write_all(&said[..read]).await.unwrap();
                }
                if let Some((_, loses)) = found {
                    line.broke.store(true, Ordering::SeqCst);
                    if loses == Loses::TheAnswer {
                        swallow_an_answer(&mut server).await;
                    }
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(read @ 1..) = read else { return };
                if now != Flow::Deaf && client.write_all(&answered[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Waits until the server has answered, and so has done what was said.
async fn swallow_an_answer(server: &mut TcpStream) {
    let mut answered = Vec::new();
    while !answered.windows(4).any(|part| part == b"MSG ") {
        let read = tokio::time::timeout(Duration::from_secs(10), server.read_buf(&mut answered)).await;
        assert!(read.unwrap().unwrap() > 0, "the server left without an answer");
    }
}
