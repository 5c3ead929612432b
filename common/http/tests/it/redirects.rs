use databridge_http::{Answer, Paid, client};

use crate::server::{Server, answer};

#[tokio::test]
async fn a_redirect_is_not_followed_so_that_no_credential_goes_elsewhere() {
    let elsewhere = Server::answering(&[&answer("200 OK", "", "{}")]).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let headers = format!("Location: {}\r\n", elsewhere.url("/stolen"));
        let server = Server::answering(&[&answer(status, &headers, "")]).await;
        let request = client("test").unwrap().get(server.url("/")).bearer_auth("hunter2");
        let answer = Answer::to(Paid::by_nobody(), request, "GET /".to_owned(), false).await.unwrap();
        assert!(answer.status.is_redirection(), "{status}");
    }
    assert_eq!(elsewhere.calls(), 0);
}
