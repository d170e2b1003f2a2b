//! What changed of the keys that DNS serves, as nodes follow it.

use crate::{
    checks::verified,
    seed::{at, name, new_domain, new_key, organisation, pool_key},
};
use model::DomainStatus;
use std::collections::BTreeMap;
use store::{CheckRecord, KeySource, NewDomain, Store, Switch};

/// A node that follows.
#[derive(Default)]
struct Node {
    generation: u64,
    keys: BTreeMap<String, String>,
}

impl Node {
    async fn read(&mut self, store: &Store) -> usize {
        let mut changes = 0;
        let keys = &mut self.keys;
        let take = |change: store::KeyChange| {
            changes += 1;
            match change.public_key {
                Some(key) => drop(keys.insert(change.selector, key)),
                None => drop(keys.remove(&change.selector)),
            }
        };
        self.generation = store.key_changes(self.generation, &name("send.test"), &[], take).await.unwrap();
        changes
    }

    /// Whether it has what the whole table comes to.
    async fn agrees(&self, store: &Store) {
        let (generation, keys) = store.published_keys().await.unwrap();
        assert_eq!((self.generation, &self.keys), (generation, &keys.into_iter().collect()));
    }
}

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

pub async fn any_order_of_changes_and_readers_comes_to_the_same(store: &Store) {
    let org = organisation(store).await;
    let mut dice = Dice(7);
    let mut nodes: Vec<Node> = (0..3).map(|_| Node::default()).collect();
    let mut living: BTreeMap<usize, model::DomainId> = BTreeMap::new();
    for step in 0..250 {
        let selector = dice.roll(6);
        match (dice.roll(8), living.get(&selector).copied()) {
            (0..=2, None) => {
                let new = new_domain(org, &format!("d{step}.example"));
                let mut next = new_key(&format!("s{selector}.d.example"));
                next.state = store::KeyState::Standby;
                let keys = KeySource::Given(vec![new_key(&format!("s{selector}")), next]);
                store.create_domain(&new, keys, &[]).await.unwrap();
                living.insert(selector, new.id);
            }
            (0..=1, Some(domain)) => {
                store.delete_domain(org, domain, at(5), &[]).await.unwrap();
                living.remove(&selector);
            }
            (2, Some(domain)) => {
                // The key that signs makes room for the other one, and a new one stands behind its selector.
                let keys = store.keys_of_domain(domain).await.unwrap();
                let signs = usize::from(keys[0].state != store::KeyState::Active);
                let turn = store::KeyTurn {
                    next: &keys[1 - signs],
                    former: &keys[signs],
                    retire_at: at(1),
                    expires_others: false,
                    next_at: None,
                    now: at(0),
                };
                store.rotate_keys(&turn, &[]).await.unwrap();
                store.add_pool_key(&pool_key(at(step))).await.unwrap();
                for drained in store.drained_keys(at(2), 9).await.unwrap() {
                    store.replace_drained_key(&drained, at(3), at(4), None).await.unwrap();
                }
            }
            (3..=4, _) => store.number_key_changes().await.unwrap(),
            (5, _) => drop(nodes[dice.roll(3)].read(store).await),
            _ => {
                // What waits for its number is served as before, whatever else has one.
                store.number_key_changes().await.unwrap();
                let node = &mut nodes[dice.roll(3)];
                node.read(store).await;
                node.agrees(store).await;
            }
        }
    }
    store.number_key_changes().await.unwrap();
    nodes.push(Node::default());
    for node in &mut nodes {
        node.read(store).await;
        node.agrees(store).await;
        assert_eq!(node.read(store).await, 0, "there is nothing more");
    }
}

pub async fn a_change_is_read_alone(store: &Store) {
    let org = organisation(store).await;
    let mut node = Node::default();
    for number in 0..20 {
        let new = new_domain(org, &format!("d{number}.example"));
        store.create_domain(&new, KeySource::Given(vec![new_key(&format!("s{number}"))]), &[]).await.unwrap();
    }
    assert_eq!(node.read(store).await, 0, "nothing before it has its number");
    store.number_key_changes().await.unwrap();
    assert_eq!(node.read(store).await, 20);
    let one_more = new_domain(org, "more.example");
    store.create_domain(&one_more, KeySource::Given(vec![new_key("more")]), &[]).await.unwrap();
    store.number_key_changes().await.unwrap();
    assert_eq!(node.read(store).await, 1);
    // What goes away is served until it has its number.
    store.delete_domain(org, one_more.id, at(5), &[]).await.unwrap();
    assert_eq!(node.read(store).await, 0);
    assert!(node.keys.contains_key("more"));
    let late = {
        let mut late = Node::default();
        late.read(store).await;
        late
    };
    assert!(!late.keys.contains_key("more"), "one that begins now does not begin to serve it");
    store.number_key_changes().await.unwrap();
    assert_eq!(node.read(store).await, 1);
    assert!(!node.keys.contains_key("more"));
}

