//! Contacts: added with the mail that asks them, or not at all, and asked once whoever names them.

use crate::seed::{at, domain, event, new_message, next, organisation, tenant_id, to};
use model::{ContactId, DomainId, EmailAddress, OrgId};
use store::{Contact, ContactProof, Outgoing, Role, Store, StoreError, Token, TokenKind, User, Visible};

fn contact(org_id: OrgId, address: &str) -> Contact {
    Contact {
        id: ContactId::from_parts(1_750_000_000_000, u128::from(next())),
        org_id,
        tenant_id: None,
        domain_id: None,
        address: address.parse().unwrap(),
        created_at: at(0),
        confirmed_at: None,
    }
}

fn proof() -> ContactProof {
    ContactProof { hash: next().to_be_bytes().repeat(4), until: at(1_000) }
}

/// The mail that asks, from a domain of an organisation of its own.
async fn mail(store: &Store) -> Outgoing {
    let from = domain(store, organisation(store).await, &format!("platform{}.example", next())).await;
    let message = new_message(&from);
    let events = vec![event(from.org_id, "email.accepted", &message.id)];
    Outgoing { message, recipients: vec![to("asked@example.net")], events }
}

async fn add(store: &Store, new: &Contact, visible: Visible) -> Result<Contact, StoreError> {
    let mail = mail(store).await;
    store.add_contact(new, &visible, &proof(), &mail, &[]).await
}

async fn waiting(store: &Store, mail: &Outgoing) -> usize {
    store.list_messages(&Visible::all_of(mail.message.org_id), None, 9).await.unwrap().len()
}

pub async fn a_contact_and_the_mail_that_asks_it_are_stored_together(store: &Store) {
    let org = organisation(store).await;
    let all = Visible::all_of(org);
    let good = mail(store).await;
    let mut bad = good.clone();
    bad.message.domain_id = DomainId::from_parts(1, 1);
    let new = contact(org, "one@example.net");
    let refused = store.add_contact(&new, &all, &proof(), &bad, &[]).await;
    assert!(matches!(refused, Err(StoreError::NotFound("domain"))), "{refused:?}");
    assert!(store.list_contacts(&all, None, 9).await.unwrap().is_empty());
    // Nothing of it was counted either.
    let added = store.add_contact(&new, &all, &proof(), &good, &[]).await.unwrap();
    assert_eq!((added.confirmed_at, waiting(store, &good).await), (None, 1));
    // Who is known is not asked.
    let asked = proof();
    let two = contact(org, "two@example.net");
    store.add_contact(&two, &all, &asked, &mail(store).await, &[]).await.unwrap();
    store.confirm_contact(&asked.hash, at(1)).await.unwrap();
    let unsent = mail(store).await;
    let again = contact(org, "Two@Example.net");
    let again = store.add_contact(&again, &all, &proof(), &unsent, &[]).await.unwrap();
    assert!(again.confirmed_at.is_some());
    assert_eq!(waiting(store, &unsent).await, 0);
}

pub async fn an_address_is_asked_once_a_day_however_it_is_written(store: &Store) {
    let tries: Vec<_> = ["one@example.net", "ONE@example.net", "One@Example.NET", "oNe@example.net"]
        .into_iter()
        .map(|address| {
            let store = store.clone();
            tokio::spawn(async move {
                let org = organisation(&store).await;
                add(&store, &contact(org, address), Visible::all_of(org)).await
            })
        })
        .collect();
    let mut asked = 0;
    for one in tries {
        match one.await.unwrap() {
            Ok(_) => asked += 1,
            Err(StoreError::AskedTooOften { by_organisation: false, .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(asked, 1);
    // And those of one organisation who are named at the same time are counted.
    let org = organisation(store).await;
    let tries: Vec<_> = (0..14)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let new = contact(org, &format!("n{number}@example.net"));
                add(&store, &new, Visible::all_of(org)).await.is_ok()
            })
        })
        .collect();
    let mut added = 0;
    for one in tries {
        added += usize::from(one.await.unwrap());
    }
    assert_eq!(added, 10, "as many as there may be");
}

