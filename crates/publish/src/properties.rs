//! What holds for every zone, every want and every ledger, tried on zones made at random.

use crate::{model_host::ModelHost, *};
use model::{DomainName, Record, RecordData, RecordType, TxtData};
use proptest::prelude::*;
use std::collections::BTreeSet;

const TYPES: &[RecordType] =
    &[RecordType::A, RecordType::Aaaa, RecordType::Cname, RecordType::Mx, RecordType::Ns, RecordType::Txt];
const OURS: &str = "include:spf.send.test";
const NAMES: &[&str] = &[
    "acme.test",
    "mail.acme.test",
    "k._domainkey.acme.test",
    "_dmarc.acme.test",
    "sub.acme.test",
    "x.sub.acme.test",
];
const TEXTS: &[&str] = &[
    "v=spf1 mx -all",
    "v=spf1 a  ?include:spf.send.test ~all",
    "v=spf1 include:spf.send.test -all",
    "v=spf1 redirect=b.test",
    "v=DMARC1; p=none",
    "v=DMARC1; p=reject",
    "v=DMARC1; p=what",
    "v=DKIM1; p=AAAA",
    "v=DKIM1; p=BBBB",
    "site-proof=1",
    "site-proof=2",
];

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn text(text: &str) -> RecordData {
    RecordData::Txt(TxtData::from_text(text))
}

fn capabilities(grain: Grain, set_ttl: bool, atomic: Atomic) -> Capabilities {
    Capabilities {
        grain,
        atomic,
        ttl: (60, 86_400),
        set_ttl,
        proxies: true,
        types: TYPES,
        text_max: 2_000,
        set_text_max: 4_000,
    }
}

fn data() -> impl Strategy<Value = RecordData> {
    prop_oneof![
        4 => proptest::sample::select(TEXTS).prop_map(text),
        1 => (1_u8..4).prop_map(|n| RecordData::A([192, 0, 2, n].into())),
        1 => (1_u8..3).prop_map(|n| RecordData::Cname(name(&format!("t{n}.other.test")))),
        1 => (1_u8..3).prop_map(|n| RecordData::Mx {
            preference: 10, exchange: name(&format!("mx{n}.other.test")),
        }),
        1 => Just(RecordData::Ns(name("ns.other.test"))),
    ]
}

/// A record, whether the ledger has it, and whether it is so by the host's name for it alone.
#[derive(Debug, Clone)]
struct Seed {
    record: ZoneRecord,
    ours: bool,
    changed: bool,
}

fn seed() -> impl Strategy<Value = Seed> {
    let flags = (any::<bool>(), proptest::bool::weighted(0.15), proptest::bool::weighted(0.1));
    (proptest::sample::select(NAMES), data(), 0_u32..3, flags, proptest::bool::weighted(0.1)).prop_map(
        |(owner, data, ttl, (ours, changed, opaque), proxied)| {
            let mut record =
                ZoneRecord::plain(Record { owner: name(owner), ttl: [60, 300, 3_600][ttl as usize], data });
            record.proxied = proxied && matches!(record.record.data, RecordData::Cname(_) | RecordData::A(_));
            if opaque {
                record.kept = Kept::Opaque;
            }
            Seed { record, ours: ours && !opaque, changed }
        },
    )
}

/// A zone that a host can have: no data beside an alias, nothing twice, one TTL in a set.
fn possible(seeds: Vec<Seed>) -> Vec<Seed> {
    let mut zone: Vec<Seed> = Vec::new();
    for mut seed in seeds {
        let new = &seed.record.record;
        let at = || zone.iter().filter(|one| one.record.record.owner == new.owner);
        let alias = |data: &RecordData| data.record_type() == RecordType::Cname;
        let clash = at().any(|one| {
            let old = &one.record.record.data;
            alias(old) || alias(&new.data) || same_data(old, &new.data)
        });
        let apex_only = new.owner == name("acme.test") && alias(&new.data);
        if clash || apex_only {
            continue;
        }
        let ttl = at()
            .find(|one| one.record.record.data.record_type() == new.data.record_type())
            .map(|one| one.record.record.ttl);
        seed.record.record.ttl = ttl.unwrap_or(seed.record.record.ttl);
        zone.push(seed);
    }
    zone
}

