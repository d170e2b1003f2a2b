//! How the rotation of a domain's keys goes on: decided by the keys, their records as they were seen, and the time.
//!
//! A key that the domain's own DNS has (a TXT record of the profile) is not replaced where it is: nobody but the customer can.
//! So it makes room only for a key that takes its place ([`Turn::TakePlace`]), which the customer has published before. Behind
//! an alias, and from beside, any key that is ready signs.

use super::{SPREAD, is_alias, is_seen, record_of};
use diagnosis::RecordReport;
use jiff::Timestamp;
use std::fmt;
use store::{DkimKey, KeyState};

/// Why a rotation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Somebody asks for it, perhaps since somebody else may have the keys that have signed so far.
    Asked { compromised: bool },
    /// Its time has come. What the customer would have to do waits for somebody who asks.
    Due,
    /// A check has seen the record of a key beside; no other key signs because of that.
    Seen,
}

/// How a rotation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn<'a> {
    /// A key signs in place of another one, from where it stands.
    Sign { next: &'a DkimKey, former: &'a DkimKey },
    /// A key beside the profile's signs, and takes the place of that which signed.
    TakePlace { next: &'a DkimKey, former: &'a DkimKey },
    /// A key is put beside that which signs, for the customer to publish; where it `takes_place`, to go where that one is.
    PutBeside { former: &'a DkimKey, takes_place: bool },
    /// That was done, and the record is not seen yet.
    Wait { former: &'a DkimKey },
}

/// Why a rotation does not go on. Displays as the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stuck {
    /// None of the keys signs.
    NoneSigns,
    /// The profile has one alias.
    OneAlias,
    /// Every other key has signed before; the first of them is replaced at this time.
    AllDrain { until: Option<Timestamp> },
    /// No key that stands by was seen.
    NotSeen,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneSigns => f.write_str("none of its keys signs"),
            Self::OneAlias => {
                f.write_str("its profile has one DKIM key, and the next one has to be in place before")
            }
            Self::AllDrain { until } => {
                f.write_str("every other key stays published for mail that it has signed")?;
                match until {
                    Some(at) => write!(f, ", which is until {}", at.strftime("%Y-%m-%d %H:%M UTC")),
                    None => Ok(()),
                }
            }
            Self::NotSeen => f.write_str(
                "the record of the key that would sign next was not seen to be right yet; verify the domain first",
            ),
        }
    }
}

