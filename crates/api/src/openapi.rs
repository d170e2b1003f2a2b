//! The OpenAPI document: made from the routes, completed with what all of them have in common.

use crate::problem::{Code, MEDIA_TYPE, ProblemDocument};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, Content, Info, License, ObjectBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
        Response, ResponseBuilder, Type,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
        tag::TagBuilder,
    },
};

const DESCRIPTION: &str = "\
Sender domains: their DNS records planned, observed and verified; then mail sent from them, signed.

Every request needs an API key: `Authorization: Bearer cs_…`. Each operation names the scopes that it asks of the key; \
`admin` stands for all of them. A key sees what is its organisation's; one that is bound to a tenant, or a request with the \
header `X-Countersign-Tenant-Ref`, only what is the tenant's; one with `allowed_domain_ids` only those domains and their \
messages. A root key, made at the platform's machine, names the organisation that it acts in: \\
`X-Countersign-Organisation: org_…`. Unknown fields and parameters are refused, not ignored. \
Refusals are problem documents (RFC 9457) with a stable `code`; `/docs/errors` lists them. Lists come in pages, with \
`next_cursor` as `cursor` of the next one. How often a key may call is told in every answer: `RateLimit-Limit` requests of \
a kind (reading, changing, sending, verifying) in a minute, `RateLimit-Remaining` of them left, all of them again after \
`RateLimit-Reset` seconds. Times are RFC 3339 in UTC. Words that are called open may get more values: \
take those that you do not know as you would take none.";

const TAGS: &[(&str, &str)] = &[
    ("domains", "Sender domains: add, verify, look at, delete."),
    ("checks", "Any domain, looked at once."),
    ("emails", "Send, and see what became of it."),
    ("events", "What happened, to poll."),
    ("webhooks", "Addresses of yours that are told what happens."),
    ("keys", "API keys: make, rotate, revoke."),
    ("tenants", "Your customers, by your own names for them."),
    ("suppressions", "Addresses that get no mail."),
    ("members", "Who belongs to the organisation."),
    ("organisations", "Who has a part of the platform; for those who run it."),
    ("audit", "Who changed what."),
    ("sandbox", "The inbox that takes all mail in place of the world."),
    ("playground", "Zones of a stand-in DNS host; in development only."),
    ("profiles", "Which records can be asked of a domain."),
    (
        "dns",
        "Records written at the DNS host: planned, shown, applied, taken back; credentials that are kept for it.",
    ),
    ("dns-hosts", "DNS hosts that are recognised."),
];

/// The OpenAPI 3.1 document of the whole API, the same at every call.
pub fn openapi() -> OpenApi {
    let mut document = crate::routes().into_openapi();
    for item in document.paths.paths.values_mut() {
        if let Some(operation) = &mut item.post {
            may_be_repeated(operation);
        }
        for operation in operations(item) {
            complete(operation);
        }
    }
    document
}

/// What stands around the paths.
pub(crate) fn frame() -> OpenApi {
    let mut info = Info::new("Countersign", env!("CARGO_PKG_VERSION"));
    info.description = Some(DESCRIPTION.to_owned());
    info.license = Some(License::new(env!("CARGO_PKG_LICENSE")));
    let mut components = Components::new();
    components.add_security_scheme(
        "api_key",
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("cs_…")
                .description(Some("An API key"))
                .build(),
        ),
    );
    let mut schemas = vec![(ProblemDocument::name().into_owned(), ProblemDocument::schema())];
    ProblemDocument::schemas(&mut schemas);
    components.schemas.extend(schemas);
    components.responses.extend(REFUSALS.iter().map(|(_, name, description, codes)| {
        let codes: Vec<_> = codes.iter().map(|code| format!("`{}`", code.as_str())).collect();
        let description = format!("{description} Codes: {}.", codes.join(", "));
        ((*name).to_owned(), RefOr::T(problem(&description)))
    }));
    let tag = |(name, text): &(&str, &str)| TagBuilder::new().name(*name).description(Some(*text)).build();
    let tags: Vec<_> = TAGS.iter().map(tag).collect();
    OpenApiBuilder::new()
        .info(info)
        .tags(Some(tags))
        .components(Some(components))
        .security(Some([SecurityRequirement::new("api_key", [""; 0])]))
        .build()
}

