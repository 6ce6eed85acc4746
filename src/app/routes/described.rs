//! The document of the API and the routes, held against each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::tests::routed;
use super::{Named, PATHS, find};
use crate::app::openapi::DESCRIPTION;

const METHODS: [&str; 5] = ["get", "head", "post", "put", "delete"];

fn document() -> Value {
    serde_json::from_str(DESCRIPTION.body).unwrap()
}

/// What is meant, where a reference stands.
fn resolved<'d>(value: &'d Value, document: &'d Value) -> &'d Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("references stay in the document");
            document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
        None => value,
    }
}

/// A path that the template stands for.
fn example_of(template: &str) -> String {
    template
        .replace("{id}", "0198c0de-0000-7000-8000-000000000001")
        .replace("{path}", "garden/compost.md")
        .replace("{category}", "garden")
        .replace("{model}", "oneloop")
        .replace("{file}", "main.mjs")
}

/// Parameters of an operation, those of its path included.
fn parameters<'d>(path: &'d Value, operation: &'d Value, document: &'d Value) -> Vec<&'d Value> {
    let lists = [&path["parameters"], &operation["parameters"]];
    let all = lists.into_iter().filter_map(Value::as_array).flatten();
    all.map(|parameter| resolved(parameter, document)).collect()
}

/// A request as the document says that it may be made: with what is required, and with this query.
fn request(template: &str, method: &str, operation: &Value, query: &str) -> String {
    let mut fields: Vec<String> = Vec::new();
    let given = operation["parameters"].as_array().into_iter().flatten();
    for field in given.filter(|it| it["in"] == "header" && it["required"] == true) {
        let [name, value] = ["name", "example"].map(|key| field[key].as_str().expect("both are told"));
        fields.push(format!("{name}: {value}"));
    }
    if operation.pointer("/requestBody/content").is_some_and(|types| types.get("application/json").is_some())
    {
        fields.push("Content-Type: application/json".to_owned());
    }
    if matches!(method, "put" | "delete") {
        fields.push("If-Match: *".to_owned());
    }
    let method = method.to_uppercase();
    let bar = if fields.is_empty() { "" } else { "|" };
    format!("{method} {}?{query}{bar}{}", example_of(template), fields.join("\r\n"))
}

/// The query that an operation can't do without.
fn required_query(parameters: &[&Value]) -> Vec<String> {
    let required = parameters.iter().filter(|it| it["in"] == "query" && it["required"] == true);
    required
        .map(|it| {
            let value = it["schema"]["enum"][0].as_str().unwrap_or("words");
            format!("{}={value}", it["name"].as_str().unwrap())
        })
        .collect()
}

/// Calls `look` with each operation of the document: template, method, path item, operation.
fn each_operation(document: &Value, mut look: impl FnMut(&str, &str, &Value, &Value)) {
    for (template, path) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            if let Some(operation) = path.get(method) {
                look(template, method, path, operation);
            }
        }
    }
}

#[test]
fn every_operation_of_the_document_has_a_route() {
    let document = document();
    let mut count = 0;
    each_operation(&document, |template, method, path, operation| {
        count += 1;
        let query = required_query(&parameters(path, operation, &document)).join("&");
        let request = request(template, method, operation, &query);
        assert!(routed(&request).is_ok(), "{request}: {:?}", routed(&request));
    });
    assert!(count >= PATHS.len(), "only {count} operations were looked at");
}

#[test]
fn every_path_stands_in_the_document_with_the_methods_that_it_allows() {
    let document = document();
    let described: BTreeMap<&str, BTreeSet<String>> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(template, path)| {
            let methods = path.as_object().unwrap().keys().filter(|key| *key != "parameters");
            (template.as_str(), methods.map(|method| method.to_uppercase()).collect())
        })
        .collect();
    let routed: BTreeMap<&str, BTreeSet<String>> = PATHS
        .iter()
        .map(|(template, _)| {
            let resource = find(&example_of(template)).unwrap();
            let allowed = resource.allow().split(", ").filter(|method| *method != "OPTIONS");
            (*template, allowed.map(ToOwned::to_owned).collect())
        })
        .collect();
    assert_eq!(described, routed);
}

#[test]
fn what_a_path_of_the_table_names_is_not_named_by_one_before_it() {
    for (template, named) in &PATHS {
        let found = find(&example_of(template)).unwrap();
        match named {
            Named::One(resource) => assert_eq!(found, *resource, "{template}"),
            Named::By(_) => {
                let others = PATHS.iter().filter(|(other, _)| other != template);
                let is_another = |(_, named): &(&str, Named)| matches!(named, Named::One(it) if *it == found);
                assert!(!others.into_iter().any(is_another), "{template}");
            }
        }
    }
}

#[test]
fn numbers_have_the_bounds_of_the_document() {
    let document = document();
    let mut count = 0;
    each_operation(&document, |template, method, path, operation| {
        let parameters = parameters(path, operation, &document);
        let required = required_query(&parameters);
        for parameter in parameters.iter().filter(|it| it["in"] == "query") {
            let schema = resolved(&parameter["schema"], &document);
            let (Some(min), Some(max)) = (schema["minimum"].as_u64(), schema["maximum"].as_u64()) else {
                assert_ne!(schema["type"], "integer", "{template}: a number needs bounds");
                continue;
            };
            count += 1;
            let (min, max) = (i128::from(min), i128::from(max));
            for (number, is_taken) in [(min, true), (max, true), (min - 1, false), (max + 1, false)] {
                let mut query = required.clone();
                query.push(format!("{}={number}", parameter["name"].as_str().unwrap()));
                let request = request(template, method, operation, &query.join("&"));
                let routed = routed(&request);
                assert_eq!(routed.as_ref().err(), if is_taken { None } else { Some(&422) }, "{request}");
            }
            let mut query = required.clone();
            let without = routed(&request(template, method, operation, &query.join("&")));
            query.push(format!("{}={}", parameter["name"].as_str().unwrap(), schema["default"]));
            assert_eq!(
                without,
                routed(&request(template, method, operation, &query.join("&"))),
                "{template}"
            );
        }
    });
    assert!(count >= 10, "only {count} numbers were looked at");
}

#[test]
fn the_document_is_whole() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));

    let tags: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    each_operation(&document, |template, method, _, operation| {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {template} has no id"));
        assert!(ids.insert(id.to_owned()), "{id} names two operations");
        assert!(operation["summary"].is_string(), "{id} has no summary");
        let of = operation["tags"].as_array().unwrap();
        assert!(
            !of.is_empty() && of.iter().all(|tag| tags.contains(&tag)),
            "{id} has tags that there are not"
        );
        let answers = operation["responses"].as_object().unwrap();
        assert!(
            answers.keys().any(|status| status.starts_with('2') || status == "101"),
            "{id} never succeeds"
        );
    });

    let mut named = BTreeSet::new();
    let mut to_visit = vec![&document];
    while let Some(value) = to_visit.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            resolved(value, &document);
            named.insert(reference.to_owned());
        }
        match value {
            Value::Array(values) => to_visit.extend(values),
            Value::Object(fields) => to_visit.extend(fields.values()),
            _ => {}
        }
    }
    for (kind, components) in document["components"].as_object().unwrap() {
        for name in components.as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            // What no operation answers is told all the same: it is what all others get.
            let is_meant = named.contains(&reference) || name == "MethodNotAllowed";
            assert!(is_meant, "nothing refers to {reference}");
        }
    }
}