/// How the rotation of a domain's keys goes on.
pub(super) fn turn<'a>(
    keys: &'a [DkimKey],
    records: &[&RecordReport],
    now: Timestamp,
) -> Result<Turn<'a>, Stuck> {
    let active = keys.iter().position(|key| key.state == KeyState::Active).ok_or(Stuck::NoneSigns)?;
    let former = &keys[active];
    let has_alias = |key: &DkimKey| key.beside.is_none() && record_of(key, records).is_some_and(is_alias);
    let is_ready = |key: &DkimKey| {
        let has_spread = key.placed_at.is_none_or(|at| now.duration_since(at) >= SPREAD);
        has_spread && record_of(key, records).is_some_and(|record| is_seen(key, record))
    };
    let takes_place = former.beside.is_none() && !has_alias(former);
    let prepared = keys.iter().find(|key| key.beside.is_some() && key.state == KeyState::Standby);
    if let Some(next) = prepared.filter(|next| is_ready(next)) {
        return Ok(if takes_place { Turn::TakePlace { next, former } } else { Turn::Sign { next, former } });
    }
    let by_customer = match prepared {
        Some(_) => Turn::Wait { former },
        None => Turn::PutBeside { former, takes_place },
    };
    let aliases =
        || (1..=keys.len()).map(|step| &keys[(active + step) % keys.len()]).filter(|key| has_alias(key));
    if takes_place || aliases().next().is_none() {
        return Ok(by_customer);
    }
    // Round and round, so that each has its turn.
    let mut standing_by = aliases().filter(|key| key.state == KeyState::Standby);
    if let Some(next) = standing_by.find(|key| is_ready(key)) {
        return Ok(Turn::Sign { next, former });
    }
    let has_others = aliases().any(|key| key.id != former.id);
    let in_place = || keys.iter().filter(|key| key.beside.is_none());
    if prepared.is_some() || (!has_others && !in_place().all(has_alias)) {
        return Ok(by_customer);
    }
    Err(if !has_others {
        Stuck::OneAlias
    } else if aliases().any(|key| key.state == KeyState::Standby) {
        Stuck::NotSeen
    } else {
        let draining = keys.iter().filter(|key| key.state == KeyState::Draining);
        Stuck::AllDrain { until: draining.filter_map(|key| key.retire_at).min() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_rotation::tests::{at, keys, published, report};
    use KeyState::{Active, Draining, Standby};
    use diagnosis::Report;

    #[test]
    fn keys_take_turns_and_none_signs_before_it_was_seen() {
        let signs = |keys: &[DkimKey], report: &Report, minutes| {
            let records: Vec<_> = report.records.iter().collect();
            match turn(keys, &records, at(minutes)) {
                Ok(Turn::Sign { next, former }) => Ok((next.position, former.position)),
                Ok(other) => Err(format!("{other:?}")),
                Err(stuck) => Err(stuck.to_string()),
            }
        };
        let next = |states: &[KeyState], right: &[bool]| signs(&keys(states), &report(right), 60);
        assert_eq!(next(&[Active, Standby, Standby], &[true; 3]), Ok((1, 0)));
        assert_eq!(next(&[Standby, Active, Standby], &[true; 3]), Ok((2, 1)));
        assert_eq!(next(&[Standby, Draining, Active], &[true; 3]), Ok((0, 2)));
        assert_eq!(next(&[Active, Standby, Standby], &[true, false, true]), Ok((2, 0)));
        assert!(next(&[Active, Standby], &[true, false]).unwrap_err().contains("verify"));
        assert!(next(&[Active, Draining], &[true; 2]).unwrap_err().contains("until"));
        assert!(next(&[Active], &[true]).unwrap_err().contains("one DKIM key"));
        // One that was just put there: resolvers may know the one before.
        let (mut keys, report) = (keys(&[Active, Standby]), report(&[true; 2]));
        keys[1].placed_at = Some(at(55));
        assert!(signs(&keys, &report, 60).is_err());
        assert!(signs(&keys, &report, 65).is_ok());
    }

    #[test]
    fn a_key_that_the_customer_publishes_is_rotated_in_steps() {
        let said = |(keys, report): (Vec<DkimKey>, Report)| {
            let records: Vec<_> = report.records.iter().collect();
            match turn(&keys, &records, at(60)).unwrap() {
                Turn::PutBeside { former, takes_place } => {
                    (if takes_place { "for its place" } else { "beside" }, former.position)
                }
                Turn::Wait { former } => ("wait", former.position),
                Turn::TakePlace { next, .. } => ("place", next.position),
                Turn::Sign { next, .. } => ("sign", next.position),
            }
        };
        assert_eq!(said(published(None)), ("for its place", 0));
        assert_eq!(said(published(Some((Standby, false)))), ("wait", 0));
        assert_eq!(said(published(Some((Standby, true)))), ("place", 1));
        assert_eq!(said(published(Some((Draining, true)))), ("for its place", 0));
        // Of a key that its owner brought along, the domain goes on to the aliases of its profile.
        let (mut keys, mut report) = (keys(&[Standby, Standby, Active]), report(&[true; 3]));
        keys[2].beside = Some("s1".into());
        assert_eq!(said((keys.clone(), report.clone())), ("sign", 0));
        // Beside aliases it signs from where it stands.
        (keys[0].state, keys[2].state) = (Active, Standby);
        assert_eq!(said((keys.clone(), report.clone())), ("sign", 2));
        // While it waits to be published, the aliases go on.
        report.records[2].status = model::RecordStatus::Missing;
        assert_eq!(said((keys.clone(), report.clone())), ("sign", 1));
        keys[1].state = Draining;
        assert_eq!(said((keys, report)), ("wait", 0));
    }

    #[test]
    fn a_key_that_the_customer_publishes_makes_room_only_where_another_one_takes_its_place() {
        // Two aliases, and a key in the customer's own DNS between them.
        let mixed = |states: &[KeyState], right: &[bool]| {
            let (mut keys, mut report) = (keys(states), report(right));
            let planned = std::sync::Arc::make_mut(&mut report.records[1].planned);
            planned.expected =
                diagnosis::Expected::Dkim { public_key: Some(keys[1].public_key.clone()), record: None };
            if let Some(last) = keys.get_mut(3) {
                last.beside = Some("s1".into());
            }
            (keys, report)
        };
        let said = |(keys, report): (Vec<DkimKey>, Report)| {
            let records: Vec<_> = report.records.iter().collect();
            format!(
                "{:?}",
                turn(&keys, &records, at(60)).map(|turn| match turn {
                    Turn::Sign { next, .. } => format!("{} signs", next.position),
                    Turn::TakePlace { next, .. } => format!("{} takes the place", next.position),
                    Turn::PutBeside { takes_place, .. } => format!("beside, {takes_place}"),
                    Turn::Wait { .. } => "wait".to_owned(),
                })
            )
        };
        assert_eq!(said(mixed(&[Active, Standby, Standby], &[true; 3])), r#"Ok("2 signs")"#);
        assert_eq!(
            said(mixed(&[Active, Standby, Draining], &[true; 3])),
            "Err(AllDrain { until: Some(2023-11-14T23:43:20Z) })"
        );
        assert_eq!(said(mixed(&[Standby, Active, Standby], &[true; 3])), r#"Ok("beside, true")"#);
        let beside = [true, true, true, false];
        assert_eq!(said(mixed(&[Standby, Active, Standby, Standby], &beside)), r#"Ok("wait")"#);
        assert_eq!(
            said(mixed(&[Standby, Active, Standby, Standby], &[true; 4])),
            r#"Ok("3 takes the place")"#
        );
        assert_eq!(said(mixed(&[Active, Standby, Standby, Standby], &[true; 4])), r#"Ok("3 signs")"#);
        // One alias alone: the next key comes from beside, and stays there.
        assert_eq!(said(mixed(&[Active, Standby], &[true; 2])), r#"Ok("beside, false")"#);
    }
}
