//! Checks against Clio's published specification (`OpenAPI` 3.0): the table of endpoints, and recorded traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::DateTime;
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::calls::System;
use crate::endpoints::Endpoint;
use crate::traffic::Traffic;

/// Why the specification cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no JSON.
    #[error("{path}: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// What exchanges are held against. A program that holds them against nothing does without the code of [`Spec`], which
/// makes a tenth of it.
pub trait Specification: std::fmt::Debug + Send + Sync {
    /// What is wrong with a recorded exchange.
    fn check(&self, traffic: &Traffic) -> Vec<String>;
}

impl Specification for Spec {
    fn check(&self, traffic: &Traffic) -> Vec<String> {
        Self::check(self, traffic)
    }
}

/// The specification.
pub struct Spec {
    document: Value,
    schemas: BTreeMap<String, Value>,
    /// Compiled schemas by operation and part, since a suite checks thousands of exchanges.
    compiled: Mutex<BTreeMap<String, Arc<Result<Validator, String>>>>,
}

/// Statuses that Clio's prose or the field knows but the specification does not declare everywhere.
const UNDECLARED: &[u16] = &[401, 404, 410, 422, 429];

impl std::fmt::Debug for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spec").field("schemas", &self.schemas.len()).finish_non_exhaustive()
    }
}

impl Spec {
    /// Reads the specification from a file.
    pub fn read(path: &Path) -> Result<Self, SpecError> {
        let text = std::fs::read(path).map_err(|source| SpecError::File { path: path.to_owned(), source })?;
        let document = serde_json::from_slice(&text);
        let document: Value = document.map_err(|source| SpecError::Json { path: path.to_owned(), source })?;
        Ok(Self::new(document))
    }

    /// Takes a specification that was read already.
    pub fn new(document: Value) -> Self {
        let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
        let schemas = schemas.into_iter().flatten().map(|(name, schema)| {
            // A definition may be a part of another's `allOf`, so only its insides are closed.
            (name.clone(), closed(schema, false))
        });
        let schemas = schemas.collect();
        Self { document, schemas, compiled: Mutex::default() }
    }

    /// What a line of the table has that the specification lacks.
    pub fn lacks(&self, endpoint: &Endpoint) -> Vec<String> {
        let place = format!("{} {}", endpoint.method(), endpoint.path);
        let path = format!("/{}.json", endpoint.path);
        let operation = self.document.get("paths").and_then(|paths| paths.get(&path));
        let operation = operation.and_then(|path| path.get(endpoint.method().to_lowercase()));
        let Some(operation) = operation else {
            return vec![format!("{place}: not in the specification")];
        };
        let declared: BTreeSet<&str> = query_parameters(operation).filter_map(name_of).collect();
        let parameters = endpoint
            .parameters()
            .filter(|name| !declared.contains(name))
            .map(|name| format!("{place}: no parameter {name}"));
        let data = request_schema(operation).and_then(|schema| schema.pointer("/properties/data"));
        let keys = endpoint
            .body_keys()
            .into_iter()
            .filter(|key| !has_key(data, key))
            .map(|key| format!("{place}: no body key {key}"));
        parameters.chain(keys).collect()
    }

    /// What is wrong with a recorded exchange; nothing for ArcGIS and OAuth, which the specification does not cover.
    pub fn check(&self, traffic: &Traffic) -> Vec<String> {
        let Some(below) = traffic.path.strip_prefix("/api/v4").filter(|_| traffic.system == System::Clio)
        else {
            return Vec::new();
        };
        let place = format!("{} {}", traffic.method, traffic.path);
        let Some(operation) = self.operation(&traffic.method, below) else {
            return vec![format!("{place}: not in the specification")];
        };
        let mut wrong = check_query(operation, &traffic.query);
        wrong.extend(self.check_request_body(operation, traffic));
        if !traffic.struck {
            wrong.extend(self.check_response(operation, traffic));
        }
        wrong.into_iter().map(|wrong| format!("{place}: {wrong}")).collect()
    }

