//! Pages of findings about mail policy.

use super::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        code: "spf_too_many_void_lookups",
        title: "SPF looks up names that are gone",
        what: "More than two look-ups of the SPF record, with all that it includes, find no address and no mail exchanger.",
        why: "Receivers that count empty look-ups stop at the third one and count the whole record as an error.",
        how: &["Take the names out that do not exist any more.", "Mend those that should exist."],
        references: &["RFC 7208 §4.6.4"],
    },
    Page {
        code: "spf_near_lookup_limit",
        title: "SPF is near the limit of look-ups",
        what: "The SPF record, with all that it includes, needs eight to ten of the ten look-ups that receivers make.",
        why: "Nothing is wrong yet. Included records belong to others and grow: one more look-up too many ends SPF for all senders.",
        how: &["Before another service is added, take one out that no longer sends."],
        references: &["RFC 7208 §4.6.4"],
    },
    Page {
        code: "spf_include_loop",
        title: "SPF includes itself",
        what: "Following the includes of the SPF record leads back to a record that was passed already.",
        why: "Receivers go round until they reach their limit, and then count the whole record as an error.",
        how: &["Take out the include that leads back."],
        references: &["RFC 7208 §4.6.4", "RFC 7208 §5.2"],
    },
    Page {
        code: "spf_ptr_used",
        title: "SPF uses ptr",
        what: "The SPF record, or one that it includes, has the mechanism ptr.",
        why: "It is slow, it fails where reverse DNS fails, and some receivers pass it by. The standard says not to use it.",
        how: &["Write the addresses with ip4: and ip6:, or name the hosts with a:."],
        references: &["RFC 7208 §5.5"],
    },
    Page {
        code: "spf_no_all",
        title: "SPF says nothing about other senders",
        what: "The SPF record ends in ?all, or without all and without redirect.",
        why: "Senders that are not in the record get a neutral result, as if there were no record: it keeps nobody out.",
        how: &["End the record in ~all."],
        references: &["RFC 7208 §4.7", "RFC 7208 §8.2"],
    },
    Page {
        code: "spf_redirect_ignored",
        title: "A redirect in SPF is never followed",
        what: "The SPF record has both all and redirect=.",
        why: "With all in the record, redirect is ignored: the senders of the other record are not covered.",
        how: &["Take out redirect=, or take out all if the other record should decide."],
        references: &["RFC 7208 §6.1"],
    },
];
