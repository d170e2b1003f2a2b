//! Users, members, sessions and links.

use crate::seed::{at, next, organisation};
use model::{EmailAddress, OrgId, UserId};
use store::{ChangedBy, Hidden, NewSession, Role, Store, StoreError, Successor, Token, TokenKind, User};

const OPERATOR: ChangedBy = ChangedBy::Rank(Role::Owner);

fn user() -> User {
    let number = next();
    User {
        id: UserId::from_parts(1_750_000_000_000, u128::from(number)),
        email: EmailAddress::parse(&format!("u{number}@example.net")).unwrap(),
        name: format!("User {number}"),
        password_hash: Some("hash".into()),
        totp_secret: None,
        created_at: at(0),
    }
}

fn secret() -> Vec<u8> {
    next().to_be_bytes().repeat(4)
}

fn invitation(org_id: OrgId, email: &EmailAddress, role: Role) -> Token {
    Token {
        hash: secret(),
        kind: TokenKind::Invitation,
        email: Some(email.clone()),
        org_id: Some(org_id),
        role: Some(role),
        invited_by: None,
        created_at: at(0),
        expires_at: at(1_000),
    }
}

async fn member(store: &Store, org_id: OrgId, role: Role) -> User {
    let user = user();
    let token = invitation(org_id, &user.email, role);
    store.insert_token(&token, 10, &[]).await.unwrap();
    store.accept_invitation(&token.hash, &user, true, &[], at(1)).await.unwrap();
    user
}

async fn session(store: &Store, user: &User, org_id: OrgId) -> Vec<u8> {
    let secret_hash = secret();
    let new = NewSession {
        secret_hash: secret_hash.clone(),
        user_id: user.id,
        org_id,
        waits_for_code: false,
        created_at: at(0),
        expires_at: at(10_000),
    };
    let user = store.get_user(user.id).await.unwrap();
    store.begin_session(&new, &user, None, &[]).await.unwrap();
    secret_hash
}

pub async fn the_last_owner_stays(store: &Store) {
    let org = organisation(store).await;
    let (one, two) = (member(store, org, Role::Owner).await, member(store, org, Role::Owner).await);
    store.set_role(org, one.id, Role::Admin, OPERATOR, &[]).await.unwrap();
    for refused in [
        store.set_role(org, two.id, Role::Viewer, OPERATOR, &[]).await,
        store.remove_member(org, two.id, OPERATOR, &[]).await,
    ] {
        assert!(matches!(refused, Err(StoreError::LastOwner)), "{refused:?}");
    }
    assert_eq!(store.get_member(org, two.id).await.unwrap().role, Role::Owner);
    // Two who go at once: one of them stays.
    store.set_role(org, one.id, Role::Owner, OPERATOR, &[]).await.unwrap();
    let (a, b) = tokio::join!(
        store.remove_member(org, one.id, OPERATOR, &[]),
        store.remove_member(org, two.id, OPERATOR, &[])
    );
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    let left = store.list_members(org, None, 10).await.unwrap();
    assert_eq!(left.iter().filter(|member| member.role == Role::Owner).count(), 1);
    assert_eq!(left.len(), 1);
}

pub async fn a_role_counts_when_it_is_used(store: &Store) {
    let org = organisation(store).await;
    let owner = member(store, org, Role::Owner).await;
    let (admin, other) = (member(store, org, Role::Admin).await, member(store, org, Role::Admin).await);
    let by = ChangedBy::User(admin.id);
    let too_low = |refused: Result<(), StoreError>| {
        assert!(matches!(refused, Err(StoreError::RoleTooLow)), "{refused:?}");
    };
    too_low(store.set_role(org, other.id, Role::Owner, by, &[]).await);
    too_low(store.remove_member(org, owner.id, by, &[]).await);
    store.set_role(org, other.id, Role::Admin, by, &[]).await.unwrap();
    // Two admins who take each other down at once: the second one is none any more.
    let (a, b) = tokio::join!(
        store.set_role(org, other.id, Role::Viewer, by, &[]),
        store.set_role(org, admin.id, Role::Viewer, ChangedBy::User(other.id), &[]),
    );
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    store.remove_member(org, admin.id, ChangedBy::User(owner.id), &[]).await.unwrap();
    too_low(store.remove_member(org, other.id, by, &[]).await);
}

