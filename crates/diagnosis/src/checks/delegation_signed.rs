//! The delegation promises signatures that there are not
//!
//! The zone above has a DS record for the subdomain, and our name servers do not sign.
//!
//! # Why it matters
//!
//! Resolvers that validate take every answer for forged and give none: receivers defer or refuse the mail.
//!
//! # What to do
//!
//! 1. At the DNS host of the domain, delete the DS record of the subdomain. The domain itself may stay signed.
//!
//! # References
//!
//! - RFC 4035 §5.2
//! - RFC 4034 §5

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    sub_zone::DS,
};
use model::Severity;

pub fn finding(context: &Context<'_>) -> Finding {
    let zone = context.record.owner.clone();
    let remedy = Remedy::Remove { name: zone.clone(), record_types: vec![DS], values: Vec::new() };
    context.finding(Defect::DelegationSigned { zone }, Severity::Error, remedy)
}