pub async fn who_sees_a_part_learns_nothing_of_the_rest(store: &Store) {
    let org = organisation(store).await;
    let user = User {
        id: model::UserId::from_parts(1_750_000_000_000, u128::from(next())),
        email: EmailAddress::parse(&format!("member{}@example.net", next())).unwrap(),
        name: "One".into(),
        password_hash: None,
        totp_secret: None,
        created_at: at(0),
    };
    let token = Token {
        hash: next().to_be_bytes().repeat(4),
        kind: TokenKind::Invitation,
        email: Some(user.email.clone()),
        org_id: Some(org),
        role: Some(Role::Owner),
        invited_by: None,
        created_at: at(0),
        expires_at: at(1_000),
    };
    store.insert_token(&token, 10, &[]).await.unwrap();
    store.accept_invitation(&token.hash, &user, true, &[], at(1)).await.unwrap();
    let (ours, theirs) = (tenant_id(), tenant_id());
    let narrow = |tenant| Visible { tenant_id: Some(tenant), ..Visible::all_of(org) };
    let named = |tenant| Contact { tenant_id: Some(tenant), ..contact(org, &user.email.to_string()) };
    let asked = proof();
    let added =
        store.add_contact(&named(ours), &narrow(ours), &asked, &mail(store).await, &[]).await.unwrap();
    assert_eq!(added.confirmed_at, None, "that they are a member is not told");
    store.confirm_contact(&asked.hash, at(1)).await.unwrap();
    assert!(add(store, &named(ours), narrow(ours)).await.unwrap().confirmed_at.is_some(), "their own is");
    let refused = add(store, &named(theirs), narrow(theirs)).await;
    assert!(matches!(refused, Err(StoreError::AskedTooOften { by_organisation: false, .. })), "{refused:?}");
    let whole = add(store, &contact(org, &user.email.to_string()), Visible::all_of(org)).await.unwrap();
    assert!(whole.confirmed_at.is_some());
}

pub async fn who_is_asked_again_has_another_link(store: &Store) {
    let org = organisation(store).await;
    let all = Visible::all_of(org);
    let (first, second) = (proof(), ContactProof { until: at(2 * 86_400_000), ..proof() });
    let new = contact(org, "one@example.net");
    let added = store.add_contact(&new, &all, &first, &mail(store).await, &[]).await.unwrap();
    let unsent = mail(store).await;
    let too_early = store.ask_contact_again(&added, at(86_399_999), &second, &unsent, &[]).await;
    assert!(
        matches!(too_early, Err(StoreError::AskedTooOften { by_organisation: false, .. })),
        "{too_early:?}"
    );
    assert_eq!(waiting(store, &unsent).await, 0);
    let sent = mail(store).await;
    let asked = store.ask_contact_again(&added, at(86_400_000), &second, &sent, &[]).await.unwrap();
    assert_eq!((asked.confirmed_at, waiting(store, &sent).await), (None, 1));
    let over = store.confirm_contact(&first.hash, at(1)).await;
    assert!(matches!(over, Err(StoreError::NotFound(_))), "the earlier link: {over:?}");
    let confirmed = store.confirm_contact(&second.hash, at(86_400_001)).await.unwrap();
    assert!(confirmed.confirmed_at.is_some());
    // Who is confirmed gets no mail, however long ago the last one was.
    let unsent = mail(store).await;
    let again =
        store.ask_contact_again(&confirmed, at(9 * 86_400_000), &proof(), &unsent, &[]).await.unwrap();
    assert_eq!((again.confirmed_at, waiting(store, &unsent).await), (confirmed.confirmed_at, 0));
    let elsewhere = Visible::all_of(organisation(store).await);
    assert!(matches!(store.visible_contact(&elsewhere, added.id).await, Err(StoreError::NotFound(_))));
}
