//! Scopes: what a key may do, as words in keys and documents, and as a set in memory.

macro_rules! scopes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal;)*) => {
        /// What a key may be allowed to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Scope { $($(#[$doc])* $variant),* }

        impl Scope {
            /// All scopes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word in keys and documents.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// Reads the word back.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

scopes! {
    /// See domains, records, reports and tenants.
    ReadDomains = "read:domains";
    /// Add, verify, change and delete domains; make tenants.
    WriteDomains = "write:domains";
    /// Write records at DNS hosts: plan, apply and take back changes.
    WriteDns = "write:dns";
    /// Send mail, and see what became of what the same key sent.
    SendEmails = "send:emails";
    /// See messages and what became of them, and the sandbox inbox.
    ReadEmails = "read:emails";
    /// See what happened, in the order in which it did.
    ReadEvents = "read:events";
    /// See, make, change and delete webhooks; a webhook is told what the feed of events tells.
    WriteWebhooks = "write:webhooks";
    /// See, make, rotate and revoke API keys that may do no more than the own one.
    WriteKeys = "write:keys";
    /// Add and take off addresses that get no mail.
    WriteSuppressions = "write:suppressions";
    /// See who changed what.
    ReadAudit = "read:audit";
    /// All of the above, and what concerns the instance itself, such as the playground and the sandbox inbox.
    Admin = "admin";
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScopeSet(u32);

impl ScopeSet {
    /// The set with every scope.
    pub fn all() -> Self {
        Scope::ALL.iter().copied().collect()
    }

    /// The scopes that these words name. A word that this version does not know gives no right.
    pub fn from_words<T: AsRef<str>>(words: &[T]) -> Self {
        words.iter().filter_map(|word| Scope::from_word(word.as_ref())).collect()
    }

    /// The words of the scopes.
    pub fn words(self) -> Vec<String> {
        Scope::ALL
            .iter()
            .filter(|scope| self.0 & bit(**scope) != 0)
            .map(|scope| scope.as_str().to_owned())
            .collect()
    }

    /// Whether the set allows what the scope stands for: it has the scope or `admin`.
    pub const fn allows(self, scope: Scope) -> bool {
        self.0 & (bit(scope) | bit(Scope::Admin)) != 0
    }

    /// The first scope of `other` that this set does not allow.
    pub fn lacks(self, other: Self) -> Option<Scope> {
        Scope::ALL.iter().copied().find(|scope| other.0 & bit(*scope) != 0 && !self.allows(*scope))
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | bit(scope)))
    }
}

const fn bit(scope: Scope) -> u32 {
    1 << scope as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_unknown_ones_give_nothing() {
        assert_eq!(ScopeSet::from_words(&ScopeSet::all().words()), ScopeSet::all());
        assert_eq!(ScopeSet::from_words(&["read:everything", ""]), ScopeSet::default());
        let set = ScopeSet::from_words(&["send:emails", "read:domains", "no:such"]);
        assert_eq!(set.words(), ["read:domains", "send:emails"]);
    }

    #[test]
    fn only_admin_has_what_admin_has() {
        let admin: ScopeSet = [Scope::Admin].into_iter().collect();
        let all_but_admin: ScopeSet =
            Scope::ALL.iter().copied().filter(|scope| *scope != Scope::Admin).collect();
        assert_eq!(admin.lacks(ScopeSet::all()), None);
        assert_eq!(all_but_admin.lacks(admin), Some(Scope::Admin));
        assert!(!ScopeSet::default().allows(Scope::ReadDomains));
        assert_eq!(ScopeSet::default().lacks(ScopeSet::default()), None);
    }
}
