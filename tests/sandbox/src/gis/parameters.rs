//! The parameters of a request, from its query and from its form.

use std::collections::BTreeMap;

use super::refusal::Refusal;

/// Parameters by name. A value in the form goes before one in the query.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads the query and, if there is one, the form-encoded body.
    pub(super) fn read(query: &str, form: &[u8]) -> Self {
        let mut parameters: BTreeMap<String, String> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        parameters.extend(url::form_urlencoded::parse(form).into_owned());
        Self(parameters)
    }

    /// The same parameters with those of a form in several parts, which go before.
    pub(super) fn with(mut self, fields: impl IntoIterator<Item = (String, String)>) -> Self {
        self.0.extend(fields);
        self
    }

    /// The value, unless it is absent or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The first of these that is there.
    pub(super) fn first_of(&self, names: &[&'static str]) -> Option<&'static str> {
        names.iter().copied().find(|name| self.get(name).is_some())
    }

    /// The value of a parameter that is `true` or `false`.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(Refusal::input(format!("'{name}' must be true or false"))),
        }
    }

    /// A whole number of at least `least`.
    pub(super) fn count(&self, name: &str, least: usize) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| *number >= least);
        number.map(Some).ok_or_else(|| Refusal::query(format!("'{name}' parameter is invalid")))
    }
}

/// Object ids separated by commas.
pub(super) fn object_ids(text: &str) -> Option<Vec<i64>> {
    text.split(',').map(|id| id.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_goes_before_the_query_and_empty_is_absent() {
        let parameters = Parameters::read("f=html&where=&resultOffset=x", b"f=json&orderByFields=A+ASC%2CB");
        assert_eq!(parameters.get("f"), Some("json"));
        assert_eq!(parameters.get("where"), None);
        assert_eq!(parameters.get("orderByFields"), Some("A ASC,B"));
        assert!(parameters.count("resultOffset", 0).is_err());
        assert!(parameters.flag("f", true).is_err());
        assert_eq!(object_ids("37, 462"), Some(vec![37, 462]));
        assert_eq!(object_ids("37,,462"), None);
    }
}