    /// The operation of a path; a literal path goes before one with an id.
    fn operation(&self, method: &str, below: &str) -> Option<&Value> {
        let path = format!("{}.json", below.strip_suffix(".json").unwrap_or(below));
        let paths = self.document.get("paths")?.as_object()?;
        let found = paths.get(&path).or_else(|| {
            paths.iter().find(|(template, _)| is_match(template, &path)).map(|(_, operations)| operations)
        });
        found?.get(method.to_lowercase())
    }

    fn check_request_body(&self, operation: &Value, traffic: &Traffic) -> Vec<String> {
        if traffic.request_body.is_empty() {
            return Vec::new();
        }
        let Some(schema) = request_schema(operation) else {
            return vec!["a body where none is declared".to_owned()];
        };
        match serde_json::from_str(&traffic.request_body) {
            Ok(body) => self.validate(schema, &body, &part_of(operation, "request body")),
            Err(_) => vec!["the request body is not JSON".to_owned()],
        }
    }

    fn check_response(&self, operation: &Value, traffic: &Traffic) -> Vec<String> {
        let declared = operation.get("responses").and_then(|all| all.get(traffic.status.to_string()));
        // A 401 is flat in life, whatever the specification says.
        if traffic.status == 401 {
            return Vec::new();
        }
        let Some(declared) = declared else {
            if UNDECLARED.contains(&traffic.status) {
                return Vec::new();
            }
            return vec![format!("status {} is not declared", traffic.status)];
        };
        let content = declared.get("content").and_then(Value::as_object);
        let schema = content.and_then(|content| content.values().next()).and_then(|kind| kind.get("schema"));
        match (schema, traffic.response_body.is_empty()) {
            (None, true) => Vec::new(),
            (Some(_), true) if traffic.status == 304 => Vec::new(),
            (Some(_), true) => vec!["an empty answer".to_owned()],
            (None, false) => vec!["an answer's body where none is declared".to_owned()],
            (Some(schema), false) => match serde_json::from_str(&traffic.response_body) {
                Ok(body) => {
                    self.validate(schema, &body, &part_of(operation, &format!("answer {}", traffic.status)))
                }
                Err(_) => vec!["the answer is not JSON".to_owned()],
            },
        }
    }

    /// What is wrong with one part of an exchange, whose name also names the compiled schema.
    fn validate(&self, schema: &Value, body: &Value, part: &str) -> Vec<String> {
        let compiled = {
            let mut all = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(part.to_owned()).or_insert_with(|| Arc::new(self.compile(schema))))
        };
        match compiled.as_ref() {
            Ok(validator) => validator
                .iter_errors(body)
                .map(|error| format!("{part} at {:?}: {error}", error.instance_path().to_string()))
                .collect(),
            Err(error) => vec![format!("{part}: the schema cannot be used: {error}")],
        }
    }

    fn compile(&self, schema: &Value) -> Result<Validator, String> {
        let schema = closed(schema, true);
        let mut needed = BTreeMap::new();
        self.collect(&schema, &mut needed);
        let root = json!({"allOf": [schema], "components": {"schemas": needed}});
        let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
        options.build(&root).map_err(|error| error.to_string())
    }

    /// The definitions that a schema refers to, directly or through others.
    fn collect(&self, schema: &Value, needed: &mut BTreeMap<String, Value>) {
        match schema {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, needed)),
            Value::Object(object) => {
                let name =
                    object.get("$ref").and_then(Value::as_str).and_then(|name| name.rsplit('/').next());
                if let Some((name, definition)) = name.and_then(|name| self.schemas.get_key_value(name))
                    && !needed.contains_key(name)
                {
                    needed.insert(name.clone(), definition.clone());
                    self.collect(definition, needed);
                }
                object.values().for_each(|inner| self.collect(inner, needed));
            }
            _ => {}
        }
    }
}

fn part_of(operation: &Value, part: &str) -> String {
    let name = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
    format!("{name} {part}")
}

