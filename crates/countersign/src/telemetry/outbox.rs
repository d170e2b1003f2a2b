//! The queue of spans that ended, and who takes them to the collector.

use super::Collector;
use bytes::Bytes;
use opentelemetry::Context;
use opentelemetry_proto::{
    tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    transform::{
        common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use prost::Message as _;
use reqwest::{StatusCode, header};
use std::time::Duration;
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How many spans wait at the most: a few megabytes.
const MOST_WAITING: usize = 4_096;
/// How many are sent at once.
const MOST_AT_ONCE: usize = 512;
/// How long it is waited for more of them.
const GATHERED_FOR: Duration = Duration::from_millis(500);
/// How long one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// How often the same spans are sent to a collector that does not take them.
const MOST_TRIES: u32 = 3;
/// How long it is waited after a failure, at first and at the most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How much of an answer is read.
const MOST_ANSWER: usize = 64 * 1024;

/// Takes spans that ended, as long as there is room.
#[derive(Debug)]
pub(super) struct Queue(Sender<SpanData>);

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.0.try_send(span).is_err() {
            dropped(1, "queue_full");
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn dropped(spans: usize, reason: &'static str) {
    metrics::counter!("countersign_spans_dropped_total", "reason" => reason).increment(spans as u64);
}

/// Spans as they are sent.
struct Parcel {
    body: Bytes,
    spans: usize,
    tries: u32,
}

/// How a request ended.
enum Outcome {
    /// The collector has the spans, but for some that it did not want.
    Taken { rejected: usize },
    /// It may take them later.
    Later(String),
    /// It will not take them.
    Never(String),
}

/// Takes spans from the queue to the collector.
pub(super) struct Outbox {
    queue: Receiver<SpanData>,
    gathered: Vec<SpanData>,
    parcel: Option<Parcel>,
    resource: ResourceAttributesWithSchema,
    collector: Collector,
    http: reqwest::Client,
    pause: Duration,
    is_failing: bool,
}

/// Both ends.
pub(super) fn pair(collector: Collector, resource: &Resource) -> Result<(Queue, Outbox), String> {
    let (sender, queue) = mpsc::channel(MOST_WAITING);
    let http = reqwest::Client::builder()
        .timeout(REQUEST_LIMIT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("Countersign/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.to_string())?;
    let outbox = Outbox {
        queue,
        gathered: Vec::new(),
        parcel: None,
        resource: resource.into(),
        collector,
        http,
        pause: PAUSES.0,
        is_failing: false,
    };
    Ok((Queue(sender), outbox))
}

impl Outbox {
    /// Sends until it is told to stop; then what is left, for so long at the most.
    pub(super) async fn run(mut self, stop: CancellationToken, last_words: Duration) {
        let until_stopped = async {
            loop {
                if self.parcel.is_none() {
                    self.gather(GATHERED_FOR).await;
                }
                if !self.send().await {
                    sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(PAUSES.1);
                }
            }
        };
        stop.run_until_cancelled(until_stopped).await;
        self.queue.close();
        let rest = async {
            while self.parcel.is_some() || !self.gathered.is_empty() || !self.queue.is_empty() {
                if self.parcel.is_none() {
                    self.gather(Duration::ZERO).await;
                }
                if !self.send().await {
                    return;
                }
            }
        };
        drop(timeout(last_words, rest).await);
        let left = self.parcel.map_or(0, |parcel| parcel.spans) + self.gathered.len() + self.queue.len();
        if left > 0 {
            dropped(left, "stopped");
        }
    }

    /// Makes a parcel of the spans that wait, or come within a moment. It may be given up at any time: nothing is lost.
    async fn gather(&mut self, moment: Duration) {
        if self.gathered.is_empty() && self.queue.recv_many(&mut self.gathered, MOST_AT_ONCE).await == 0 {
            // No more will come.
            if !moment.is_zero() {
                std::future::pending::<()>().await;
            }
            return;
        }
        let more = async {
            while let room @ 1.. = MOST_AT_ONCE - self.gathered.len() {
                if self.queue.recv_many(&mut self.gathered, room).await == 0 {
                    break;
                }
            }
        };
        drop(timeout(moment, more).await);
        let gathered = std::mem::take(&mut self.gathered);
        let spans = gathered.len();
        let resource_spans = group_spans_by_resource_and_scope(gathered, &self.resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec().into();
        self.parcel = Some(Parcel { body, spans, tries: 0 });
    }

    /// Sends the parcel; whether to go on at once.
    async fn send(&mut self) -> bool {
        let Some(parcel) = &mut self.parcel else { return true };
        parcel.tries += 1;
        let (spans, is_last) = (parcel.spans, parcel.tries >= MOST_TRIES);
        let body = parcel.body.clone();
        let (problem, is_over) = match self.post(body).await {
            Outcome::Taken { rejected } => {
                self.parcel = None;
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("the collector takes traces again");
                }
                self.pause = PAUSES.0;
                metrics::counter!("countersign_spans_sent_total")
                    .increment((spans - rejected.min(spans)) as u64);
                if rejected > 0 {
                    dropped(rejected.min(spans), "refused");
                }
                return true;
            }
            Outcome::Later(problem) => (problem, is_last),
            Outcome::Never(problem) => (problem, true),
        };
        // Once, until it works again.
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(
                problem,
                "the collector does not take traces; those that do not fit into the queue are dropped"
            );
        }
        if is_over {
            self.parcel = None;
            dropped(spans, "not_taken");
        }
        false
    }

    async fn post(&self, body: Bytes) -> Outcome {
        let request = self
            .http
            .post(self.collector.url.clone())
            .headers(self.collector.headers.clone())
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .body(body);
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            // The address may have a secret in it.
            Err(error) => return Outcome::Later(error.without_url().to_string()),
        };
        let status = answer.status();
        if status == StatusCode::OK {
            let mut text = Vec::new();
            while let Ok(Some(chunk)) = answer.chunk().await {
                if text.len() + chunk.len() > MOST_ANSWER {
                    break;
                }
                text.extend_from_slice(&chunk);
            }
            let answer = ExportTraceServiceResponse::decode(text.as_slice()).unwrap_or_default();
            let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
            return Outcome::Taken { rejected: usize::try_from(rejected).unwrap_or(0) };
        }
        let problem = format!("it answered {}", status.as_u16());
        // The statuses that may be tried again, as OTLP has them.
        match status.as_u16() {
            429 | 502 | 503 | 504 => Outcome::Later(problem),
            _ => Outcome::Never(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use std::time::Instant;

    const SPANS: usize = 50_000;

    #[tokio::test]
    async fn a_collector_that_never_answers_costs_bounded_memory_and_nobody_s_time() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        let collector = Collector::read(&endpoint, "", "", 1.0).unwrap().unwrap();
        let (queue, outbox) = pair(collector, &Resource::builder_empty().build()).unwrap();
        let stop = CancellationToken::new();
        let sending = tokio::spawn(outbox.run(stop.clone(), Duration::from_millis(100)));
        let provider = SdkTracerProvider::builder().with_span_processor(queue).build();
        let tracer = provider.tracer("test");
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let began = Instant::now();
        metrics::with_local_recorder(&recorder, || {
            for _ in 0..SPANS {
                drop(tracer.start("work"));
            }
        });
        assert!(began.elapsed() < Duration::from_secs(5), "{SPANS} spans took {:?}", began.elapsed());
        let told = recorder.handle().render();
        let line = told.lines().find(|line| line.contains("reason=\"queue_full\"")).unwrap();
        let dropped: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
        let kept = SPANS - dropped;
        assert!((MOST_WAITING..=MOST_WAITING + MOST_AT_ONCE).contains(&kept), "{kept} are kept");
        // The stop waits for it as long as it was told to.
        stop.cancel();
        timeout(Duration::from_secs(5), sending).await.unwrap().unwrap();
    }
}
