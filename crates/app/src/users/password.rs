//! Passwords: argon2id (RFC 9106), in the usual text form, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.

use super::password_rules::{self, LONGEST};
use crate::{
    App,
    error::{Error, Result},
    ports::Random,
};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use std::sync::Arc;

/// The cost of a hash: KiB of memory, passes, lanes (the second recommendation of OWASP).
const COST: Cost = Cost { memory: 19 * 1024, passes: 2, lanes: 1 };

/// The length of salt and hash, in octets.
const SALT: usize = 16;
const HASH: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    memory: u32,
    passes: u32,
    lanes: u32,
}

fn hash_with(password: &str, salt: &[u8], cost: Cost) -> Option<[u8; HASH]> {
    let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(HASH)).ok()?;
    let mut out = [0; HASH];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password.as_bytes(), salt, &mut out).ok()?;
    Some(out)
}

/// What is stored of a password.
fn make(password: &str, salt: &[u8]) -> Option<String> {
    let hash = hash_with(password, salt, COST)?;
    let Cost { memory, passes, lanes } = COST;
    let [salt, hash] = [salt, &hash].map(|octets| STANDARD_NO_PAD.encode(octets));
    Some(format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}"))
}

/// Whether a password is right, and whether it was hashed at today's cost. `None`: this is no hash of ours.
fn check(password: &str, stored: &str) -> Option<(bool, bool)> {
    let mut parts = stored.strip_prefix("$argon2id$v=19$")?.split('$');
    let (cost, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut numbers =
        cost.split(',').map(|part| part.split_once('=').and_then(|(_, n)| n.parse::<u32>().ok()));
    let cost = Cost { memory: numbers.next()??, passes: numbers.next()??, lanes: numbers.next()?? };
    let found = hash_with(password, &STANDARD_NO_PAD.decode(salt).ok()?, cost)?;
    let is_right = verify_slices_are_equal(&found, &STANDARD_NO_PAD.decode(hash).ok()?).is_ok();
    Some((is_right, cost == COST))
}

impl App {
    /// What is stored of a new password. `about` is what is known of the user: none is made of that.
    pub(super) async fn hash_password(&self, password: &str, about: &[&str]) -> Result<String> {
        if let Some(problem) = password_rules::problem(password, about) {
            return Err(Error::field("password", problem));
        }
        let (password, salt) = (password.to_owned(), self.random.bytes::<SALT>());
        let made = self.at_the_door(move || make(&password, &salt)).await?;
        made.ok_or_else(|| Error::Internal("a password could not be hashed".to_owned()))
    }

    /// Whether a password is right. Of a user who is not there, or has none, it costs the same to say no. With a hash of
    /// another cost comes a new one to store.
    pub(super) async fn check_password(
        &self,
        password: &str,
        stored: Option<&str>,
    ) -> Result<(bool, Option<String>)> {
        if password.len() > LONGEST {
            return Ok((false, None));
        }
        let (password, random) = (password.to_owned(), self.random.clone());
        let stored = stored.map(str::to_owned);
        self.at_the_door(move || checked(&password, stored.as_deref(), &random)).await
    }

    /// Runs what takes memory and a core, when it is its turn.
    async fn at_the_door<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let turn = Arc::clone(&self.door.passwords).acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|error| Error::Internal(error.to_string()))
    }
}

fn checked(password: &str, stored: Option<&str>, random: &Random) -> (bool, Option<String>) {
    match stored.and_then(|stored| check(password, stored)) {
        Some((true, false)) => (true, make(password, &random.bytes::<SALT>())),
        Some((is_right, _)) => (is_right, None),
        None => {
            let _ = hash_with(password, &[0; SALT], COST);
            (false, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_right_or_not_and_an_old_hash_is_made_anew() {
        let stored = make("correct horse battery", &[7; SALT]).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_eq!(check("correct horse battery", &stored), Some((true, true)));
        assert_eq!(check("correct horse batterx", &stored), Some((false, true)));
        assert_eq!(check("x", "$argon2i$v=19$m=8,t=1,p=1$AA$AA"), None);
        assert_eq!(check("x", ""), None);
        let cheap = Cost { memory: 64, passes: 1, lanes: 1 };
        let hash = STANDARD_NO_PAD.encode(hash_with("old", &[1; SALT], cheap).unwrap());
        let old = format!("$argon2id$v=19$m=64,t=1,p=1${}${hash}", STANDARD_NO_PAD.encode([1; SALT]));
        let (is_right, renewed) = checked("old", Some(&old), &Random::system());
        assert!(is_right);
        assert_eq!(check("old", &renewed.unwrap()), Some((true, true)));
    }

    #[test]
    fn the_test_vector_of_the_reference_implementation_holds() {
        // `printf password | argon2 somesalt -id -t 2 -k 65536 -p 1 -l 32`, from the reference's own test.c.
        let cost = Cost { memory: 65_536, passes: 2, lanes: 1 };
        let hash = hash_with("password", b"somesalt", cost).unwrap();
        let shown = crate::users::hex(&hash);
        assert_eq!(shown, "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
    }
}
