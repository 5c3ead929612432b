//! The address of the feature service and the addresses below and beside it.

use url::Url;

/// The address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "GIS_SERVICE_URL {0}; it should look like https://host/arcgis/rest/services/Folder/Name/FeatureServer"
)]
pub struct ServiceUrlError(&'static str);

/// The address of a `FeatureServer`, without query and closing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceUrl(Url);

impl ServiceUrl {
    pub(crate) fn parse(url: &Url) -> Result<Self, ServiceUrlError> {
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(ServiceUrlError("is no web address"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ServiceUrlError(
                "holds a name or a password: give them as GIS_USERNAME and GIS_PASSWORD",
            ));
        }
        let mut url = url.clone();
        url.set_query(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        let ends_in_number = path.rsplit('/').next().is_some_and(|last| last.parse::<u32>().is_ok());
        if ends_in_number {
            return Err(ServiceUrlError("ends in a layer's number, which belongs into systems/gis.toml"));
        }
        url.set_path(&path);
        Ok(Self(url))
    }

    /// `<service>/<layer>`.
    pub(crate) fn layer(&self, layer: u32) -> Url {
        self.below(&[&layer.to_string()])
    }

    /// `<service>/<layer>/<operation>`.
    pub(crate) fn operation(&self, layer: u32, operation: &str) -> Url {
        self.below(&[&layer.to_string(), operation])
    }

    /// `<service>/<layer>/<row>/attachments`.
    pub(crate) fn attachments(&self, layer: u32, object_id: i64) -> Url {
        self.below(&[&layer.to_string(), &object_id.to_string(), "attachments"])
    }

    /// `<service>/<layer>/<row>/attachments/<attachment>`.
    pub(crate) fn attachment(&self, layer: u32, object_id: i64, attachment: i64) -> Url {
        self.below(&[&layer.to_string(), &object_id.to_string(), "attachments", &attachment.to_string()])
    }

    fn below(&self, parts: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(parts);
        }
        url
    }

    /// `<server>/rest/info` (arcgis.md, section 7: tells where tokens are made).
    pub(crate) fn server_info(&self) -> Option<Url> {
        let (root, _) = self.0.path().split_once("/rest/services")?;
        let mut url = self.0.clone();
        url.set_path(&format!("{root}/rest/info"));
        Some(url)
    }

    /// Whether a password may be sent to this address: over TLS, or in the open to the very host to which the
    /// operator has chosen to speak in the open.
    pub(crate) fn may_get_password(&self, url: &Url) -> bool {
        url.scheme() == "https" || (self.0.scheme() == "http" && url.host() == self.0.host())
    }

    /// What is sent as `Referer` and what tokens are bound to.
    pub(crate) fn referer(&self) -> &str {
        self.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(text: &str) -> Result<ServiceUrl, ServiceUrlError> {
        ServiceUrl::parse(&Url::parse(text).unwrap())
    }

    #[test]
    fn addresses_are_made_below_and_beside_the_service() {
        let service = service("https://h/arcgis/rest/services/Code/L/FeatureServer/?f=json").unwrap();
        assert_eq!(
            service.operation(2, "query").as_str(),
            "https://h/arcgis/rest/services/Code/L/FeatureServer/2/query"
        );
        assert_eq!(service.layer(6).path(), "/arcgis/rest/services/Code/L/FeatureServer/6");
        assert_eq!(service.server_info().unwrap().as_str(), "https://h/arcgis/rest/info");
    }

    #[test]
    fn an_address_with_a_layer_or_a_password_in_it_is_refused() {
        assert!(service("https://h/arcgis/rest/services/L/FeatureServer/2").is_err());
        let error = service("https://u:hunter2@h/FeatureServer").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_password_goes_in_the_open_only_where_the_service_is_so() {
        let (open, closed) =
            (service("http://h/FeatureServer").unwrap(), service("https://h/FeatureServer").unwrap());
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(open.may_get_password(&url("http://h/tokens/generateToken")));
        assert!(!open.may_get_password(&url("http://other/tokens/generateToken")));
        assert!(!closed.may_get_password(&url("http://h/tokens/generateToken")));
        assert!(closed.may_get_password(&url("https://portal/sharing/rest/generateToken")));
    }
}
