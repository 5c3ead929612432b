//! Users and the firms they belong to.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clio::collection::{Ask, Collection};
use crate::clio::filters::same_name;
use crate::clio::listing::Params;
use crate::clio::records::{Stamp, Store};
use crate::clio::refusal::Refusal;
use crate::clio::shape::{Nested, Shape};
use crate::clio::view::{Entity, Record, Shown, View};

/// A user.
pub(crate) static USER: Shape = Shape {
    kind: "User",
    plain: &[
        "name",
        "first_name",
        "last_name",
        "email",
        "enabled",
        "account_owner",
        "created_at",
        "updated_at",
    ],
    nested: &[("account", Nested::Base(&ACCOUNT))],
    defaults: &["name"],
};

/// A firm's account.
pub(crate) static ACCOUNT: Shape = Shape {
    kind: "Account",
    plain: &["name", "state", "created_at", "updated_at"],
    nested: &[],
    defaults: &[],
};

/// A user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct User {
    /// Its id.
    pub(crate) id: i64,
    /// First name.
    pub(crate) first_name: String,
    /// Last name.
    pub(crate) last_name: String,
    /// Address for mail.
    pub(crate) email: String,
    /// Whether this user owns the account.
    pub(crate) account_owner: bool,
    /// Id of the account.
    pub(crate) account: i64,
    /// Its stamp.
    pub(crate) stamp: Stamp,
}

impl User {
    /// First and last name.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }
}

/// A firm's account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    /// Its id.
    pub(crate) id: i64,
    /// The firm's name.
    pub(crate) name: String,
    /// Its stamp.
    pub(crate) stamp: Stamp,
}

/// The users of an account that pass.
fn users<'a>(store: &'a Store, params: &Params, account: i64) -> Result<Vec<Record<'a>>, Refusal> {
    let enabled = params.flag("enabled")?.unwrap_or(true);
    let found = store
        .users
        .values()
        .filter(|user| enabled && user.account == account && same_name(&user.name(), params.one("name")));
    Ok(found.map(|record| Record::Of(record)).collect())
}

impl Entity for User {
    fn parts(&self) -> (&'static Shape, i64, &Stamp) {
        (&USER, self.id, &self.stamp)
    }

    fn property<'a>(&'a self, view: &View<'a>, name: &str) -> Shown<'a> {
        Shown::Plain(match name {
            "account" => return Shown::one(view.store.accounts.get(&self.account)),
            "name" => json!(self.name()),
            "first_name" => json!(self.first_name),
            "last_name" => json!(self.last_name),
            "email" => json!(self.email),
            "enabled" => json!(true),
            "account_owner" => json!(self.account_owner),
            _ => Value::Null,
        })
    }
}

impl Entity for Account {
    fn parts(&self) -> (&'static Shape, i64, &Stamp) {
        (&ACCOUNT, self.id, &self.stamp)
    }

    fn property<'a>(&'a self, _: &View<'a>, name: &str) -> Shown<'a> {
        Shown::Plain(match name {
            "name" => json!(self.name),
            "state" => json!("active"),
            _ => Value::Null,
        })
    }
}

/// The users of the account of the one who asks.
pub(crate) struct Users;

impl Collection for Users {
    fn shape(&self) -> &'static Shape {
        &USER
    }

    fn orders(&self) -> &'static [&'static str] {
        &["name", "first_name", "last_name"]
    }

    fn list<'a>(&self, ask: &Ask<'a>, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
        users(ask.store, params, ask.user.account)
    }

    fn find<'a>(&self, ask: &Ask<'a>, id: i64) -> Option<Record<'a>> {
        let user = ask.store.users.get(&id)?;
        (user.account == ask.user.account).then_some(Record::Of(user))
    }
}