fn want() -> impl Strategy<Value = Want> {
    let displaces = prop_oneof![
        Just(Displaces::Nothing),
        Just(Displaces::All),
        Just(Displaces::Prefix("site-proof".to_owned())),
    ];
    prop_oneof![
        3 => data().prop_filter("an address, alias or name server", |data| data.text().is_none())
            .prop_map(|data| Want::Exactly { data }),
        3 => (proptest::sample::select(&TEXTS[7..]), displaces)
            .prop_map(|(value, displaces)| Want::Text { value: value.to_owned(), displaces }),
        3 => (proptest::sample::select(&[OURS, "include:spf.send.test ip4:192.0.2.9"][..]), 0_u8..4)
            .prop_map(|(rules, more)| Want::Spf {
                rules: rules.to_owned(), lookups_after: (more > 0).then_some(more * 3 + 1),
            }),
        2 => Just(Want::Policy { begins: "v=DMARC1".to_owned(), suggested: "v=DMARC1; p=none".to_owned() }),
        1 => (1_u8..3).prop_map(|n| Want::OnlyExchanger {
            preference: 20, exchange: name(&format!("mx{n}.other.test")),
        }),
    ]
}

fn required() -> impl Strategy<Value = Vec<Required>> {
    let one = (proptest::sample::select(NAMES), want(), 0_u32..3, any::<bool>());
    proptest::collection::vec(one, 0..6).prop_map(|all| {
        let of = |(at, (owner, want, ttl, essential)): (usize, (&str, Want, u32, bool))| Required {
            key: format!("r{at}"),
            owner: name(owner),
            ttl: [30, 300, 100_000][ttl as usize],
            essential,
            want,
        };
        all.into_iter().enumerate().map(of).collect()
    })
}

fn host(seeds: &[Seed], capabilities: Capabilities) -> (ModelHost, Vec<Owned>) {
    let records = seeds.iter().map(|seed| ZoneRecord {
        // Hosts that hide records behind their own addresses have records with names.
        proxied: seed.record.proxied && capabilities.grain == Grain::Record,
        ..seed.record.clone()
    });
    let records = records.collect();
    let host = ModelHost::new(name("acme.test"), capabilities, records);
    let ledger = seeds
        .iter()
        .zip(host.list().records)
        .filter(|(seed, _)| seed.ours)
        .map(|(seed, record)| Owned {
            owner: record.record.owner,
            // The host's own name tells that it is ours, though somebody wrote another value into it.
            data: if seed.changed { text("what it was once") } else { record.record.data },
            id: record.id,
            state: OwnedState::Present,
            rules: None,
        })
        .collect();
    (host, ledger)
}

fn arbitrary_capabilities() -> impl Strategy<Value = Capabilities> {
    let grain = prop_oneof![3 => Just(Grain::Record), 2 => Just(Grain::Set), 1 => Just(Grain::Zone)];
    let atomic = prop_oneof![Just(Atomic::Each), Just(Atomic::Batch(2)), Just(Atomic::Batch(200))];
    (grain, any::<bool>(), atomic).prop_map(|(grain, set_ttl, atomic)| capabilities(grain, set_ttl, atomic))
}

/// Writes down what came of these steps.
fn write_down(ledger: &mut Vec<Owned>, set: &ChangeSet, written: &[Written]) {
    for done in written {
        let step = &set.steps[usize::from(done.step)];
        ledger.retain(|owned| !set.disowns(step, owned));
        if let Some(owned) = set.owned_after(step) {
            ledger.push(Owned { id: done.id.clone(), state: OwnedState::Present, ..owned });
        }
    }
}

/// Writes all batches; what the host said no to is a fault of ours.
fn apply(host: &mut ModelHost, set: &ChangeSet, ledger: &mut Vec<Owned>) {
    let zone = host.list();
    assert_eq!(guard(set, &zone, host.capabilities.grain), Ok(()));
    for batch in batches(set, &host.capabilities, &zone) {
        let written = host.write(&batch).unwrap_or_else(|error| panic!("{error:?}\n{batch:#?}\n{zone:#?}"));
        write_down(ledger, set, &written);
    }
}

/// What a resolver would see.
fn seen(host: &ModelHost) -> Vec<String> {
    let mut all: Vec<String> =
        host.list().records.iter().map(|one| format!("{:?} {}", one.record, one.proxied)).collect();
    all.sort();
    all
}

fn is_foreign(ledger: &[Owned], record: &ZoneRecord) -> bool {
    !ledger.iter().any(|owned| {
        owned.owner == record.record.owner
            && (same_data(&owned.data, &record.record.data) || owned.id.is_some() && owned.id == record.id)
    })
}

