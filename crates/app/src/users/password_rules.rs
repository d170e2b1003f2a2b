//! Which passwords are refused: short ones, and those that everybody who guesses tries first (NIST SP 800-63B §5.1.1.2).
//! What a password is made of is nobody's business otherwise: rules about that make worse ones.
//!
//! What is common in a password is covered up: words of lists of stolen passwords, rows of keys and letters, years, what is
//! known of the user. What is left, and each different common word for one more, has to be four characters or more.

/// How long a password is, in characters and in octets.
const SHORTEST: usize = 12;
pub(super) const LONGEST: usize = 1_000;

/// How much has to be left.
const LEFT: usize = 4;

/// How few different characters are too few.
const DIFFERENT: usize = 5;

/// A row of so many characters is a walk over the keys.
const ROW: usize = 3;

const SHORT: &str = "it has to have 12 characters or more; a few words make a good one";
const LONG: &str = "it is longer than 1,000 octets";
const REPEATED: &str = "it is the same few characters over and over; a few words make a good one";
const COMMON: &str = "it is one of those that are tried first: common words, rows of keys, years, or your own name and \
                      address; a few words that do not belong together make a good one";

/// Rows in which people walk over alphabet and keyboards; backwards too.
const ROWS: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz",
    "012345678901234567890",
    "qwertyuiop[]asdfghjkl;'zxcvbnm,./",
    "qwertzuiopü+asdfghjklöäyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol",
    "qazwsxedcrfvtgbyhnujmikolp",
    "!@#$%^&*()_+",
    "!\"§$%&/()=",
    "147258369",
    "zaq12wsxcde34rfv",
];

/// Words of stolen passwords, in a few languages, and of what this is about.
const WORDS: &str = "\
    password passwort passwords passwd motdepasse contrasena contraseña senha parola haslo wachtwoord kennwort \
    losenord salasana lozinka sifre administrator admin adminadmin root toor system server user guest test testing \
    tester default changeme change temp temporary letmein login logon welcome willkommen bienvenue bienvenido access \
    account private security secure secret geheim master hello hallo bonjour hola computer internet google facebook \
    twitter linkedin instagram amazon microsoft windows apple android samsung iphone nintendo minecraft fortnite \
    pokemon starwars superman batman spiderman naruto matrix trustno trustnoone whatever nothing blahblah iloveyou \
    iloveu ilove teamo loveyou lovely love lover forever always princess princesa prince angel angels baby babygirl \
    sunshine sunflower flower flowers butterfly rainbow shadow dragon monkey tiger lion eagle panther dolphin kitten \
    puppy horse bunny football fussball futbol soccer baseball basketball hockey volleyball tennis golf liverpool \
    arsenal chelsea manchester united barcelona realmadrid juventus bayern yankees cowboys lakers steelers packers \
    ferrari porsche mercedes mustang corvette yamaha harley honda toyota bmw audi michael jordan jennifer jessica \
    ashley nicole michelle daniel thomas robert matthew andrew joshua anthony charlie george maggie hannah amanda \
    alexander samantha christian benjamin william richard patrick maria hunter ranger buster killer cookie cheese \
    pepper ginger chocolate banana orange purple yellow silver golden diamond freedom liberty america england london \
    paris berlin canada mexico brasil summer winter spring autumn sommer herbst fruehling january february march april \
    may june july august september october november december januar februar juni juli oktober dezember monday tuesday \
    wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag freitag samstag sonntag blessed jesus \
    christ heaven faith family mother father mommy daddy mama papa friend friends company business office corporate \
    corp mail email postmaster hostmaster webmaster sender domain domains countersign dashboard platform please thisis \
    mypass myself mine pass word correcthorsebatterystaple qwerty azerty asdf zxcv";

/// The letter that a digit or sign stands for.
const fn letter_of(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        other => other,
    }
}

/// Why a password is refused. `about` is what is known of the user: the address, the name.
pub(super) fn problem(password: &str, about: &[&str]) -> Option<&'static str> {
    if password.chars().count() < SHORTEST {
        return Some(SHORT);
    }
    if password.len() > LONGEST {
        return Some(LONG);
    }
    let text: Vec<char> = password.chars().flat_map(char::to_lowercase).collect();
    if is_repeated(&text) {
        return Some(REPEATED);
    }
    (left(&text, about) < LEFT).then_some(COMMON)
}

