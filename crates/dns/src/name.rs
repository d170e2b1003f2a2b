//! Between the two kinds of names: [`DomainName`] across crates, `domain`'s names on the wire.

use bytes::{Bytes, BytesMut};
use domain::base::{
    Name,
    name::{Label, NameBuilder, ToLabelIter},
};
use model::DomainName;

/// A name in wire format. `None` when it is longer than a message may hold.
pub(crate) fn to_wire(name: &DomainName) -> Option<Name<Bytes>> {
    let mut builder = NameBuilder::<BytesMut>::new_bytes();
    for label in name.wire_labels() {
        builder.append_label(&label).ok()?;
    }
    builder.into_name().ok()
}

/// A name of a message, lower-cased, octets that no host name may have escaped.
pub(crate) fn from_wire(name: &(impl ToLabelIter + ?Sized)) -> Option<DomainName> {
    let labels: Vec<&[u8]> = name.iter_labels().map(Label::as_slice).collect();
    DomainName::from_labels(labels)
}