pub async fn another_configuration_of_the_zone_is_a_change(store: &Store) {
    let before = store.dns_generation().await.unwrap();
    for (says, changes) in [("one", true), ("one", false), ("two", true), ("two", false)] {
        assert_eq!(store.number_zone_change(says).await.unwrap(), changes, "{says}");
    }
    assert_eq!(store.dns_generation().await.unwrap(), before + 2);
}

pub async fn keys_of_the_platforms_own_domains_are_told_apart(store: &Store) {
    let org = organisation(store).await;
    for (number, domain) in
        ["send.test", "sandbox-1.send.test", "acme.example", "resend.test"].iter().enumerate()
    {
        let keys = KeySource::Given(vec![new_key(&format!("s{number}"))]);
        store.create_domain(&new_domain(org, domain), keys, &[]).await.unwrap();
    }
    store.number_key_changes().await.unwrap();
    let mut own = Vec::new();
    store
        .key_changes(0, &name("send.test"), &[], |change| own.push((change.selector, change.is_of_zone)))
        .await
        .unwrap();
    own.sort();
    let of_zone: Vec<_> = own.into_iter().map(|(_, is_of_zone)| is_of_zone).collect();
    assert_eq!(of_zone, [true, true, false, false]);
}

pub async fn a_zone_is_held_until_its_holder_lapses(store: &Store) {
    let org = organisation(store).await;
    for number in 0..3 {
        let new =
            NewDomain { profile: "zone".into(), ..new_domain(org, &format!("z{number}.lapse.example")) };
        let keys = vec![new_key(&format!("lapse{number}a")), new_key(&format!("lapse{number}b"))];
        store.create_domain(&new, KeySource::Given(keys), &[]).await.unwrap();
    }
    let names: Vec<_> = (0..4).map(|number| name(&format!("z{number}.lapse.example"))).collect();
    let holding = async |lapsed: i64| -> Vec<(String, usize, bool)> {
        let domains = store.sub_zone_domains(&names, at(lapsed)).await.unwrap();
        domains.into_iter().map(|zone| (zone.name.to_string(), zone.keys.len(), zone.holds)).collect()
    };
    let all = |holds: [bool; 3]| -> Vec<(String, usize, bool)> {
        (0..3).map(|number| (names[number].to_string(), 2, holds[number])).collect()
    };
    let held = async |lapsed: i64| store.held_among(&names, &["other", "zone"], at(lapsed)).await.unwrap();
    assert_eq!(holding(0).await, all([false, false, false]));
    assert_eq!(held(0).await, None);

    // All that is due is taken: what else may be in the database is not of these names.
    let mut taken = BTreeMap::new();
    for number in 0..3 {
        let id = store.sub_zone_domains(&names[number..=number], at(0)).await.unwrap()[0].id;
        let domain = store.get_domain(org, id).await.unwrap();
        let check = CheckRecord { takes_hold: true, serves_anew: true, ..verified(&domain, 10, 1_000) };
        taken.insert(number, store.record_check(&check).await.unwrap());
    }
    assert_eq!(holding(0).await, all([true, true, true]));
    assert_eq!(held(0).await, Some(names[0].clone()), "the first of them");
    assert_eq!(store.held_among(&names, &["zon"], at(0)).await.unwrap(), None, "of another profile");

    let failed = CheckRecord { status: DomainStatus::Failed, ..verified(&taken[&0], 1_010, 1_010) };
    store.record_check(&failed).await.unwrap();
    store.switch_domain(org, taken[&1].id, &Switch::Off { reason: None }, &[]).await.unwrap();
    assert_eq!(holding(999).await, all([false, true, true]), "one that was just disabled holds on");
    assert_eq!(held(999).await, Some(names[1].clone()));
    assert_eq!(holding(1_000).await, all([false, false, true]), "one that is right never lapses");
    assert_eq!(held(1_000).await, Some(names[2].clone()));
    let on = Switch::On { now: at(2_000), fails_at: at(3_000) };
    store.switch_domain(org, taken[&1].id, &on, &[]).await.unwrap();
    assert_eq!(holding(1_000).await, all([false, true, true]), "and who comes back has it again");
}