fn is_match(template: &str, path: &str) -> bool {
    let (mut expected, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (expected.next(), given.next()) {
            (None, None) => return true,
            (Some("{id}.json"), Some(given)) if is_number(given.trim_end_matches(".json")) => {}
            (Some(expected), Some(given)) if expected.starts_with('{') && is_number(given) => {}
            (Some(expected), Some(given)) if expected == given => {}
            _ => return false,
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn query_parameters(operation: &Value) -> impl Iterator<Item = &Value> {
    let parameters = operation.get("parameters").and_then(Value::as_array);
    parameters.into_iter().flatten().filter(|parameter| parameter.get("in") == Some(&json!("query")))
}

fn name_of(parameter: &Value) -> Option<&str> {
    parameter.get("name").and_then(Value::as_str)
}

fn request_schema(operation: &Value) -> Option<&Value> {
    operation.pointer("/requestBody/content/application~1json/schema")
}

fn has_key(data: Option<&Value>, dotted: &str) -> bool {
    let mut schema = data;
    for key in dotted.split('.') {
        let object = schema.map(|schema| schema.get("items").unwrap_or(schema));
        schema = object.and_then(|object| object.get("properties")).and_then(|all| all.get(key));
    }
    schema.is_some()
}

fn check_query(operation: &Value, query: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut given = BTreeSet::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let base = match name.split_once('[') {
            Some((base, rest)) if rest != "]" => base.to_owned(),
            _ => name.clone().into_owned(),
        };
        match query_parameters(operation).find(|parameter| name_of(parameter) == Some(&base)) {
            None => wrong.push(format!("unknown parameter {name}")),
            Some(parameter) => {
                let schema = parameter.get("schema").unwrap_or(&Value::Null);
                if !takes(schema.get("items").unwrap_or(schema), &value) {
                    wrong.push(format!("parameter {name} does not take {value:?}"));
                }
            }
        }
        given.insert(base);
    }
    for parameter in query_parameters(operation) {
        let is_required = parameter.get("required") == Some(&Value::Bool(true));
        if let Some(name) = name_of(parameter).filter(|name| is_required && !given.contains(*name)) {
            wrong.push(format!("parameter {name} is missing"));
        }
    }
    wrong
}

fn takes(schema: &Value, text: &str) -> bool {
    if let Some(options) = schema.get("enum").and_then(Value::as_array)
        && !options.iter().any(|option| option == text)
    {
        return false;
    }
    let word = |key: &str| schema.get(key).and_then(Value::as_str);
    match (word("type"), word("format")) {
        (Some("integer"), _) => text.parse::<i64>().is_ok(),
        (Some("boolean"), _) => text == "true" || text == "false",
        (_, Some("date-time")) => DateTime::parse_from_rfc3339(text).is_ok(),
        _ => true,
    }
}

/// An `OpenAPI` 3.0 schema as a JSON Schema that takes no property it does not name. Whether the schema itself is closed
/// is said by the caller: one that is a part of an `allOf` must stay open.
fn closed(schema: &Value, close: bool) -> Value {
    let Value::Object(object) = schema else { return schema.clone() };
    let mut out = Map::new();
    for (key, value) in object {
        let value = match (key.as_str(), value) {
            ("nullable", _) => continue,
            ("allOf", Value::Array(parts)) => parts.iter().map(|part| closed(part, false)).collect(),
            ("anyOf" | "oneOf", Value::Array(parts)) => parts.iter().map(|part| closed(part, true)).collect(),
            ("items", items) => closed(items, true),
            ("properties", Value::Object(properties)) => {
                properties.iter().map(|(name, schema)| (name.clone(), closed(schema, true))).collect()
            }
            _ => value.clone(),
        };
        out.insert(key.clone(), value);
    }
    let names_properties = ["properties", "allOf", "$ref"].iter().any(|key| out.contains_key(*key));
    if close && names_properties {
        out.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
    }
    let closed = Value::Object(out);
    if object.get("nullable") == Some(&Value::Bool(true)) {
        return json!({"anyOf": [closed, {"type": "null"}]});
    }
    closed
}
