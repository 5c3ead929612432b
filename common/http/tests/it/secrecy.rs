use std::time::Duration;

use databridge_http::{Answer, CallError, Paid, client};

use crate::server::{Server, answer};

async fn failed(url: String) -> CallError {
    let request = client("test")
        .unwrap()
        .post(url)
        .bearer_auth("hunter2")
        .query(&[("token", "hunter2")])
        .timeout(Duration::from_millis(300));
    match Answer::to(Paid::by_nobody(), request, "POST matters".to_owned(), true).await {
        Ok(answer) => answer.json::<serde_json::Value>(true).unwrap_err(),
        Err(error) => error,
    }
}

#[tokio::test]
async fn no_error_shows_the_address_or_the_token() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let html = Server::answering(&[&answer("200 OK", "", "<html>")]).await;
    let broken = Server::answering(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]).await;
    let chunked = Server::answering(&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]).await;
    let garbage = Server::answering(&["not HTTP at all\r\n\r\n"]).await;
    let urls = [
        format!("http://{}/secret-path", silent.local_addr().unwrap()),
        format!("http://{nobody}/secret-path"),
        "http://secret-path.invalid/".to_owned(),
        "no-scheme/secret-path".to_owned(),
        html.url("/secret-path"),
        broken.url("/secret-path"),
        chunked.url("/secret-path"),
        garbage.url("/secret-path"),
    ];
    for url in urls {
        let error = failed(url.clone()).await;
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains("hunter2") && !text.contains("secret-path"), "{url}: {text}");
        }
        assert!(error.message.len() > 5, "{url}: {error} says too little");
    }
}
