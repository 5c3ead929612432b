//! Lists: parameters, paging and order.
//!
//! Source: "Paging" in Clio's API documentation. In the order `id(asc)` a list is paged by a cursor without end; in any
//! other by an offset, up to 10,000 records.

#![expect(clippy::option_option, reason = "absent, null and given are three different things")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::fields;
use super::refusal::Refusal;
use super::shape::Shape;
use super::view::{Record, View};

const GREATEST_LIMIT: usize = 200;
const GREATEST_OFFSET: usize = 10_000;

/// The parameters of a request, those outside the table taken away.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// The parameters of a query.
    pub(super) fn new(pairs: Vec<(String, String)>) -> Self {
        Self { pairs }
    }

    /// A parameter's value; the last one where it is repeated.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rfind(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The values of a repeatable parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Names and values of `custom_field_values[<definition id>]`.
    pub(super) fn custom_field_values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().filter_map(|(name, value)| {
            let id = name.strip_prefix("custom_field_values[")?.strip_suffix(']')?;
            Some((id, value.as_str()))
        })
    }

    /// An id, or nothing if absent.
    pub(super) fn id(&self, name: &str) -> Result<Option<i64>, Refusal> {
        self.one(name).map(|text| parse_id(name, text)).transpose()
    }

    /// An id or the keyword `null`, which asks for records without; nothing if absent.
    pub(super) fn id_or_null(&self, name: &str) -> Result<Option<Option<i64>>, Refusal> {
        match self.one(name) {
            Some("null") => Ok(Some(None)),
            text => Ok(text.map(|text| parse_id(name, text)).transpose()?.map(Some)),
        }
    }

    /// All ids of a repeatable parameter.
    pub(super) fn ids(&self, name: &str) -> Result<Vec<i64>, Refusal> {
        self.all(name).map(|text| parse_id(name, text)).collect()
    }

    /// A yes or no, or nothing if absent.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.one(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Refusal::bad_request(format!("{name} must be true or false"))),
        }
    }

    /// A time in ISO 8601 with its offset, or nothing if absent.
    pub(super) fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
        let Some(text) = self.one(name) else { return Ok(None) };
        match DateTime::parse_from_rfc3339(text) {
            Ok(time) => Ok(Some(time.to_utc())),
            Err(_) => Err(Refusal::bad_request(format!("{name} must be an ISO-8601 timestamp"))),
        }
    }
}

fn parse_id(name: &str, text: &str) -> Result<i64, Refusal> {
    text.parse().map_err(|_| Refusal::bad_request(format!("{name} must be an integer")))
}

/// What a page token says. It carries the filters, so that a page needs nothing else.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct PageToken {
    after: Option<i64>,
    before: Option<i64>,
    offset: Option<usize>,
    params: Params,
}

impl PageToken {
    fn read(text: &str) -> Result<Self, Refusal> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| Refusal::bad_request("page_token is not one that was given out"))
    }

    fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// One request for a page of a list.
pub(super) struct Listing {
    token: Option<PageToken>,
    params: Params,
    limit: usize,
    fields: Option<String>,
    address: String,
}