/// The refusals that operations share: status, name, meaning, codes.
const REFUSALS: &[(&str, &str, &str, &[Code])] = &[
    ("400", "NotJson", "The body is not JSON.", &[Code::InvalidJson]),
    ("401", "Unauthenticated", "No API key, or one that is not valid.", &[Code::Unauthenticated]),
    (
        "403",
        "Forbidden",
        "The key may not do this.",
        &[
            Code::ScopeMissing,
            Code::DomainNotAllowedForKey,
            Code::DomainTenantMismatch,
            Code::DomainDisabled,
            Code::KeyIsLimited,
            Code::KeyRightsExceeded,
            Code::OrganisationDisabled,
            Code::OperatorOnly,
        ],
    ),
    (
        "404",
        "NotFound",
        "Nothing there, or this key may not see it.",
        &[
            Code::NotFound,
            Code::DomainNotFound,
            Code::MessageNotFound,
            Code::SandboxMessageNotFound,
            Code::KeyNotFound,
            Code::TenantNotFound,
            Code::SuppressionNotFound,
            Code::WebhookNotFound,
            Code::WebhookDeliveryNotFound,
            Code::OrganisationNotFound,
        ],
    ),
    ("413", "TooLarge", "The body, or what was made of it, is too large.", &[Code::PayloadTooLarge]),
    ("415", "WrongMediaType", "The body is not sent as JSON.", &[Code::UnsupportedMediaType]),
    (
        "409",
        "Conflict",
        "The Idempotency-Key is in use.",
        &[Code::IdempotencyKeyReused, Code::IdempotencyInProgress],
    ),
    (
        "422",
        "Invalid",
        "Understood, and not possible like this.",
        &[
            Code::InvalidRequest,
            Code::DomainInvalid,
            Code::DomainFreeMail,
            Code::DomainPublicSuffix,
            Code::DomainNotFound,
            Code::DomainPendingVerification,
            Code::RecipientSuppressed,
            Code::WebhookTargetRefused,
        ],
    ),
    (
        "429",
        "RateLimited",
        "This key asks more often than it may; Retry-After says when to go on.",
        &[Code::RateLimited],
    ),
    ("500", "Internal", "A fault on our side.", &[Code::Internal]),
    ("503", "Unavailable", "Not possible right now; try again.", &[Code::Unavailable, Code::Busy]),
    ("504", "Timeout", "The request took too long.", &[Code::Timeout]),
];

fn problem(description: &str) -> Response {
    let schema = Ref::from_schema_name(ProblemDocument::name());
    ResponseBuilder::new().description(description).content(MEDIA_TYPE, Content::new(Some(schema))).build()
}

/// Every operation of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

/// The header that narrows a request to one tenant.
fn tenant_header() -> Parameter {
    const TEXT: &str = "Your own name for one of your customers, 1 to 128 printable ASCII characters: only what is this \
         tenant's is seen and used. What is added is the tenant's, which is made where it is not there yet.";
    ParameterBuilder::new()
        .name(app::tenants::HEADER)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(TEXT))
        .schema(Some(
            ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(128)),
        ))
        .example(Some(serde_json::json!("cust_12345")))
        .build()
}

/// Adds to a POST what is said of its `Idempotency-Key`.
fn may_be_repeated(operation: &mut Operation) {
    const TEXT: &str = "A word of your choice that stands for this request, such as a UUID. Where the answer was lost, the \
         same request with the same key is not carried out again: it gets the first answer, for 24 hours, with the header \
         `Idempotency-Replayed: true`. Answers 400, 422, 429 and 5xx are not kept.";
    let key = ParameterBuilder::new()
        .name(crate::idempotency::HEADER)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(TEXT))
        .schema(Some(
            ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255)),
        ))
        .example(Some(serde_json::json!("4e1a0f7c-8d5b-4c1e-9d3f-2a6b7c8d9e0f")))
        .build();
    operation.parameters.get_or_insert_default().push(RefOr::T(key));
    // Where there is nothing to say, a body is read all the same.
    for (status, name) in [("400", "NotJson"), ("413", "TooLarge")] {
        let reference = RefOr::Ref(Ref::from_response_name(name));
        operation.responses.responses.entry(status.to_owned()).or_insert(reference);
    }
    let conflict = [Code::IdempotencyKeyReused, Code::IdempotencyInProgress].map(Code::as_str);
    let said = format!(" With an `Idempotency-Key`: `{}`, `{}`.", conflict[0], conflict[1]);
    match operation.responses.responses.get_mut("409") {
        Some(RefOr::T(response)) => response.description.push_str(&said),
        Some(RefOr::Ref(_)) => {}
        None => {
            let reference = RefOr::Ref(Ref::from_response_name("Conflict"));
            operation.responses.responses.insert("409".to_owned(), reference);
        }
    }
}

