//! What published texts were read as, each once: many domains of a list publish the same SPF and DMARC records, and one
//! domain's checks look at the same record again and again.
//!
//! Reading is a pure function of the text, so it makes no difference to what is found whether a reading was kept.
//! Bounded in number and in octets.

use crate::spf_tree::Counted;
use mail::{
    dmarc::{DmarcReading, PolicyRecord},
    spf::{SpfReading, SpfRecord},
};
use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many texts of a kind are kept; when there are more, all of them go.
const MOST: usize = 512;

/// The longest text that is kept, in octets.
const LONGEST: usize = 512;

/// How many octets what came of counting SPF records takes in all; when it is more, all of it goes.
const MOST_OCTETS: usize = 1 << 20;

/// What takes more is not kept.
const LARGEST: usize = 64 << 10;

/// With how many sets of answers one record is kept: before what it includes was asked for, and after.
const MOST_ANSWERS: usize = 4;

/// What was read so far.
#[derive(Debug, Default)]
pub struct Readings {
    spf: Kept<SpfReading>,
    dmarc: Kept<DmarcReading>,
    trees: Mutex<Trees>,
}

/// What SPF records came to with all that they include, by their text: with each set of answers that there was lately.
#[derive(Debug, Default)]
struct Trees {
    by_record: FxHashMap<Box<str>, Vec<Arc<Counted>>>,
    octets: usize,
}

impl Trees {
    fn keep(&mut self, record: &str, counted: &Arc<Counted>) {
        let octets = counted.octets();
        if octets > LARGEST {
            return;
        }
        if self.octets + octets > MOST_OCTETS {
            *self = Self::default();
        }
        let of_record = self.by_record.entry(record.into()).or_default();
        if of_record.len() == MOST_ANSWERS {
            self.octets -= of_record.remove(0).octets();
        }
        of_record.push(Arc::clone(counted));
        self.octets += octets;
    }
}

impl Readings {
    /// As [`SpfRecord::parse`].
    pub fn spf(&self, text: &str) -> SpfReading {
        self.spf.get(text, |text| Arc::new(SpfRecord::parse(text)))
    }

    /// An SPF record with all that it includes: as it was counted earlier, where that holds here and now, or anew.
    pub(crate) fn counted(
        &self,
        record: &str,
        holds: impl Fn(&Counted) -> bool,
        count: impl FnOnce() -> Counted,
    ) -> Arc<Counted> {
        let lock = || self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = |counted: &&Arc<Counted>| holds(counted);
        if let Some(known) = lock().by_record.get(record).and_then(|all| all.iter().find(holds)) {
            return Arc::clone(known);
        }
        let counted = Arc::new(count());
        lock().keep(record, &counted);
        counted
    }

    /// As [`PolicyRecord::parse`].
    pub fn dmarc(&self, text: &str) -> DmarcReading {
        self.dmarc.get(text, |text| Arc::new(PolicyRecord::parse(text)))
    }
}

#[derive(Debug)]
struct Kept<T>(Mutex<FxHashMap<Box<str>, T>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Kept<T> {
    fn get(&self, text: &str, read: impl FnOnce(&str) -> T) -> T {
        if text.len() > LONGEST {
            return read(text);
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(text) {
            return known.clone();
        }
        if kept.len() >= MOST {
            kept.clear();
        }
        let reading = read(text);
        kept.insert(text.into(), reading.clone());
        reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_is_read_once_and_no_more_are_kept_than_that() {
        let readings = Readings::default();
        let record = "v=spf1 include:spf.send.example.net ~all";
        assert!(Arc::ptr_eq(&readings.spf(record), &readings.spf(record)));
        let long = format!("{record} {}", "a:x.test ".repeat(100));
        assert!(!Arc::ptr_eq(&readings.spf(&long), &readings.spf(&long)));
        for number in 0..MOST * 2 + 9 {
            readings.spf(&format!("v=spf1 ip4:192.0.2.1 x={number} ~all"));
        }
        assert!(readings.spf.0.lock().unwrap().len() <= MOST);
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_reading_gives(
            texts in proptest::collection::vec("(v=spf1|v=DMARC1;)?[ a-z0-9:=;~.]{0,12}", 1..40)
        ) {
            let readings = Readings::default();
            for text in texts.iter().chain(&texts) {
                prop_assert_eq!(&*readings.spf(text), &SpfRecord::parse(text));
                prop_assert_eq!(&*readings.dmarc(text), &PolicyRecord::parse(text));
            }
        }
    }
}
