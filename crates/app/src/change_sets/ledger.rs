//! The ledger's lines as `publish` wants them, and what a step means for them.

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use model::{LedgerId, RecordData};
use publish::{ChangeSet, Owned, OwnedState, Step};
use store::{LedgerMove, LedgerRow, LedgerState, StoredChangeSet};

/// The same for records that are the same: texts octet by octet, however they are cut.
pub(super) fn digest(data: &RecordData) -> String {
    let mut context = Context::new(&SHA256);
    context.update(&data.record_type().code().to_be_bytes());
    match data {
        RecordData::Txt(text) => text.strings().for_each(|string| context.update(string)),
        other => context.update(other.to_string().as_bytes()),
    }
    if let RecordData::Other { octets, .. } = data {
        context.update(octets);
    }
    base64::engine::general_purpose::STANDARD.encode(context.finish())
}

/// A line as `publish` reads it; none of one that no version of this program wrote.
pub(super) fn owned(row: &LedgerRow) -> Option<Owned> {
    Some(Owned {
        owner: row.owner.clone(),
        data: serde_json::from_str(&row.data).ok()?,
        id: row.host_record_id.clone(),
        state: match row.state {
            LedgerState::Intended => OwnedState::Intended,
            LedgerState::Present => OwnedState::Present,
        },
        rules: row.rules.clone(),
    })
}

/// A line for what a step writes.
pub(super) fn row(stored: &StoredChangeSet, id: LedgerId, owned: &Owned, state: LedgerState) -> LedgerRow {
    LedgerRow {
        id,
        org_id: stored.org_id,
        domain_id: stored.domain_id,
        host: stored.host.clone(),
        zone: stored.zone.clone(),
        owner: owned.owner.clone(),
        digest: digest(&owned.data),
        data: serde_json::to_string(&owned.data).unwrap_or_default(),
        rules: owned.rules.clone(),
        host_record_id: owned.id.clone(),
        state,
        change_set_id: stored.id,
    }
}

/// What it means for the ledger that a step is done: lines that are ours no more go, what it wrote is there. `known` are
/// the domain's lines, and are kept up with it.
pub(super) fn moves(
    stored: &StoredChangeSet,
    set: &ChangeSet,
    step: &Step,
    host_record_id: Option<String>,
    known: &mut Vec<LedgerRow>,
    new_id: LedgerId,
) -> Vec<LedgerMove> {
    let mut moves = Vec::new();
    known.retain(|line| {
        let gone = owned(line).is_some_and(|owned| set.disowns(step, &owned));
        if gone {
            moves.push(LedgerMove::Gone(line.id));
        }
        !gone
    });
    if let Some(owned) = set.owned_after(step) {
        let mut line = row(stored, new_id, &owned, LedgerState::Present);
        line.host_record_id = host_record_id;
        if let Some(same) =
            known.iter_mut().find(|known| known.owner == line.owner && known.digest == line.digest)
        {
            line.id = same.id;
            same.clone_from(&line);
        } else {
            known.push(line.clone());
        }
        moves.push(LedgerMove::Present(line));
    }
    moves
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{DomainName, TxtData};

    #[test]
    fn the_same_has_the_same_digest() {
        let text = |strings: &[&str]| RecordData::Txt(TxtData::from_strings(strings));
        assert_eq!(digest(&text(&["ab", "c"])), digest(&text(&["a", "bc"])));
        let alias = |name| RecordData::Cname(DomainName::parse(name).unwrap());
        assert_eq!(digest(&alias("A.example")), digest(&alias("a.example.")));
        let all = [
            text(&["a.example"]),
            alias("a.example"),
            RecordData::Ns(DomainName::parse("a.example").unwrap()),
            RecordData::Other { code: 99, octets: vec![1] },
            RecordData::Other { code: 99, octets: vec![2] },
        ];
        let digests: std::collections::BTreeSet<String> = all.iter().map(digest).collect();
        assert_eq!(digests.len(), all.len());
    }
}