pub async fn an_invitation_ends_with_the_rights_of_who_sent_it(store: &Store) {
    let org = organisation(store).await;
    let owner = member(store, org, Role::Owner).await;
    let owners = ChangedBy::User(owner.id);
    let invite = async |by: &User, email: &str, role| {
        let token = Token {
            invited_by: Some(by.id.to_string()),
            ..invitation(org, &EmailAddress::parse(email).unwrap(), role)
        };
        let sent = store.insert_invitation(org, &token, ChangedBy::User(by.id), &[]).await;
        sent.map(|()| token)
    };
    let open = async || store.list_invitations(org, at(1)).await.unwrap().len();
    let inviter = member(store, org, Role::Owner).await;
    let to_owner = invite(&inviter, "one@example.net", Role::Owner).await.unwrap();
    let to_admin = invite(&inviter, "two@example.net", Role::Admin).await.unwrap();
    let of_owner = invite(&owner, "three@example.net", Role::Owner).await.unwrap();
    assert_eq!(open().await, 3);
    store.set_role(org, inviter.id, Role::Admin, owners, &[]).await.unwrap();
    assert_eq!(open().await, 2, "the one to an owner is void");
    let refused = store.accept_invitation(&to_owner.hash, &user(), true, &[], at(2)).await;
    assert!(matches!(refused, Err(StoreError::NotFound(_))), "{refused:?}");
    let refused = invite(&inviter, "four@example.net", Role::Owner).await;
    assert!(matches!(refused, Err(StoreError::RoleTooLow)), "{refused:?}");
    // Of one address the newest: the one before works no more.
    let again = invite(&inviter, "two@example.net", Role::Member).await.unwrap();
    assert_eq!(open().await, 2);
    assert!(store.find_token(&to_admin.hash, TokenKind::Invitation, at(1)).await.unwrap().is_none());
    // Also where the end of the rights came another way, as from a node of before.
    store.insert_token(&to_admin, 10, &[]).await.unwrap();
    store.remove_member(org, inviter.id, owners, &[]).await.unwrap();
    assert_eq!(open().await, 1);
    let late = Token { hash: secret(), ..again };
    store.insert_token(&late, 10, &[]).await.unwrap();
    let invited = User { email: late.email.clone().unwrap(), ..user() };
    let refused = store.accept_invitation(&late.hash, &invited, true, &[], at(2)).await;
    assert!(matches!(refused, Err(StoreError::NotFound(_))), "{refused:?}");
    // What others sent stays.
    let invited = User { email: of_owner.email.clone().unwrap(), ..user() };
    store.accept_invitation(&of_owner.hash, &invited, true, &[], at(2)).await.unwrap();
    // An organisation has a bounded number of them.
    for number in 0..99 {
        invite(&owner, &format!("many{number}@example.net"), Role::Viewer).await.unwrap();
    }
    let over = match invite(&owner, "over@example.net", Role::Viewer).await {
        Ok(_) => invite(&owner, "over2@example.net", Role::Viewer).await,
        refused => refused,
    };
    assert!(matches!(over, Err(StoreError::LimitReached { limit: 100, .. })), "{over:?}");
}

