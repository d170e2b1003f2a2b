//! Traces: which work belongs together, across tasks, nodes and other people's programs.
//!
//! A span is a piece of work with a beginning and an end; spans with one trace id are a trace. What is to be done later
//! (a message to deliver, an event to tell) is stored with the span that it came from, as a `traceparent`
//! (<https://www.w3.org/TR/trace-context/>), and goes on with the trace from there, whichever node takes it up.
//!
//! Attributes leave the house. So they are ids, words of our own, names of domains and hosts, and numbers; never a path,
//! a query, an address of a recipient, what a server replied, or a secret. Without a tracer nothing of this costs anything:
//! no span is made, and no attribute.

use model::{DomainId, MessageId, OrgId};
use opentelemetry::{
    Context,
    global::{BoxedSpan, BoxedTracer},
    trace::{
        FutureExt as _, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
        Tracer as _,
    },
};
use std::{borrow::Cow, future::Future, sync::OnceLock};

pub use opentelemetry::{KeyValue, StringValue, Value, trace::SpanKind};

/// The attribute with the organisation's id.
pub const ORGANISATION: &str = "countersign.organisation.id";
/// The attribute with the domain's id.
pub const DOMAIN: &str = "countersign.domain.id";
/// The header by which a trace goes on in another program, and how it is stored.
pub const TRACEPARENT: &str = "traceparent";

/// What spans of messages on their way to be delivered have (the queue is ours), by the names of OpenTelemetry's
/// conventions for messaging.
pub(crate) fn about_queue(
    operation: &'static str,
    message: MessageId,
    organisation: OrgId,
    domain: DomainId,
) -> Vec<KeyValue> {
    vec![
        KeyValue::new("messaging.system", "countersign"),
        KeyValue::new("messaging.destination.name", "deliveries"),
        KeyValue::new("messaging.operation.name", operation),
        KeyValue::new("messaging.operation.type", operation),
        KeyValue::new("messaging.message.id", message.to_string()),
        KeyValue::new(ORGANISATION, organisation.to_string()),
        KeyValue::new(DOMAIN, domain.to_string()),
    ]
}

/// How many characters a `traceparent` of version 00 has.
const LENGTH: usize = 55;

/// Makes spans, once there is a tracer.
#[derive(Default)]
pub struct Traces(OnceLock<BoxedTracer>);

/// What a span belongs to.
#[derive(Debug, Clone, Copy)]
pub enum Parent<'a> {
    /// The span that the caller works in, if any; else it begins a trace.
    Current,
    /// The `traceparent` that somebody gave or that was stored. Without one, or one that is none, it begins a trace.
    Of(Option<&'a str>),
}

impl Traces {
    /// From now on spans are made by this tracer; a second one is not taken.
    pub fn go_to(&self, tracer: BoxedTracer) {
        drop(self.0.set(tracer));
    }

    /// Whether spans are made.
    pub fn is_on(&self) -> bool {
        self.0.get().is_some()
    }

    /// Begins a span. It ends when it is dropped.
    pub fn begin(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: Parent<'_>,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> Span {
        let Some(tracer) = self.0.get() else { return Span(None) };
        let parent = match parent {
            Parent::Current => Context::current(),
            Parent::Of(text) => match text.and_then(parse) {
                Some(parent) => Context::new().with_remote_span_context(parent),
                None => Context::new(),
            },
        };
        let span: BoxedSpan = tracer.build_with_context(tracer.span_builder(name).with_kind(kind), &parent);
        let context = parent.with_span(span);
        if context.span().is_recording() {
            context.span().set_attributes(attributes());
        }
        Span(Some(context))
    }

    /// Adds to the span that the caller works in.
    pub fn note(&self, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if self.is_on() {
            Context::map_current(|context| {
                if context.has_active_span() && context.span().is_recording() {
                    context.span().set_attributes(attributes());
                }
            });
        }
    }

    /// Says that the span that the caller works in failed, and the kind of failure in a word of ours.
    pub fn failed(&self, kind: &'static str) {
        if self.is_on() {
            Context::map_current(|context| fail(context, kind));
        }
    }