fn is_spf(record: &ZoneRecord) -> bool {
    record.record.data.text().is_some_and(|text| mail::spf::is_spf_record(&text))
}

fn spf_count(host: &ModelHost, owner: &str) -> usize {
    host.list().records.iter().filter(|one| one.record.owner == name(owner) && is_spf(one)).count()
}

/// Whether the terms of `old` that are not ours are all in `new`, in their order.
fn keeps_terms(old: &str, new: &str) -> bool {
    let foreign = |text: &str| -> Vec<String> {
        text.split(' ')
            .filter(|word| !word.is_empty() && !word.contains("send.test"))
            .map(str::to_owned)
            .collect()
    };
    let (old, new) = (foreign(old), foreign(new));
    let mut new = new.into_iter();
    old.into_iter().all(|word| new.any(|other| other == word))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_converges_and_leaves_what_is_not_ours(
        seeds in proptest::collection::vec(seed(), 0..14).prop_map(possible),
        required in required(),
        can in arbitrary_capabilities(),
    ) {
        let (mut host, mut ledger) = host(&seeds, can);
        let before = host.list();
        let set = plan(&required, &before, &can, &ledger);
        let json = serde_json::to_string(&set).unwrap();
        prop_assert_eq!(&serde_json::from_str::<ChangeSet>(&json).unwrap(), &set);
        let foreign: Vec<ZoneRecord> =
            before.records.iter().filter(|record| is_foreign(&ledger, record)).cloned().collect();
        let spf_before: Vec<usize> = NAMES.iter().map(|name| spf_count(&host, name)).collect();
        apply(&mut host, &set, &mut ledger);

        let after = host.list();
        let again = plan(&required, &after, &can, &ledger);
        prop_assert_eq!(&again.steps, &vec![], "{:#?}", set);
        prop_assert!(batches(&again, &can, &after).is_empty());
        for record in &foreign {
            let same = |one: &&ZoneRecord| one.record.owner == record.record.owner
                && one.record.data == record.record.data;
            let there = after.records.iter().find(same);
            if let Some(there) = there {
                prop_assert_eq!(there.record.ttl, record.record.ttl);
                prop_assert_eq!((there.proxied, there.kept), (record.proxied, record.kept));
                if can.grain == Grain::Record {
                    prop_assert_eq!(&there.id, &record.id);
                }
            } else {
                prop_assert!(is_spf(record), "lost: {:?}\n{:#?}", record, set);
                let old = record.record.data.text().unwrap();
                let merged = set.steps.iter().any(|step| matches!(&step.action,
                    Action::Replace { old: replaced, new, why: Why::SpfMerge }
                        if replaced == record && keeps_terms(&old, &new.data.text().unwrap())));
                let joined = set.steps.iter().any(|step|
                    matches!(&step.action, Action::Replace { why: Why::SpfJoin, .. })
                        || matches!(&step.action, Action::Remove { old } if old == record));
                prop_assert!(merged || joined && set.takes_from_others(), "{:?}\n{:#?}", record, set);
            }
        }
        for (owner, before) in NAMES.iter().zip(spf_before) {
            prop_assert!(spf_count(&host, owner) <= before.max(1));
        }
        for new in set.steps.iter().filter_map(|step| step.action.after()) {
            prop_assert!((60..=86_400).contains(&new.ttl));
        }
        for one in &required {
            let told = set.settled.contains(&one.key)
                || set.blocked.iter().any(|blocked| blocked.key == one.key)
                || set.steps.iter().any(|step| step.key == one.key);
            prop_assert!(told, "nothing is said of {one:?}");
        }
    }

    #[test]
    fn what_is_left_of_a_plan_fits_the_zone_that_it_was_made_from(
        seeds in proptest::collection::vec(seed(), 0..14).prop_map(possible),
        required in required(),
        can in arbitrary_capabilities(),
        kept in proptest::collection::vec(any::<bool>(), 32),
    ) {
        let (host, ledger) = host(&seeds, can);
        let zone = host.list();
        let mut set = plan(&required, &zone, &can, &ledger);
        set.keep(can.grain, |step| kept[usize::from(step.id) % kept.len()]);
        prop_assert_eq!(guard(&set, &zone, can.grain), Ok(()));
        prop_assert!(rest(&set, &BTreeSet::new(), &zone, can.grain).is_ok());
        prop_assert!(set.foreign.iter().all(|id| set.steps.iter().any(|step| step.id == *id)));
    }

    #[test]
    fn cut_anywhere_the_next_one_comes_to_the_same(
        seeds in proptest::collection::vec(seed(), 0..14).prop_map(possible),
        required in required(),
        can in arbitrary_capabilities(),
        cut in 0_usize..6,
        is_written_down in any::<bool>(),
    ) {
        let (whole, ledger) = host(&seeds, can);
        let zone = whole.list();
        let set = plan(&required, &zone, &can, &ledger);
        let (mut straight, mut ledger_of_straight) = (whole.clone(), ledger.clone());
        apply(&mut straight, &set, &mut ledger_of_straight);

        let (mut host, mut ledger) = (whole, ledger);
        let all = batches(&set, &can, &zone);
        let count = cut.min(all.len());
        for (at, batch) in all.iter().take(count).enumerate() {
            let written = host.write(batch).unwrap();
            if at + 1 < count || is_written_down {
                write_down(&mut ledger, &set, &written);
            }
        }
        // Intents were written down before; those that nothing came of are forgotten after a look.
        let now = host.list();
        for owned in set.steps.iter().filter_map(|step| set.owned_after(step)) {
            let is_there = now.records.iter().any(|one| {
                one.record.owner == owned.owner && same_data(&one.record.data, &owned.data)
            });
            let is_known = ledger.iter().any(|known| {
                known.owner == owned.owner && same_data(&known.data, &owned.data)
            });
            if is_there && !is_known {
                ledger.push(owned);
            }
        }
        let rest = plan(&required, &now, &can, &ledger);
        apply(&mut host, &rest, &mut ledger);
        prop_assert_eq!(seen(&host), seen(&straight), "{:#?}\n{:#?}", set, rest);
    }

    #[test]
    fn a_change_set_that_was_cut_off_goes_on(
        seeds in proptest::collection::vec(seed(), 0..14).prop_map(possible),
        required in required(),
        can in arbitrary_capabilities(),
        cut in 0_usize..6,
    ) {
        let (whole, ledger) = host(&seeds, can);
        let zone = whole.list();
        let set = plan(&required, &zone, &can, &ledger);
        let (mut straight, mut ledger_of_straight) = (whole.clone(), ledger);
        apply(&mut straight, &set, &mut ledger_of_straight);
        let mut host = whole;
        let all = batches(&set, &can, &zone);
        let mut sent = BTreeSet::new();
        for batch in all.iter().take(cut) {
            host.write(batch).unwrap();
            sent.extend(batch.steps.iter().copied());
        }
        let now = host.list();
        let done = seen_done(&set, &now);
        prop_assert!(sent.is_subset(&done), "{:?} {:?}\n{:#?}", sent, done, set);
        let rest = rest(&set, &done, &now, can.grain).unwrap();
        for batch in batches(&rest, &can, &now) {
            host.write(&batch).unwrap();
        }
        prop_assert_eq!(seen(&host), seen(&straight), "{:#?}\n{:#?}", set, rest);
        let now = host.list();
        prop_assert_eq!(seen_done(&set, &now).len(), set.steps.len());
    }

    #[test]
    fn undo_gives_the_zone_back(
        seeds in proptest::collection::vec(seed(), 0..14).prop_map(possible),
        required in required(),
        can in arbitrary_capabilities(),
        edit in proptest::option::of(proptest::sample::select(NAMES)),
    ) {
        let (mut host, mut ledger) = host(&seeds, can);
        let before: Vec<String> = plain(&host);
        let set = plan(&required, &host.list(), &can, &ledger);
        apply(&mut host, &set, &mut ledger);
        // Somebody else writes meanwhile, where no alias is in the way.
        let stranger = edit.map(|owner| Record { owner: name(owner), ttl: 300, data: text("stranger") });
        let mut kept = None;
        if let Some(new) = stranger {
            let zone = host.list();
            if zone.at(&new.owner).all(|one| one.record.data.record_type() != RecordType::Cname) {
                let set_ttl = zone.at(&new.owner).find(|one| one.record.data.text().is_some());
                let ttl = set_ttl.map_or(300, |one| one.record.ttl);
                let new = Record { ttl, ..new };
                kept = Some(new.clone());
                host.edit(|records| records.push(ZoneRecord::plain(new)));
            }
        }
        let done: BTreeSet<u16> = set.steps.iter().map(|step| step.id).collect();
        let back = undo(&set, &done, &host.list(), &can);
        apply(&mut host, &back, &mut ledger);
        if let Some(new) = &kept {
            prop_assert!(host.list().records.iter().any(|one| one.record.data == new.data));
        } else {
            let unproxied = |step: &Step| matches!(step.action, Action::Replace { why: Why::Unproxy, .. });
            prop_assert_eq!(&back.blocked, &vec![]);
            if !set.steps.iter().any(unproxied) {
                prop_assert_eq!(plain(&host), before, "{:#?}\n{:#?}", set, back);
            }
        }
        let again = undo(&set, &done, &host.list(), &can);
        prop_assert_eq!(again.steps, vec![], "{:#?}", back);
    }

    #[test]
    fn an_edit_at_a_touched_name_is_seen_and_elsewhere_not(
        seeds in proptest::collection::vec(seed(), 0..14).prop_map(possible),
        required in required(),
        owner in proptest::sample::select(NAMES),
        set_grain in any::<bool>(),
    ) {
        let can = capabilities(if set_grain { Grain::Set } else { Grain::Record }, true, Atomic::Each);
        let (mut host, ledger) = host(&seeds, can);
        let set = plan(&required, &host.list(), &can, &ledger);
        host.edit(|records| {
            records.push(ZoneRecord::plain(Record { owner: name(owner), ttl: 300, data: text("stranger") }));
        });
        let touched = set.steps.iter().any(|step| *step.action.owner() == name(owner));
        let difference = guard(&set, &host.list(), can.grain);
        prop_assert_eq!(difference.is_err(), touched);
        if let Err(difference) = difference {
            prop_assert_eq!((difference.gone.len(), difference.new.len()), (0, 1));
        }
        let whole = Capabilities { grain: Grain::Zone, ..can };
        let set = plan(&required, &host.list(), &whole, &ledger);
        host.edit(|records| {
            records.push(ZoneRecord::plain(Record { owner: name("far.acme.test"), ttl: 300, data: text("x") }));
        });
        prop_assert_eq!(guard(&set, &host.list(), Grain::Zone).is_err(), !set.steps.is_empty());
    }

    #[test]
    fn the_order_of_what_is_given_does_not_matter(
        seeds in proptest::collection::vec(seed(), 0..14).prop_map(possible),
        required in required(),
        can in arbitrary_capabilities(),
        turn in 0_usize..14,
    ) {
        let (host, ledger) = host(&seeds, can);
        let zone = host.list();
        let (mut other_zone, mut other_required, mut other_ledger) = (zone.clone(), required.clone(), ledger.clone());
        let turned = |length: usize| if length == 0 { 0 } else { turn % length };
        let at = turned(other_zone.records.len());
        other_zone.records.rotate_left(at);
        other_required.reverse();
        let at = turned(other_ledger.len());
        other_ledger.rotate_left(at);
        let one = serde_json::to_string(&plan(&required, &zone, &can, &ledger)).unwrap();
        let other = serde_json::to_string(&plan(&other_required, &other_zone, &can, &other_ledger)).unwrap();
        prop_assert_eq!(one, other);
    }

    #[test]
    fn every_grain_comes_to_the_same_zone(
        seeds in proptest::collection::vec(seed(), 0..14).prop_map(possible),
        required in required(),
    ) {
        let mut outcomes = Vec::new();
        for grain in [Grain::Record, Grain::Set, Grain::Zone] {
            let can = capabilities(grain, true, Atomic::Batch(3));
            let (mut host, mut ledger) = host(&seeds, can);
            host.names_records = false;
            host.edit(|records| {
                for record in records {
                    (record.id, record.proxied) = (None, false);
                }
            });
            for owned in &mut ledger {
                owned.id = None;
            }
            let set = plan(&required, &host.list(), &can, &ledger);
            apply(&mut host, &set, &mut ledger);
            outcomes.push(seen(&host));
        }
        prop_assert_eq!(&outcomes[0], &outcomes[1]);
        prop_assert_eq!(&outcomes[1], &outcomes[2]);
    }
}

/// The records without what their host says about them.
fn plain(host: &ModelHost) -> Vec<String> {
    let mut all: Vec<String> = host.list().records.iter().map(|one| format!("{:?}", one.record)).collect();
    all.sort();
    all
}
