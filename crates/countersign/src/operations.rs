//! `/healthz`, `/readyz`, `/metrics`: for those who run the platform. The first two tell one word to anybody. The last
//! one is at a listener of its own, which only they can reach; in development, where there is no such listener, it wants a
//! key with `admin` of the organisation that the instance began with.

pub mod metric_list;

use app::App;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use model::DomainStatus;
use std::sync::{Arc, OnceLock};

static METRICS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Upper bounds of the duration histograms, in seconds.
const BUCKETS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// The process-wide recorder; installed at the first call.
fn recorder() -> Option<&'static PrometheusHandle> {
    METRICS
        .get_or_init(|| {
            PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS)
                .and_then(PrometheusBuilder::install_recorder)
                .inspect_err(|error| tracing::error!(%error, "metrics are off"))
                .ok()
                .inspect(|_| metric_list::describe())
        })
        .as_ref()
}

/// Whether the process lives and can work, for anybody.
pub fn health(app: Arc<App>) -> Router {
    recorder();
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(app)
}

/// The same with the numbers, for who has the operator's key.
pub fn with_key(app: Arc<App>) -> Router {
    let metrics = Router::new().route("/metrics", get(metrics_with_key)).with_state(Arc::clone(&app));
    health(app).merge(metrics)
}

/// The same for a listener that nobody but the operator reaches.
pub fn router(app: Arc<App>) -> Router {
    let metrics = Router::new().route("/metrics", get(render_metrics)).with_state(Arc::clone(&app));
    health(app).merge(metrics)
}

/// The process runs.
async fn healthz() -> &'static str {
    "ok\n"
}

/// The process can do its work: something can be stored. An answer holds for a second, whoever asks.
async fn readyz(State(app): State<Arc<App>>) -> impl IntoResponse {
    match app.ready().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {error}\n")),
    }
}

async fn metrics_with_key(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    match api::auth::operator(&app, &headers).await {
        Ok(()) => render_metrics(State(app)).await,
        Err(problem) => problem.into_response(),
    }
}

/// Numbers for Prometheus, about all organisations.
async fn render_metrics(State(app): State<Arc<App>>) -> Response {
    let Some(recorder) = recorder() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "metrics are off\n".to_owned()).into_response();
    };
    if let Ok(gauges) = app.gauges().await {
        #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
        let float = |number: u64| number as f64;
        for &status in DomainStatus::ALL {
            let count =
                gauges.domains.iter().find(|(found, _)| *found == status).map_or(0, |(_, count)| *count);
            metrics::gauge!("countersign_domains", "status" => status.as_str()).set(float(count));
        }
        metrics::gauge!("countersign_queue_deliveries").set(float(gauges.queued));
        metrics::gauge!("countersign_key_pool_keys").set(float(gauges.key_pool));
        let oldest = gauges.oldest_queued.map_or(0.0, |at| app.now().duration_since(at).as_secs_f64());
        metrics::gauge!("countersign_queue_oldest_seconds_now").set(oldest);
    }
    recorder.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], recorder.render()).into_response()
}
