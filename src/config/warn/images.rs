//! What `[images]` says to no effect.

use hyper::header::HeaderValue;

use super::Findings;
use crate::config::error::quoted;
use crate::config::file::Images;
use crate::images::{ImageClient, Variant};

pub(super) fn warn(images: &Images, findings: &Findings) {
    let formats = match &images.formats {
        Some(list) => list
            .iter()
            .filter_map(|entry| Variant::parse(entry.text))
            .collect(),
        None => vec![Variant::WebP],
    };
    let accepts = images
        .clients
        .iter()
        .filter_map(|client| client.accept.as_ref());
    for accept in accepts {
        let Ok(value) = HeaderValue::from_str(accept.value.trim()) else {
            continue;
        };
        let client = ImageClient::new(value);
        if formats.is_empty() || formats.iter().any(|format| client.names(*format)) {
            continue;
        }
        let message = format!(
            "{} names no format in images.formats",
            quoted(&accept.value)
        );
        let finding = accept.spot.warning(message).label("always the original");
        findings.add(
            finding
                .note("these clients get the original, whatever they ask for")
                .help("name a format: \"image/webp,*/*;q=0.8\""),
        );
    }
}