pub async fn an_invitation_ends_with_the_last_key_of_who_sent_it(store: &Store) {
    let org = organisation(store).await;
    let mut keys = Vec::new();
    for _ in 0..3 {
        let mut new = crate::visible::key_for(org, None, None);
        new.expires_at = None;
        keys.push(new);
    }
    store.insert_api_key(&keys[0], 9, &[]).await.unwrap();
    let invite = async |number: u64| {
        let email = EmailAddress::parse(&format!("k{number}-{}@example.net", next())).unwrap();
        let by = Some(keys[0].id.to_string());
        let token = Token { invited_by: by, ..invitation(org, &email, Role::Member) };
        store.insert_token(&token, 10, &[]).await.unwrap();
        token
    };
    let accept = async |token: &Token, now| {
        let invited = User { email: token.email.clone().unwrap(), ..user() };
        store.accept_invitation(&token.hash, &invited, true, &[], at(now)).await
    };
    let [one, two] = [invite(1).await, invite(2).await];
    // Rotated twice, it could send it still.
    for number in 1..3 {
        let (key, old) = (&keys[number], keys[number - 1].id);
        store.replace_api_key(Successor { key, old, old_ends_at: at(10) }, &[]).await.unwrap();
    }
    accept(&one, 20).await.unwrap();
    assert_eq!(store.list_invitations(org, at(20)).await.unwrap().len(), 1);
    store.revoke_api_key(org, keys[2].id, at(30), &[]).await.unwrap();
    assert!(store.list_invitations(org, at(30)).await.unwrap().is_empty());
    // Also where it came back, as from a node of before.
    let late = accept(&two, 30).await;
    assert!(matches!(late, Err(StoreError::NotFound(_))), "{late:?}");
    let three = invite(3).await;
    let late = accept(&three, 30).await;
    assert!(matches!(late, Err(StoreError::NotFound(_))), "{late:?}");
}

pub async fn who_is_locked_out_gets_another_password(store: &Store) {
    let org = organisation(store).await;
    let user = member(store, org, Role::Owner).await;
    let link = async |kind| {
        let token = Token {
            hash: secret(),
            kind,
            org_id: None,
            role: None,
            ..invitation(org, &user.email, Role::Viewer)
        };
        store.insert_token(&token, 1, &[]).await.unwrap();
        token.hash
    };
    let own = session(store, &user, org).await;
    let factor = Hidden::from(vec![1]);
    store.set_second_factor(user.id, Some((&factor, &[vec![7]])), &own, &[]).await.unwrap();
    let reset = async |hash: &[u8], now| store.reset_password(hash, &user, "new", at(now), &[]).await;
    let hash = link(TokenKind::Reset).await;
    assert!(matches!(reset(&hash, 1_000).await, Err(StoreError::NotFound(_))), "too late");
    let other = member(store, org, Role::Owner).await;
    let stolen = store.reset_password(&hash, &other, "new", at(1), &[]).await;
    assert!(matches!(stolen, Err(StoreError::NotFound(_))), "{stolen:?}");
    let before = store.get_user(user.id).await.unwrap();
    store.link_identity("provider", &user.id.to_string(), &before, at(1), &[]).await.unwrap();
    reset(&hash, 1).await.unwrap();
    assert!(matches!(reset(&hash, 1).await, Err(StoreError::NotFound(_))), "used");
    // Who had linked the account to themselves does not come back, nor links it with what was decided before.
    let linked = store.find_identity("provider", &user.id.to_string()).await.unwrap();
    assert_eq!(linked, None);
    let late = store.link_identity("provider", &user.id.to_string(), &before, at(1), &[]).await;
    assert!(matches!(late, Err(StoreError::StaleVersion)), "{late:?}");
    let gone = store.unlink_identity(user.id, "provider", &[]).await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))), "{gone:?}");
    let now = store.get_user(user.id).await.unwrap();
    assert_eq!((now.password_hash.as_deref(), now.totp_secret), (Some("new"), Some(factor)));
    assert!(store.find_session(&own, at(1), at(-1)).await.unwrap().is_none());
    let hash = link(TokenKind::ResetAll).await;
    reset(&hash, 1).await.unwrap();
    assert_eq!(store.get_user(user.id).await.unwrap().totp_secret, None);
    assert!(!store.use_recovery_code(user.id, &[7]).await.unwrap());
}