impl Listing {
    /// Reads limit, fields and page token. The address is the list's own, without query.
    pub(super) fn read(params: Params, address: String) -> Result<Self, Refusal> {
        let limit = match params.one("limit") {
            None => GREATEST_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=GREATEST_LIMIT).contains(limit))
                .ok_or_else(|| Refusal::argument("limit must be between 1 and 200"))?,
        };
        let fields = params.one("fields").map(str::to_owned);
        let token = params.one("page_token").map(PageToken::read).transpose()?;
        let params = match &token {
            Some(token) => token.params.clone(),
            None => Params {
                pairs: params
                    .pairs
                    .into_iter()
                    .filter(|(name, _)| !matches!(name.as_str(), "limit" | "fields" | "page_token"))
                    .collect(),
            },
        };
        Ok(Self { token, params, limit, fields, address })
    }

    /// The filters: of the first request, whatever a later one repeats.
    pub(super) fn filters(&self) -> &Params {
        &self.params
    }

    /// Keeps what the filters common to all lists let pass.
    pub(super) fn keep_common(&self, records: &mut Vec<Record<'_>>) -> Result<(), Refusal> {
        let ids = self.params.ids("ids[]")?;
        let updated = self.params.time("updated_since")?;
        let created = self.params.time("created_since")?;
        records.retain(|record| {
            (ids.is_empty() || ids.contains(&record.id()))
                && updated.is_none_or(|since| record.stamp().updated_at > since)
                && created.is_none_or(|since| record.stamp().created_at > since)
        });
        Ok(())
    }

    /// The answer: one page of the records, which come in the order of their ids.
    pub(super) fn page<'a>(
        &self,
        view: View<'a>,
        mut records: Vec<Record<'a>>,
        shape: &Shape,
        orders: &[&str],
    ) -> Result<Value, Refusal> {
        let selection = fields::parse(self.fields.as_deref(), shape)?;
        let total = records.len();
        let (shown, next, previous) = match self.order(orders)? {
            None => self.by_cursor(&records),
            Some((key, is_descending)) => {
                records.sort_by_cached_key(|record| sort_key(&view.plain(*record, &key)));
                if is_descending {
                    records.reverse();
                }
                self.by_offset(&records)?
            }
        };
        let data: Vec<Value> = shown.iter().map(|record| view.show(*record, &selection)).collect();
        let mut paging = Map::new();
        for (name, token) in [("next", next), ("previous", previous)] {
            if let Some(token) = token {
                paging.insert(name.to_owned(), json!(self.address_of(&token)));
            }
        }
        Ok(json!({"data": data, "meta": {"paging": paging, "records": total}}))
    }

    /// Nothing for the order by which a cursor works, else the property and whether it descends.
    fn order(&self, orders: &[&str]) -> Result<Option<(String, bool)>, Refusal> {
        let order = self.params.one("order").unwrap_or("id(asc)");
        if order == "id(asc)" {
            return Ok(None);
        }
        let parsed = order
            .strip_suffix("(asc)")
            .map(|key| (key, false))
            .or_else(|| order.strip_suffix("(desc)").map(|key| (key, true)));
        match parsed {
            Some((key, is_descending)) if key == "id" || orders.contains(&key) => {
                Ok(Some((key.to_owned(), is_descending)))
            }
            _ => Err(Refusal::bad_request(format!("{order} is not a valid order"))),
        }
    }

    fn by_cursor<'a>(&self, records: &[Record<'a>]) -> Page<'a> {
        let after = self.token.as_ref().and_then(|token| token.after);
        let before = self.token.as_ref().and_then(|token| token.before);
        let first = match (after, before) {
            (Some(after), _) => records.partition_point(|record| record.id() <= after),
            (None, Some(before)) => {
                records.partition_point(|record| record.id() < before).saturating_sub(self.limit)
            }
            (None, None) => 0,
        };
        let shown: Vec<Record<'a>> = records.iter().skip(first).take(self.limit).copied().collect();
        let has_more = first + shown.len() < records.len();
        let next = shown.last().filter(|_| has_more).map(|last| self.token_for(Some(last.id()), None, None));
        let previous =
            shown.first().filter(|_| first > 0).map(|first| self.token_for(None, Some(first.id()), None));
        (shown, next, previous)
    }

    fn by_offset<'a>(&self, records: &[Record<'a>]) -> Result<Page<'a>, Refusal> {
        let offset = self.token.as_ref().and_then(|token| token.offset).unwrap_or(0);
        if offset + self.limit > GREATEST_OFFSET {
            return Err(Refusal::argument("Paging past 10,000 records takes a cursor: use order=id(asc)"));
        }
        let shown: Vec<Record<'a>> = records.iter().skip(offset).take(self.limit).copied().collect();
        let end = offset + shown.len();
        let next = (end < records.len()).then(|| self.token_for(None, None, Some(end)));
        let previous =
            (offset > 0).then(|| self.token_for(None, None, Some(offset.saturating_sub(self.limit))));
        Ok((shown, next, previous))
    }

    fn token_for(&self, after: Option<i64>, before: Option<i64>, offset: Option<usize>) -> PageToken {
        PageToken { after, before, offset, params: self.params.clone() }
    }

    fn address_of(&self, token: &PageToken) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(fields) = &self.fields {
            query.append_pair("fields", fields);
        }
        query.append_pair("limit", &self.limit.to_string());
        query.append_pair("page_token", &token.write());
        format!("{}?{}", self.address, query.finish())
    }
}

type Page<'a> = (Vec<Record<'a>>, Option<PageToken>, Option<PageToken>);

/// Numbers sort as numbers and come before texts.
fn sort_key(value: &Value) -> (i64, String) {
    (value.as_i64().unwrap_or(i64::MAX), value.as_str().unwrap_or_default().to_owned())
}