/// Adds the refusals that follow from an operation's shape, so that no route can forget them.
fn complete(operation: &mut Operation) {
    let about_tenants =
        ["domains", "emails", "events", "keys", "sandbox", "suppressions", "tenants", "webhooks"];
    if operation.tags.iter().flatten().any(|tag| about_tenants.contains(&tag.as_str())) {
        operation.parameters.get_or_insert_default().push(RefOr::T(tenant_header()));
    }
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let has = |place: &ParameterIn| {
        parameters
            .iter()
            .any(|parameter| matches!(parameter, RefOr::T(found) if found.parameter_in == *place))
    };
    let in_path = has(&ParameterIn::Path);
    let in_development = operation.tags.iter().flatten().any(|tag| tag == "playground");
    let in_query = has(&ParameterIn::Query) || has(&ParameterIn::Header);
    let has_body = operation.request_body.is_some();
    for (status, name, ..) in REFUSALS {
        let applies = match *status {
            "400" | "413" | "415" => has_body,
            "404" => in_path || in_development,
            // Said where it is of this operation.
            "409" => false,
            "422" => has_body || in_query,
            _ => true,
        };
        if applies {
            let reference = Ref::from_response_name(*name);
            operation.responses.responses.entry((*status).to_owned()).or_insert(RefOr::Ref(reference));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn document() -> Value {
        serde_json::to_value(openapi()).unwrap()
    }

    fn all_operations(document: &Value) -> Vec<(String, &Value)> {
        let mut found = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                found.push((format!("{method} {path}"), operation));
            }
        }
        found
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a list")]
    fn it_is_openapi_3_1_with_every_noun() {
        let document = document();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let operations: BTreeSet<_> = all_operations(&document).into_iter().map(|(name, _)| name).collect();
        let wanted = BTreeSet::from([
            "post /api/v1/domains",
            "get /api/v1/domains",
            "get /api/v1/domains/{id}",
            "delete /api/v1/domains/{id}",
            "patch /api/v1/domains/{id}",
            "post /api/v1/domains/{id}/verify",
            "post /api/v1/domains/{id}/claim",
            "post /api/v1/domains/{id}/domain-connect",
            "get /api/v1/domains/{id}/keys",
            "post /api/v1/domains/{id}/keys",
            "post /api/v1/domains/{id}/keys/rotate",
            "post /api/v1/domains/{id}/keys/discard",
            "get /api/v1/domains/{id}/records",
            "get /api/v1/domains/{id}/report",
            "get /api/v1/domains/{id}/observation",
            "get /api/v1/domains/{id}/readiness",
            "get /api/v1/domains/{id}/reputation",
            "post /api/v1/domains/{id}/resume",
            "get /api/v1/tenants/{id}/reputation",
            "post /api/v1/tenants/{id}/resume",
            "post /api/v1/emails/{id}/complaints",
            "post /api/v1/contacts/{id}/resend",
            "post /api/v1/checks",
            "post /api/v1/emails",
            "get /api/v1/emails",
            "get /api/v1/emails/{id}",
            "get /api/v1/events",
            "post /api/v1/organisations",
            "get /api/v1/organisations",
            "get /api/v1/organisations/{id}",
            "patch /api/v1/organisations/{id}",
            "post /api/v1/organisations/{id}/disable",
            "post /api/v1/organisations/{id}/enable",
            "get /api/v1/webhooks",
            "post /api/v1/webhooks",
            "get /api/v1/webhooks/{id}",
            "patch /api/v1/webhooks/{id}",
            "delete /api/v1/webhooks/{id}",
            "post /api/v1/webhooks/{id}/rotate",
            "post /api/v1/webhooks/{id}/test",
            "post /api/v1/webhooks/{id}/replay",
            "get /api/v1/webhooks/{id}/deliveries",
            "get /api/v1/webhook-deliveries/{id}",
            "post /api/v1/webhook-deliveries/{id}/replay",
            "get /api/v1/sandbox/messages",
            "post /api/v1/sandbox/domain",
            "delete /api/v1/sandbox/messages",
            "get /api/v1/sandbox/messages/{id}",
            "get /api/v1/sandbox/messages/{id}/raw",
            "get /api/v1/playground/zones",
            "post /api/v1/playground/zones",
            "get /api/v1/playground/zones/{id}",
            "delete /api/v1/playground/zones/{id}",
            "post /api/v1/playground/zones/{id}/records",
            "post /api/v1/playground/domains/{id}/publish",
            "put /api/v1/playground/records/{id}",
            "delete /api/v1/playground/records/{id}",
            "get /api/v1/profiles",
            "get /api/v1/profiles/{id}/template",
            "get /api/v1/dns-hosts",
            "get /api/v1/keys",
            "post /api/v1/keys",
            "get /api/v1/keys/{id}",
            "delete /api/v1/keys/{id}",
            "post /api/v1/keys/{id}/rotate",
            "get /api/v1/tenants",
            "get /api/v1/dns-connections",
            "post /api/v1/dns-connections",
            "get /api/v1/dns-connections/{id}",
            "patch /api/v1/dns-connections/{id}",
            "delete /api/v1/dns-connections/{id}",
            "post /api/v1/dns-connections/{id}/check",
            "get /api/v1/domains/{id}/change-sets",
            "post /api/v1/domains/{id}/change-sets",
            "get /api/v1/change-sets/{id}",
            "post /api/v1/change-sets/{id}/apply",
            "post /api/v1/change-sets/{id}/undo",
            "get /api/v1/contacts",
            "post /api/v1/contacts",
            "delete /api/v1/contacts/{id}",
            "get /api/v1/domains/{id}/setup-links",
            "post /api/v1/domains/{id}/setup-links",
            "delete /api/v1/setup-links/{id}",
            "post /api/v1/domains/{id}/disable",
            "post /api/v1/domains/{id}/enable",
            "post /api/v1/tenants",
            "get /api/v1/tenants/{id}",
            "get /api/v1/organisation",
            "patch /api/v1/organisation",
            "get /api/v1/members",
            "get /api/v1/members/{id}",
            "patch /api/v1/members/{id}",
            "delete /api/v1/members/{id}",
            "get /api/v1/invitations",
            "post /api/v1/invitations",
            "delete /api/v1/invitations",
            "get /api/v1/audit",
            "get /api/v1/suppressions",
            "post /api/v1/suppressions",
            "get /api/v1/suppressions/{id}",
            "delete /api/v1/suppressions/{id}",
        ]);
        let operations: BTreeSet<_> = operations.iter().map(String::as_str).collect();
        assert_eq!(operations, wanted, "a new operation belongs into this list");
    }

    #[test]
    fn every_operation_documents_its_refusals_as_problems() {
        let document = document();
        for (name, operation) in all_operations(&document) {
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
            for status in ["401", "403", "429", "500", "503"] {
                assert!(responses.contains_key(status), "{name} {status}");
            }
            let may_be_missing = name.contains("{id}") || name.contains("/playground/");
            assert!(responses.contains_key("404") || !may_be_missing, "{name}");
            assert_eq!(responses.contains_key("415"), operation["requestBody"].is_object(), "{name}");
            for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with('2')) {
                let response = match response["$ref"].as_str() {
                    None => response,
                    Some(reference) => {
                        &document["components"]["responses"][reference.rsplit('/').next().unwrap()]
                    }
                };
                assert!(response["content"][MEDIA_TYPE]["schema"].is_object(), "{name} {status}");
            }
        }
        let format = &document["paths"]["/api/v1/domains/{id}/records"]["get"]["parameters"][1]["schema"];
        assert_eq!(
            format["enum"],
            serde_json::json!([
                "json",
                "csv",
                "zone",
                "text",
                "terraform-cloudflare",
                "terraform-route53",
                "cloudformation",
                "octodns",
                "dnscontrol"
            ])
        );
        assert_eq!(document["security"][0]["api_key"], serde_json::json!([]));
    }

    #[test]
    fn every_reference_leads_somewhere_nothing_contradicts_itself_and_operations_have_names_of_their_own() {
        let document = document();
        let mut pending = vec![&document];
        while let Some(value) = pending.pop() {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(reference)) = map.get("$ref") {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    // What must be a string and an object at once is nothing that can be sent.
                    let types: BTreeSet<_> = map
                        .get("allOf")
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten()
                        .filter_map(|part| part["type"].as_str())
                        .collect();
                    assert!(types.len() < 2, "{map:?}");
                    pending.extend(map.values());
                }
                Value::Array(items) => pending.extend(items),
                _ => {}
            }
        }
        let operations = all_operations(&document);
        let names: BTreeSet<_> =
            operations.iter().map(|(_, op)| op["operationId"].as_str().unwrap()).collect();
        assert_eq!(names.len(), operations.len());
        let tags: BTreeSet<_> = TAGS.iter().map(|(name, _)| *name).collect();
        assert!(operations.iter().all(|(_, op)| tags.contains(op["tags"][0].as_str().unwrap())));
    }
}