pub async fn links_are_used_once_and_end(store: &Store) {
    let org = organisation(store).await;
    let user = user();
    let token = invitation(org, &user.email, Role::Member);
    store.insert_token(&token, 10, &[]).await.unwrap();
    assert_eq!(store.list_invitations(org, at(999)).await.unwrap(), std::slice::from_ref(&token));
    assert!(store.find_token(&token.hash, TokenKind::Invitation, at(1_000)).await.unwrap().is_none());
    assert!(store.find_token(&token.hash, TokenKind::Login, at(0)).await.unwrap().is_none());
    let late = store.accept_invitation(&token.hash, &user, true, &[], at(1_000)).await;
    assert!(matches!(late, Err(StoreError::NotFound(_))), "{late:?}");
    let accepted = tokio::join!(
        store.accept_invitation(&token.hash, &user, true, &[], at(1)),
        store.accept_invitation(&token.hash, &user, true, &[], at(1)),
    );
    assert!(accepted.0.is_ok() != accepted.1.is_ok(), "{accepted:?}");
    assert_eq!(store.find_user(&user.email).await.unwrap().unwrap(), user);
    assert_eq!(store.memberships(user.id).await.unwrap().len(), 1);
    // Of one address, a few.
    let since =
        async |second| store.has_token_since(&user.email, TokenKind::Login, at(second)).await.unwrap();
    assert!(!since(-9).await);
    let mut hashes = Vec::new();
    for second in 0..4 {
        let token = Token {
            kind: TokenKind::Login,
            org_id: None,
            role: None,
            created_at: at(second),
            hash: secret(),
            ..token.clone()
        };
        store.insert_token(&token, 3, &[]).await.unwrap();
        hashes.push(token.hash);
    }
    assert!(since(2).await && !since(3).await);
    assert!(store.use_token(&hashes[0], TokenKind::Login, at(9)).await.unwrap().is_none(), "the oldest went");
    assert!(store.use_token(&hashes[3], TokenKind::Login, at(9)).await.unwrap().is_some());
    assert!(store.use_token(&hashes[3], TokenKind::Login, at(9)).await.unwrap().is_none(), "used");
    // Of one organisation, which pushes nothing of another one out.
    let (ours, theirs) = (organisation(store).await, organisation(store).await);
    let email = EmailAddress::parse("many@example.net").unwrap();
    let first = invitation(ours, &email, Role::Viewer);
    store.insert_token(&first, 2, &[]).await.unwrap();
    for _ in 0..4 {
        store.insert_token(&invitation(theirs, &email, Role::Viewer), 2, &[]).await.unwrap();
    }
    assert!(store.find_token(&first.hash, TokenKind::Invitation, at(1)).await.unwrap().is_some());
    assert_eq!(store.list_invitations(theirs, at(1)).await.unwrap().len(), 2);
    // One that is taken back.
    let other = invitation(org, &EmailAddress::parse("other@example.net").unwrap(), Role::Viewer);
    store.insert_token(&other, 10, &[]).await.unwrap();
    store.withdraw_invitation(org, other.email.as_ref().unwrap(), &[]).await.unwrap();
    assert!(store.find_token(&other.hash, TokenKind::Invitation, at(1)).await.unwrap().is_none());
}

pub async fn sessions_end_with_time_membership_and_password(store: &Store) {
    let org = organisation(store).await;
    let owner = member(store, org, Role::Owner).await;
    let user = member(store, org, Role::Member).await;
    let find = async |secret: &[u8], now, idle| store.find_session(secret, at(now), at(idle)).await.unwrap();
    let one = session(store, &user, org).await;
    let found = find(&one, 5, -1).await.unwrap();
    assert_eq!((found.user.id, found.role, found.org_id), (user.id, Role::Member, org));
    assert!(find(&one, 10_000, -1).await.is_none(), "its end");
    assert!(find(&one, 5, 0).await.is_none(), "idle");
    store.touch_session(&one, at(7)).await.unwrap();
    assert!(find(&one, 8, 6).await.is_some());
    store.set_role(org, user.id, Role::Viewer, OPERATOR, &[]).await.unwrap();
    assert_eq!(find(&one, 8, 6).await.unwrap().role, Role::Viewer, "at once");
    let two = session(store, &user, org).await;
    store.set_second_factor(user.id, Some((&Hidden::from(vec![1]), &[vec![7]])), &two, &[]).await.unwrap();
    assert!(find(&one, 8, 6).await.is_none() && find(&two, 8, -1).await.is_some());
    assert!(store.use_step(user.id, 5).await.unwrap());
    assert!(!store.use_step(user.id, 5).await.unwrap() && !store.use_step(user.id, 4).await.unwrap());
    assert!(store.use_recovery_code(user.id, &[7]).await.unwrap());
    assert!(!store.use_recovery_code(user.id, &[7]).await.unwrap());
    store.set_password(user.id, "other", &[]).await.unwrap();
    assert!(find(&two, 8, -1).await.is_none());
    let three = session(store, &user, org).await;
    store.remove_member(org, user.id, OPERATOR, &[]).await.unwrap();
    assert!(find(&three, 8, -1).await.is_none());
    let replaced = session(store, &owner, org).await;
    let new = NewSession {
        secret_hash: secret(),
        user_id: owner.id,
        org_id: org,
        waits_for_code: false,
        created_at: at(1),
        expires_at: at(100),
    };
    store.begin_session(&new, &owner, Some(&replaced), &[]).await.unwrap();
    assert!(find(&replaced, 8, -1).await.is_none() && find(&new.secret_hash, 8, -1).await.is_some());
    store.end_session(&new.secret_hash).await.unwrap();
    assert!(find(&new.secret_hash, 8, -1).await.is_none());
}

