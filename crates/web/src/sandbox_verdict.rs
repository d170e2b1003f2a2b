//! SPF, DKIM and DMARC of a received message as labels and sentences.

use crate::pill::{Pill, Tone};
use app::mail::{
    authentication::AuthenticationResults, dkim::DkimResult, dmarc::DmarcResult, spf::SpfResult,
};
use explain::shown;

/// One mechanism's verdict.
pub(crate) struct Verdict {
    pub name: &'static str,
    pub pill: Pill,
    pub detail: String,
}

/// How many signatures are shown; a message can have any number.
const MOST_SIGNATURES: usize = 8;

const WAITING: Pill = Pill::new(Tone::Wait, "being judged");
const GIVEN_UP: Pill = Pill::new(Tone::Muted, "not judged");

/// The three labels of the inbox. A message that was judged without a result asked for too many look-ups.
pub(crate) fn short(results: Option<&AuthenticationResults>, judged: bool) -> Vec<(&'static str, Pill)> {
    let Some(results) = results else {
        return vec![("", if judged { GIVEN_UP } else { WAITING })];
    };
    vec![
        ("SPF", spf(results.spf.result)),
        ("DKIM", dkim(best_signature(results))),
        ("DMARC", dmarc(results.dmarc.result)),
    ]
}

/// Every mechanism with what was found.
pub(crate) fn full(results: &AuthenticationResults) -> Vec<Verdict> {
    let mut verdicts =
        vec![Verdict { name: "SPF", pill: spf(results.spf.result), detail: spf_detail(results) }];
    if results.dkim.is_empty() {
        let detail = "The message has no DKIM signature.".to_owned();
        verdicts.push(Verdict { name: "DKIM", pill: dkim(DkimResult::None), detail });
    }
    for (index, signature) in results.dkim.iter().enumerate().take(MOST_SIGNATURES) {
        let domain =
            signature.signing_domain.as_ref().map_or("an unreadable domain", |domain| domain.as_str());
        let selector = signature.selector.as_deref().unwrap_or("?");
        let aligned = results.dmarc.dkim_aligned.get(index).copied().unwrap_or_default();
        let mut detail = format!("Signed by {}, selector {}", shown::value(domain), shown::value(selector));
        if let Some(bits) = signature.key_bits {
            detail = format!("{detail}, {bits}-bit key");
        }
        if signature.result == DkimResult::Pass {
            detail.push_str(alignment(aligned));
        }
        if let Some(reason) = &signature.reason {
            detail = format!("{detail}: {}", shown::value(reason));
        }
        if signature.testing {
            detail.push_str("; the key says that its domain is testing");
        }
        detail.push('.');
        verdicts.push(Verdict { name: "DKIM", pill: dkim(signature.result), detail });
    }
    verdicts.push(Verdict {
        name: "DMARC",
        pill: dmarc(results.dmarc.result),
        detail: dmarc_detail(results),
    });
    verdicts
}

/// Passed, and for the domain that people see, or only for another one.
const fn alignment(aligned: bool) -> &'static str {
    if aligned { ", aligned with the From domain" } else { ", not aligned with the From domain" }
}

fn spf_detail(results: &AuthenticationResults) -> String {
    let spf = &results.spf;
    let mut detail = format!("For {}", shown::value(spf.domain.as_str()));
    if spf.result == SpfResult::Pass {
        detail.push_str(alignment(results.dmarc.spf_aligned));
    }
    detail.push('.');
    detail
}

fn dmarc_detail(results: &AuthenticationResults) -> String {
    let dmarc = &results.dmarc;
    let author = results.author_domain.as_ref().map_or_else(
        || "The message has no single From domain".to_owned(),
        |domain| format!("From domain {}", shown::value(domain.as_str())),
    );
    let why = match (dmarc.result, dmarc.spf_aligned, dmarc.dkim_aligned.contains(&true)) {
        (DmarcResult::Pass, true, true) => "; SPF and DKIM pass and are aligned with it",
        (DmarcResult::Pass, true, false) => "; SPF passes and is aligned with it",
        (DmarcResult::Pass, false, _) => "; DKIM passes and is aligned with it",
        (DmarcResult::Fail, ..) => "; neither SPF nor DKIM passes for an aligned domain",
        (DmarcResult::None, ..) => "; it has no DMARC policy",
        (DmarcResult::TempError | DmarcResult::PermError, ..) => "",
    };
    let reason =
        dmarc.reason.as_deref().map(|reason| format!(": {}", shown::value(reason))).unwrap_or_default();
    format!("{author}{why}{reason}.")
}

/// The best result of all signatures, as DMARC takes it.
fn best_signature(results: &AuthenticationResults) -> DkimResult {
    let rank = |result: DkimResult| match result {
        DkimResult::Pass => 0,
        DkimResult::TempError => 1,
        DkimResult::Policy => 2,
        DkimResult::Neutral => 3,
        DkimResult::Fail => 4,
        DkimResult::PermError => 5,
        DkimResult::None => 6,
    };
    results
        .dkim
        .iter()
        .map(|signature| signature.result)
        .min_by_key(|result| rank(*result))
        .unwrap_or(DkimResult::None)
}

const fn spf(result: SpfResult) -> Pill {
    match result {
        SpfResult::Pass => Pill::new(Tone::Good, "pass"),
        SpfResult::None => Pill::new(Tone::Muted, "none"),
        SpfResult::Neutral => Pill::new(Tone::Warn, "neutral"),
        SpfResult::SoftFail => Pill::new(Tone::Warn, "softfail"),
        SpfResult::TempError => Pill::new(Tone::Warn, "temperror"),
        SpfResult::Fail => Pill::new(Tone::Bad, "fail"),
        SpfResult::PermError => Pill::new(Tone::Bad, "permerror"),
    }
}

const fn dkim(result: DkimResult) -> Pill {
    match result {
        DkimResult::Pass => Pill::new(Tone::Good, "pass"),
        DkimResult::None => Pill::new(Tone::Muted, "none"),
        DkimResult::Neutral => Pill::new(Tone::Warn, "neutral"),
        DkimResult::Policy => Pill::new(Tone::Warn, "policy"),
        DkimResult::TempError => Pill::new(Tone::Warn, "temperror"),
        DkimResult::Fail => Pill::new(Tone::Bad, "fail"),
        DkimResult::PermError => Pill::new(Tone::Bad, "permerror"),
    }
}

const fn dmarc(result: DmarcResult) -> Pill {
    match result {
        DmarcResult::Pass => Pill::new(Tone::Good, "pass"),
        DmarcResult::None => Pill::new(Tone::Muted, "none"),
        DmarcResult::TempError => Pill::new(Tone::Warn, "temperror"),
        DmarcResult::Fail => Pill::new(Tone::Bad, "fail"),
        DmarcResult::PermError => Pill::new(Tone::Bad, "permerror"),
    }
}
