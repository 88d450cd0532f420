//! The JSON Schema of the configuration, for editors.
//!
//! Keys are those of [`SECTIONS`], what they take is what their readers say
//! ([`Kinds`]), and what is told about them stands in
//! `config/portcullis.toml` ([`Reference`]). What only compiling finds wrong
//! is in `narrow`, as far as a schema can tell it.

mod narrow;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::kinds::{Kind, Kinds};
use super::reference::{Reference, Told};
use super::schema::{self, SECTIONS, Section};
use super::units;

/// What the schema calls itself.
const TITLE: &str = "Portcullis configuration";

/// JSON Schema, draft 2020-12, of a configuration file. It has nothing that
/// an editor which knows draft 7 does not understand.
pub fn json_schema() -> Value {
    let (kinds, reference) = (Kinds::of_all(), Reference::read());
    let mut tables: Map<String, Value> = SECTIONS
        .iter()
        .map(|section| (section.name.to_owned(), table(section, &kinds, &reference)))
        .collect();
    let top = tables.remove("").unwrap_or_default();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": TITLE,
        "$defs": tables,
    });
    extend(&mut schema, top);
    schema
}

/// A table with the keys of `section`, and no others.
fn table(section: &'static Section, kinds: &Kinds, reference: &Reference) -> Value {
    let keys = section.keys.iter();
    let properties: Map<String, Value> = keys
        .map(|key| ((*key).to_owned(), value(section, key, kinds, reference)))
        .collect();
    let mut table = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    extend(&mut table, narrow::table(section.name));
    table
}

/// What stands behind `key`.
fn value(
    section: &'static Section,
    key: &'static str,
    kinds: &Kinds,
    reference: &Reference,
) -> Value {
    if let Some(off) = schema::unsupported(section, key) {
        return off.schema();
    }
    let mut value = kinds.get(section, key).map_or_else(|| json!({}), of_kind);
    extend(&mut value, narrow::value(section.name, key));
    if let Some(told) = reference.of(section.name, key) {
        extend(
            &mut value,
            about(told, narrow::is_required(section.name, key)),
        );
    }
    value
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Integer(range) => {
            json!({ "type": "integer", "minimum": range.start(), "maximum": range.end() })
        }
        Kind::Duration => json!({ "type": "string", "pattern": units::duration_pattern() }),
        Kind::Size => json!({ "type": "string", "pattern": units::size_pattern() }),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::List => json!({ "type": "array", "items": entry() }),
        Kind::Table(section) => json!({ "$ref": reference_to(section) }),
        Kind::Tables(section) => {
            json!({ "type": "array", "items": { "$ref": reference_to(section) } })
        }
        Kind::FreeTexts => {
            json!({ "type": "object", "additionalProperties": { "type": "string" } })
        }
        Kind::FreeTable => json!({ "type": "object", "additionalProperties": {
            "anyOf": [{ "type": "string" }, { "type": "array", "items": entry() }],
        } }),
    }
}

/// An entry of a list: it is trimmed, and may not be empty.
fn entry() -> Value {
    json!({ "type": "string", "pattern": r"\S" })
}

fn reference_to(section: &str) -> String {
    format!("#/$defs/{section}")
}

/// What the reference says about a key. What must be written has no default,
/// whatever stands there.
fn about(told: &Told, required: bool) -> Value {
    let mut about = json!({ "description": told.description });
    if let Some(value) = &told.value {
        let is_default = told.is_default && !required;
        about[if is_default { "default" } else { "examples" }] = match is_default {
            true => value.clone(),
            false => json!([value]),
        };
    }
    about
}

/// Puts the keys of `more` into `schema`; what both have is `more`'s.
fn extend(schema: &mut Value, more: Value) {
    if let (Value::Object(schema), Value::Object(more)) = (schema, more) {
        schema.extend(more);
    }
}