pub async fn a_login_under_way_ends_with_the_password(store: &Store) {
    let org = organisation(store).await;
    let checked = member(store, org, Role::Member).await;
    let begin = async |checked: &User, waits_for_code| {
        let new = NewSession {
            secret_hash: secret(),
            user_id: checked.id,
            org_id: org,
            waits_for_code,
            created_at: at(0),
            expires_at: at(10_000),
        };
        let begun = store.begin_session(&new, checked, None, &[]).await;
        let found = store.find_session(&new.secret_hash, at(1), at(-1)).await.unwrap();
        assert_eq!(begun.is_ok(), found.is_some());
        begun
    };
    assert!(store.rehash_password(checked.id, "hash", "renewed").await.unwrap());
    assert!(!store.rehash_password(checked.id, "hash", "again").await.unwrap());
    let renewed = User { password_hash: Some("renewed".into()), ..checked.clone() };
    begin(&renewed, false).await.unwrap();
    store.set_password(checked.id, "other", &[]).await.unwrap();
    for waits in [false, true] {
        let late = begin(&renewed, waits).await;
        assert!(matches!(late, Err(StoreError::StaleVersion)), "{late:?}");
    }
    // A second factor that was set meanwhile is asked for.
    let before = store.get_user(checked.id).await.unwrap();
    let factor = Hidden::from(vec![1]);
    store.set_second_factor(checked.id, Some((&factor, &[])), &[], &[]).await.unwrap();
    let late = begin(&before, false).await;
    assert!(matches!(late, Err(StoreError::StaleVersion)), "{late:?}");
    begin(&before, true).await.unwrap();
    begin(&store.get_user(checked.id).await.unwrap(), false).await.unwrap();
    // Both at once: whichever is first, the session is not there afterwards.
    let before = store.get_user(checked.id).await.unwrap();
    let new = NewSession {
        secret_hash: secret(),
        user_id: checked.id,
        org_id: org,
        waits_for_code: false,
        created_at: at(0),
        expires_at: at(10_000),
    };
    let (set, _) = tokio::join!(
        store.set_password(checked.id, "third", &[]),
        store.begin_session(&new, &before, None, &[]),
    );
    set.unwrap();
    assert!(store.find_session(&new.secret_hash, at(1), at(-1)).await.unwrap().is_none());
}

pub async fn the_first_owner_is_made_once(store: &Store) {
    let org = organisation(store).await;
    let token = || Token {
        hash: secret(),
        kind: TokenKind::FirstOwner,
        email: None,
        org_id: None,
        role: None,
        invited_by: None,
        created_at: at(0),
        expires_at: at(100),
    };
    let (one, two) = (token(), token());
    store.insert_token(&one, 3, &[]).await.unwrap();
    store.insert_token(&two, 3, &[]).await.unwrap();
    let (first, second) = (user(), user());
    let made = tokio::join!(
        store.create_first_owner(&one.hash, &first, org, &[]),
        store.create_first_owner(&two.hash, &second, org, &[]),
    );
    assert!(made.0.is_ok() != made.1.is_ok(), "{made:?}");
    assert_eq!(store.count_users().await.unwrap(), 1);
    assert!(store.find_token(&two.hash, TokenKind::FirstOwner, at(1)).await.unwrap().is_none());
}
