//! The person who connects Clio.

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use url::Url;

use super::{Admin, AdminError, Answer, Consent};

impl Admin {
    /// Opens a one-time link of the auth-service as a browser would, allows the access at Clio, and goes back.
    pub async fn follow_link(&self, link: &Url) -> Result<(), AdminError> {
        let refused = |what: &str, page: &reqwest::Response| {
            AdminError::Consent(format!("{what}: the answer was {}", page.status()))
        };
        let opened = self.http.get(link.clone()).send().await?;
        let location = opened.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let Some(authorize) = location.and_then(|location| Url::parse(location).ok()) else {
            return Err(refused("the link did not lead to Clio", &opened));
        };
        let cookies: Vec<_> = opened
            .headers()
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
            .collect();
        let Consent::Redirect(callback) = self.consent(&authorize, Answer::Allow).await? else {
            return Err(AdminError::Consent("it did not lead back".to_owned()));
        };
        let done = self.http.get(callback).header(COOKIE, cookies.join("; ")).send().await?;
        if !done.status().is_success() && !done.status().is_redirection() {
            return Err(refused("the way back from Clio failed", &done));
        }
        Ok(())
    }
}
