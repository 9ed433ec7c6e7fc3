//! Whether the server runs, follows and answers: `/healthz`, `/readyz`, `/metrics`.
//!
//! In: the pulse of the follower, the store, the recorder of metrics. Out: a word, a reason,
//! Prometheus' text. What anybody may fetch tells of no change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::pulse::Pulse;
use crate::auth::{BadToken, actor_of};
use crate::error::Error;
use crate::harvest;
use crate::node::Node;

/// How long `/readyz` and `/metrics` wait for the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// What these routes share.
pub(super) struct Health {
    pub(super) node: Arc<Node>,
    pub(super) metrics: PrometheusHandle,
    pub(super) pulse: Arc<Pulse>,
}

/// One recorder for the process, however many servers a test starts, and from however many threads:
/// a handle of any other recorder than the installed one would show nothing.
pub(super) fn recorder() -> PrometheusHandle {
    static RECORDER: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    let install = || {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another recorder has the metrics of this process");
        }
        handle
    };
    RECORDER.get_or_init(install).clone()
}

pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// The last change of the store, asked for in time; `None`: the database does not answer.
async fn last_change(node: &Arc<Node>) -> Option<i64> {
    let node = Arc::clone(node);
    let asked = web::block(move || node.store.read(crate::store::changes::last_change));
    tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?.ok()
}

/// Anybody may ask, so nothing is told that hidden rows move: no number of changes.
pub(super) async fn readyz(health: web::Data<Health>) -> HttpResponse {
    let fault = match health.pulse.fault(Instant::now()) {
        None if last_change(&health.node).await.is_none() => Some("the database does not answer"),
        fault => fault,
    };
    match fault {
        None => HttpResponse::Ok().json(serde_json::json!({ "ready": true })),
        Some(reason) => HttpResponse::ServiceUnavailable()
            .insert_header((header::RETRY_AFTER, "5"))
            .json(serde_json::json!({ "ready": false, "reason": reason })),
    }
}

/// For operators: counts of requests and changes tell of rows that others may not see.
pub(super) async fn metrics_text(request: HttpRequest, health: web::Data<Health>) -> HttpResponse {
    if !actor_of(&request).is_some_and(|actor| actor.role.is_operator()) {
        let refused = request.extensions().get::<BadToken>().map(|bad| bad.0.clone());
        let reason = refused.unwrap_or_else(|| {
            "metrics need an operator's token: `vesalius token --role imaging-it`, `steward` or \
             `admin`"
                .to_owned()
        });
        let mut response = harvest::problem(&Error::Unauthenticated(reason));
        let challenge = HeaderValue::from_static("Bearer realm=\"vesalius\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        return response;
    }
    let seen = health.node.index.read().seq();
    #[allow(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
    let behind =
        last_change(&health.node).await.map_or(f64::NAN, |last| last.saturating_sub(seen) as f64);
    metrics::gauge!("vesalius_index_changes_behind").set(behind);
    metrics::gauge!("vesalius_index_seconds_since_caught_up")
        .set(health.pulse.age(Instant::now()).as_secs_f64());
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(health.metrics.render())
}
