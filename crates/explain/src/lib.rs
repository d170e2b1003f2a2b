//! Every word about findings and DNS hosts.
//!
//! The way of the data: a [`diagnosis::Report`] comes in; [`hosts`] recognises the DNS host by the zone's name
//! servers; [`catalogue`] puts each finding into words and into steps for that host's panel; [`view`] joins them
//! for API and web; [`render`] makes text, Markdown, HTML or JSON of the whole. Time comes in as an argument.
//!
//! Nothing here diagnoses, asks DNS or writes records. What strangers wrote into DNS is shown cut to a bounded
//! length and without control characters ([`shown`]).

mod candidates;
pub mod catalogue;
pub mod clock;
pub mod hosts;
pub mod paste;
pub mod render;
pub mod shown;
mod verdict;
pub mod view;

pub use candidates::guide;
pub use catalogue::{Page, Place, page, reference, steps, title, why};
pub use hosts::{Certainty, Detection, Host, HostField};
pub use paste::{Paste, Point, Step};
pub use verdict::{Group, meaning, summary};
pub use view::{DnsHost, FindingView, dns_host, finding_view, finding_view_at, record_explanation};
