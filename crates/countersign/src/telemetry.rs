//! Where traces go: to a collector, by OTLP over HTTP with protobuf (<https://opentelemetry.io/docs/specs/otlp/>).
//!
//! A span that ends goes into a queue of bounded length and is forgotten where that is full: nothing ever waits for the
//! collector. What was forgotten, and why, is a metric. Without a collector in the configuration there is nothing of this:
//! no tracer, no queue, no task.

mod outbox;
mod settings;

pub use settings::Collector;

use opentelemetry::{
    Context, KeyValue,
    global::BoxedTracer,
    trace::{Link, SpanKind, TraceContextExt as _, TraceId, TracerProvider as _},
};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample},
};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a stop may take, for what is still in the queue.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Spans on their way to a collector.
pub struct Telemetry {
    provider: SdkTracerProvider,
    stop: CancellationToken,
    sending: JoinHandle<()>,
}

impl Telemetry {
    /// Begins to send to a collector what this node does.
    pub fn start(collector: Collector, node: &str) -> Result<Self, String> {
        let resource = resource(node);
        let ratio = collector.ratio;
        let (queue, outbox) = outbox::pair(collector, &resource)?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Share(ratio))
            .with_span_processor(queue)
            .build();
        let stop = CancellationToken::new();
        let sending = tokio::spawn(outbox.run(stop.clone(), LAST_WORDS));
        Ok(Self { provider, stop, sending })
    }

    /// What makes the spans.
    pub fn tracer(&self) -> BoxedTracer {
        BoxedTracer::new(Box::new(self.provider.tracer("countersign")))
    }

    /// Sends what is left, for a bounded time.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(LAST_WORDS * 2, self.sending).await.is_err() {
            tracing::warn!("the last traces were not sent in time");
        }
    }
}

/// What the spans say of this process. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` are heard.
fn resource(node: &str) -> Resource {
    let attributes = [
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", node.to_owned()),
    ];
    let detected = Resource::builder().build();
    let name = detected.get(&"service.name".into()).map(|name| name.to_string()).unwrap_or_default();
    let builder = Resource::builder().with_attributes(attributes);
    if name.is_empty() || name.starts_with("unknown_service") {
        builder.with_service_name("countersign").build()
    } else {
        builder.build()
    }
}

/// Which traces are recorded. What goes on here does what its beginning did. A caller's `traceparent` can keep its trace
/// from being recorded; that it is recorded is decided by the share alone, so that nobody makes us record more.
#[derive(Debug, Clone)]
struct Share(f64);

impl ShouldSample for Share {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let parent = parent.filter(|context| context.has_active_span());
        let parent = parent.map(|context| context.span().span_context().clone());
        let decided = match &parent {
            Some(parent) if !parent.is_sampled() => Some(SamplingDecision::Drop),
            // A request is the only work that somebody else's span can be the parent of.
            Some(parent) if parent.is_remote() && *kind == SpanKind::Server => None,
            Some(_) => Some(SamplingDecision::RecordAndSample),
            None => None,
        };
        match decided {
            Some(decision) => SamplingResult {
                decision,
                attributes: Vec::new(),
                trace_state: parent.map(|parent| parent.trace_state().clone()).unwrap_or_default(),
            },
            None => Sampler::TraceIdRatioBased(self.0)
                .should_sample(None, trace_id, name, kind, attributes, links),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceState};

    fn decide(share: f64, parent: Option<(bool, bool)>, kind: &SpanKind) -> bool {
        let trace = TraceId::from_bytes([0x80; 16]);
        let context = parent.map(|(is_sampled, is_remote)| {
            let flags = TraceFlags::default().with_sampled(is_sampled);
            let span = SpanId::from_bytes([1; 8]);
            let span = SpanContext::new(trace, span, flags, is_remote, TraceState::default());
            Context::new().with_remote_span_context(span)
        });
        let result = Share(share).should_sample(context.as_ref(), trace, "x", kind, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    #[test]
    fn a_trace_is_recorded_whole_or_not_and_nobody_else_makes_us_record_more() {
        let (server, consumer) = (SpanKind::Server, SpanKind::Consumer);
        assert!(decide(1.0, None, &server) && !decide(0.0, None, &server));
        assert!(decide(1.0, Some((true, true)), &server), "a caller's trace goes on");
        assert!(!decide(0.0, Some((true, true)), &server), "and costs no more than our share");
        assert!(!decide(1.0, Some((false, true)), &server), "who does not record need not be recorded");
        // What was stored with a message, by this node or another one.
        assert!(decide(0.0, Some((true, true)), &consumer) && !decide(1.0, Some((false, true)), &consumer));
        assert!(decide(0.0, Some((true, false)), &SpanKind::Internal));
    }
}
