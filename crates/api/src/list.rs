//! Lists: pages of at most 100 things, newest first, each page with the cursor of the next.

use crate::problem::Problem;
use serde::Serialize;
use std::str::FromStr;
use utoipa::ToSchema;

const DEFAULT: u32 = 20;
/// The most that a page may have.
pub const MOST: u32 = 100;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: &'static str,
    /// The things on this page.
    pub data: Vec<T>,
    /// Whether there is another page.
    pub has_more: bool,
    /// What to give as `cursor` to get the next page.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A list without pages.
    pub fn whole(data: Vec<T>) -> Self {
        Self { object: "list", data, has_more: false, next_cursor: None }
    }
}

/// Which page is wanted.
#[derive(Debug)]
pub struct Page<Id> {
    /// The last thing of the page before.
    pub after: Option<Id>,
    limit: u32,
}

/// How many things a page has, from the parameter `limit`.
pub fn checked_limit(limit: Option<u32>) -> Result<u32, Problem> {
    let limit = limit.unwrap_or(DEFAULT);
    if (1..=MOST).contains(&limit) {
        Ok(limit)
    } else {
        Err(Problem::field("limit", format!("give a number from 1 to {MOST}")))
    }
}

impl<Id: FromStr> Page<Id> {
    /// From the parameters `limit` and `cursor`.
    pub fn parse(limit: Option<u32>, cursor: Option<&str>) -> Result<Self, Problem> {
        let limit = checked_limit(limit)?;
        let after = match cursor {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                Problem::field("cursor", "is not a cursor of this list; take next_cursor of the page before")
            })?),
        };
        Ok(Self { after, limit })
    }

    /// How many to fetch: one more than is shown tells whether there are more.
    pub fn fetch(&self) -> u32 {
        self.limit + 1
    }

    /// Makes the page of what was fetched.
    pub fn list<S, T>(
        &self,
        mut fetched: Vec<S>,
        id: impl Fn(&S) -> String,
        view: impl Fn(S) -> T,
    ) -> List<T> {
        let limit = self.limit as usize;
        let has_more = fetched.len() > limit;
        fetched.truncate(limit);
        let next_cursor = fetched.last().filter(|_| has_more).map(id);
        List { object: "list", data: fetched.into_iter().map(view).collect(), has_more, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_bounded_and_chained() {
        let page = Page::<u32>::parse(Some(2), Some("9")).unwrap();
        assert_eq!((page.after, page.fetch()), (Some(9), 3));
        let list = page.list(vec![8, 7, 6], u32::to_string, |number| number * 10);
        assert_eq!((list.data, list.has_more, list.next_cursor.as_deref()), (vec![80, 70], true, Some("7")));
        let list = page.list(vec![8, 7], u32::to_string, |number| number);
        assert_eq!((list.data.len(), list.has_more, list.next_cursor), (2, false, None));
    }

    #[test]
    fn limits_and_cursors_out_of_range_are_refused() {
        for (limit, cursor, field) in
            [(Some(0), None, "limit"), (Some(101), None, "limit"), (None, Some("x"), "cursor")]
        {
            let problem = Page::<u32>::parse(limit, cursor).unwrap_err();
            assert_eq!((problem.status.as_u16(), problem.errors[0].field.as_str()), (422, field));
        }
        assert_eq!(Page::<u32>::parse(None, None).unwrap().fetch(), 21);
    }
}