    /// The span that the caller works in, to be stored with what comes of it later.
    pub fn current(&self) -> Option<String> {
        self.0.get().and_then(|_| Context::map_current(traceparent))
    }
}

/// A span, where there is a tracer.
#[must_use]
pub struct Span(Option<Context>);

impl Span {
    /// No span.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Does something in the span: spans that begin in it belong to it. Not what is spawned there.
    pub async fn around<F: Future>(&self, work: F) -> F::Output {
        match &self.0 {
            Some(context) => work.with_context(context.clone()).await,
            None => work.await,
        }
    }

    /// Adds to the span.
    pub fn note(&self, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if let Some(context) = self.0.as_ref().filter(|context| context.span().is_recording()) {
            context.span().set_attributes(attributes());
        }
    }

    /// Says that it failed, and the kind of failure in a word of ours.
    pub fn failed(&self, kind: impl Into<Cow<'static, str>>) {
        if let Some(context) = &self.0 {
            fail(context, kind);
        }
    }

    /// The span for others: to be stored, or sent along.
    pub fn traceparent(&self) -> Option<String> {
        self.0.as_ref().and_then(traceparent)
    }

    /// The id of the trace, for logs.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.0.as_ref().map(|context| context.span().span_context().trace_id())
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }
}

fn fail(context: &Context, kind: impl Into<Cow<'static, str>>) {
    if context.has_active_span() && context.span().is_recording() {
        context.span().set_attribute(KeyValue::new("error.type", kind.into()));
        context.span().set_status(Status::error(""));
    }
}

fn traceparent(context: &Context) -> Option<String> {
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| {
        let flags = span.trace_flags() & TraceFlags::SAMPLED;
        format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id())
    })
}

/// Reads a `traceparent`: version 00, or a later one by what it has in common with that (§4.3).
fn parse(text: &str) -> Option<SpanContext> {
    let bytes = text.as_bytes();
    let is_lower_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let (head, rest) = (bytes.get(..LENGTH)?, &bytes[LENGTH..]);
    let dashes = [2, 35, 52];
    let is_formed = head
        .iter()
        .enumerate()
        .all(|(place, byte)| if dashes.contains(&place) { *byte == b'-' } else { is_lower_hex(byte) });
    let version = &head[..2];
    let has_known_end = if version == b"00" { rest.is_empty() } else { rest.is_empty() || rest[0] == b'-' };
    if !is_formed || version == b"ff" || !has_known_end {
        return None;
    }
    let trace = TraceId::from_hex(text.get(3..35)?).ok()?;
    let span = SpanId::from_hex(text.get(36..52)?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(text.get(53..55)?, 16).ok()?) & TraceFlags::SAMPLED;
    Some(SpanContext::new(trace, span, flags, true, TraceState::default())).filter(SpanContext::is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_strictly() {
        let read = parse(GOOD).unwrap();
        assert_eq!(read.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(read.span_id().to_string(), "b7ad6b7169203331");
        assert!(read.is_sampled() && read.is_remote());
        assert!(!parse(&GOOD.replace("-01", "-00")).unwrap().is_sampled());
        assert!(parse(&GOOD.replace("-01", "-ff")).unwrap().is_sampled(), "unknown flags are passed over");
        assert!(parse(&format!("cc{}-what-comes-later", &GOOD[2..])).is_some());
        for bad in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-x"),
            &format!("{GOOD}0"),
            &format!("ff{}", &GOOD[2..]),
            &format!("cc{}x", &GOOD[2..]),
            &GOOD.to_uppercase(),
            &GOOD.replace('-', "_"),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
            &"é".repeat(55),
            &format!("{}é{}", &GOOD[..34], &GOOD[36..]),
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn without_a_tracer_nothing_is_made() {
        let traces = Traces::default();
        let span = traces.begin("x", SpanKind::Internal, Parent::Of(Some(GOOD)), || panic!("not asked for"));
        span.note(|| panic!("not asked for"));
        traces.note(|| panic!("not asked for"));
        assert!((span.traceparent(), traces.current(), span.trace_id()) == (None, None, None));
    }
}
