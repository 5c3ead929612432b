//! The pages that a person meets in Clio: the consent and the error page.

/// The consent page. The button pressed and the hidden secret are posted back to the same address.
pub(super) fn consent(app: &str, user: &str, firm: &str, redirect_uri: &str, request: &str) -> String {
    let (app, user, firm, redirect_uri) = (escape(app), escape(user), escape(firm), escape(redirect_uri));
    page(
        "Allow access",
        &format!(
            r#"<h1>Allow <em>{app}</em> to use your Clio account?</h1>
<p>You are signed in as <strong>{user}</strong> of <strong>{firm}</strong>.</p>
<p>The app asks to read and change, in your name:</p>
<ul><li>Matters</li><li>Contacts</li><li>Calendars</li><li>Custom fields</li><li>Documents</li><li>Users (read only)</li></ul>
<p>Afterwards your browser goes to <code>{redirect_uri}</code>.</p>
<form method="post" action="/oauth/authorize">
<input type="hidden" name="request" value="{request}">
<button type="submit" name="decision" value="allow">Allow</button>
<button type="submit" name="decision" value="decline" class="plain">Decline</button>
</form>"#
        ),
    )
}

/// An error page.
pub(super) fn error(title: &str, text: &str) -> String {
    page(title, &format!("<h1>{}</h1>\n<p>{}</p>", escape(title), escape(text)))
}

fn page(title: &str, body: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title} · Clio (sandbox)</title>
<style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 3rem auto; padding: 0 1rem; color: #1c2733 }}
button {{ font: inherit; padding: .6rem 1.6rem; border: 1px solid #0b57a4; border-radius: .3rem; background: #0b57a4; color: #fff; cursor: pointer }}
button.plain {{ background: #fff; color: #0b57a4 }}
footer {{ margin-top: 3rem; font-size: .9rem; color: #55606c }}
</style></head>
<body>
{body}
<footer>This is the Data Bridge sandbox, which stands in for Clio. No real account is touched.</footer>
</body></html>
"#
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
