//! `/metrics`: all counters of all workers, summed when they are asked for.

mod cache;
mod connections;
mod page;
mod program;
mod requests;

use std::fmt;
use std::sync::Arc;

use axum::extract::State as Given;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use self::page::Page;
use super::{State, reply};
use crate::cache::Cache;

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Tells them in the OpenMetrics text format.
pub(super) async fn answer(Given(state): Given<Arc<State>>) -> Response {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Everything(state)));
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => reply::of_type(StatusCode::OK, OPEN_METRICS, text),
        Err(_) => reply::text(StatusCode::INTERNAL_SERVER_ERROR, "A number has no text."),
    }
}

#[derive(Debug)]
struct Everything(Arc<State>);

impl Collector for Everything {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let state = &*self.0;
        let counters = &state.subject.counters;
        let mut page = Page::new(encoder);
        program::program(&mut page, state)?;
        program::reloads(&mut page, &state.subject)?;
        requests::requests(&mut page, counters)?;
        requests::traffic(&mut page, counters, &state.subject.spool)?;
        connections::clients(&mut page, counters)?;
        connections::origins(&mut page, counters)?;
        cache::cache(
            &mut page,
            counters,
            state
                .subject
                .cache
                .as_ref()
                .map(Cache::gauges)
                .unwrap_or_default(),
        )?;
        program::process(&mut page)
    }
}
