//! A connection to NATS that breaks at a chosen word.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Stands between a client and the server.
pub(crate) struct Proxy {
    pub(crate) url: String,
    word: Arc<Mutex<Option<(String, Loses)>>>,
    broke: Arc<AtomicBool>,
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
        let proxy = Self {
            url: format!("nats://{}", listener.local_addr().unwrap()),
            word: Arc::default(),
            broke: Arc::default(),
        };
        let (word, broke) = (Arc::clone(&proxy.word), Arc::clone(&proxy.broke));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::spawn(carry(client, server, Arc::clone(&word), Arc::clone(&broke)));
            }
        });
        proxy
    }

    /// The connection breaks once, when the client says this.
    pub(crate) fn break_at(&self, word: &str, loses: Loses) {
        *self.word.lock().unwrap() = Some((word.to_owned(), loses));
    }

    pub(crate) fn has_broken(&self) -> bool {
        self.broke.load(Ordering::SeqCst)
    }
}

async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    word: Arc<Mutex<Option<(String, Loses)>>>,
    broke: Arc<AtomicBool>,
) {
    let (mut said, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut said) => {
                let Ok(read @ 1..) = read else { return };
                let found = {
                    let mut word = word.lock().unwrap();
                    let has = |it: &mut (String, Loses)| {
                        said[..read].windows(it.0.len()).any(|part| part == it.0.as_bytes())
                    };
                    word.take_if(has)
                };
                if found.as_ref().is_none_or(|(_, loses)| *loses == Loses::TheAnswer) {
                    server.write_all(&said[..read]).await.unwrap();
                }
                if let Some((_, loses)) = found {
                    broke.store(true, Ordering::SeqCst);
                    if loses == Loses::TheAnswer {
                        swallow_an_answer(&mut server).await;
                    }
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&answered[..read]).await.is_err() {
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