/// Whether a few characters, or a short piece, make up all of it.
fn is_repeated(text: &[char]) -> bool {
    let mut different = text.to_vec();
    different.sort_unstable();
    different.dedup();
    let repeats = |piece: usize| text.iter().zip(text.iter().skip(piece)).all(|(a, b)| a == b);
    different.len() < DIFFERENT || (1..=6).any(repeats)
}

/// How much is not common.
fn left(text: &[char], about: &[&str]) -> usize {
    let mut covered = vec![false; text.len()];
    let mut words = 0;
    let own = about.iter().flat_map(|known| {
        let parts = known.split(|c: char| !c.is_alphanumeric()).chain([*known]).map(str::to_lowercase);
        parts.filter(|part| part.chars().count() >= ROW).collect::<Vec<_>>()
    });
    for word in own {
        cover_word(text, &word, &mut covered);
    }
    for word in WORDS.split_whitespace() {
        words += usize::from(cover_word(text, word, &mut covered));
    }
    cover_rows(text, &mut covered);
    let own = text.iter().zip(&covered).filter(|(c, covered)| !**covered && !c.is_whitespace());
    own.count() + words.saturating_sub(1)
}

/// Covers each place of a word; whether there was one that no other word had.
fn cover_word(text: &[char], word: &str, covered: &mut [bool]) -> bool {
    let word: Vec<char> = word.chars().collect();
    let mut is_new = false;
    for (at, window) in text.windows(word.len()).enumerate() {
        if window.iter().zip(&word).all(|(a, b)| a == b || letter_of(*a) == *b) {
            let place = &mut covered[at..at + word.len()];
            is_new |= place.iter().any(|covered| !covered);
            place.fill(true);
        }
    }
    is_new
}

/// Covers walks over the keys, years, and characters that are repeated.
fn cover_rows(text: &[char], covered: &mut [bool]) {
    let rows: Vec<Vec<char>> =
        ROWS.iter().flat_map(|row| [row.chars().collect::<Vec<_>>(), row.chars().rev().collect()]).collect();
    for (at, window) in text.windows(ROW).enumerate() {
        let is_same = window.iter().all(|c| *c == window[0]);
        let is_row = || rows.iter().any(|row| row.windows(ROW).any(|part| part == window));
        if is_same || is_row() {
            covered[at..at + ROW].fill(true);
        }
    }
    for (at, window) in text.windows(4).enumerate() {
        if matches!(window, ['1', '8' | '9', a, b] | ['2', '0', a, b] if a.is_ascii_digit() && b.is_ascii_digit())
        {
            covered[at..at + 4].fill(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: &[&str] = &["ann.miller@acme-mail.example", "Ann Miller"];

    #[test]
    fn what_is_tried_first_is_refused_with_the_reason() {
        assert_eq!(problem("short", ABOUT), Some(SHORT));
        assert_eq!(problem(&"xyzzy-".repeat(200), ABOUT), Some(LONG));
        for bad in ["aaaaaaaaaaaaaaaa", "abababababab", "121212121212", "ännaännaännaänna"] {
            assert_eq!(problem(bad, ABOUT), Some(REPEATED), "{bad}");
        }
        for bad in [
            "password1234",
            "P@ssw0rd1234!",
            "Passwort2024!",
            "123456789012",
            "987654321098",
            "qwertyuiop[]",
            "1q2w3e4r5t6y",
            "qazwsxedcrfv",
            "!QAZ2wsx#EDC",
            "Summer2025!!",
            "SummerWinter2024",
            "iloveyou12345",
            "letmeinletmein",
            "administrator1",
            "adminadmin2023",
            "Countersign1!",
            "ann.miller@acme-mail.example",
            "AnnMiller2024",
            "millerann1987!",
            "welcome to acme",
            "correcthorsebatterystaple",
            "Liverpool1892",
        ] {
            assert_eq!(problem(bad, ABOUT), Some(COMMON), "{bad}");
        }
    }

    #[test]
    fn words_that_do_not_belong_together_are_taken() {
        for good in [
            "correct horse battery",
            "zwölf Zeichen",
            "another one that is long",
            "monkey dragon cheese winter paris",
            "kT9#vLq2xWz8",
            "drei Birnen im Schnee",
            "我的密码是一只会飞的猫",
            "tractor-violin-6",
        ] {
            assert_eq!(problem(good, ABOUT), (good.chars().count() < SHORTEST).then_some(SHORT), "{good}");
        }
    }
}
