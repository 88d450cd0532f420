//! A request as somebody writes it down as JSON.

use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::config::TestRequest;

/// What may stand there. A field that is not one of these is a mistake.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    url: String,
    method: Option<String>,
    client: Option<IpAddr>,
    peer: Option<IpAddr>,
    #[serde(default)]
    headers: Fields,
}

/// Field lines in the order they are written.
#[derive(Debug, Default)]
struct Fields(Vec<(String, String)>);

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Several(Vec<String>),
}

/// Reads `{"method","url","client","peer","headers"}`; only `url` has to be
/// there.
///
/// # Errors
///
/// What is wrong with it, for people.
pub fn read_request(json: &[u8]) -> Result<TestRequest, String> {
    // A derived reader would take an array for an object.
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err("a request is a JSON object, beginning with `{`".to_owned());
    }
    let written: Written = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    Ok(TestRequest {
        url: written.url,
        method: written.method,
        client: written.client,
        peer: written.peer,
        headers: written.headers.0,
    })
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lines;
        impl<'de> Visitor<'de> for Lines {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of field names and their values")
            }

            fn visit_unit<E>(self) -> Result<Fields, E> {
                Ok(Fields::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some((name, values)) = map.next_entry::<String, Values>()? {
                    match values {
                        Values::One(value) => fields.0.push((name, value)),
                        Values::Several(values) => {
                            fields
                                .0
                                .extend(values.into_iter().map(|value| (name.clone(), value)));
                        }
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_any(Lines)
    }
}
