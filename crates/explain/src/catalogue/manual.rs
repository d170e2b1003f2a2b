//! The page of a finding as it is written: the doc comment at the head of the file of its check.
//!
//! `build.rs` reads every page with this; the library itself has it for its tests only.

/// How a page is written, for whoever has left something out.
const FORM: &str = "\
//! What it is called, without a full stop
//!
//! What was seen when this is reported.
//!
//! # Why it matters
//!
//! What follows from it, in one or two sentences.
//!
//! # What to do
//!
//! 1. The first step.
//! 2. The second step.
//!
//! # References
//!
//! - RFC 7208 §4.5";

/// The heading of what follows from a finding.
const WHY: &str = "# Why it matters";
/// The heading of the steps.
const HOW: &str = "# What to do";
/// The heading of the rules that it rests on.
const REFERENCES: &str = "# References";

/// The parts of a page, each in one line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Manual {
    /// What it is called.
    pub(crate) title: String,
    /// What was seen.
    pub(crate) what: String,
    /// What follows from it.
    pub(crate) why: String,
    /// What to do, in order.
    pub(crate) how: Vec<String>,
    /// Where the rule is written.
    pub(crate) references: Vec<String>,
}

/// The page of the file of a check.
///
/// # Errors
///
/// What is left out of the page or not as it should be, and how a page is written.
pub(crate) fn read(source: &str) -> Result<Manual, String> {
    parse(source).map_err(|mistake| {
        format!("{mistake}. The page of a finding is its doc comment, like this:\n\n{FORM}\n")
    })
}

fn parse(source: &str) -> Result<Manual, String> {
    let mut blocks = blocks(source).into_iter().peekable();
    let mut text = |missing: &str, heading: Option<&str>| {
        if let Some(heading) = heading {
            blocks
                .next_if(|block| block == heading)
                .ok_or_else(|| format!("`{heading}` is not where it belongs"))?;
        }
        blocks.next_if(|block| !block.starts_with('#')).ok_or_else(|| format!("{missing} is not said"))
    };
    let title = text("what it is called", None)?;
    let what = text("what was seen", None)?;
    let why = text("why it matters", Some(WHY))?;
    let mut how = vec![text("what to do", Some(HOW))?];
    while let Ok(step) = text("", None) {
        how.push(step);
    }
    let mut references = vec![text("where the rule is written", Some(REFERENCES))?];
    while let Ok(reference) = text("", None) {
        references.push(reference);
    }
    if let Some(block) = blocks.next() {
        return Err(format!("`{block}` is no part of a page"));
    }
    if title.ends_with('.') {
        return Err("the title ends in a full stop".to_owned());
    }
    if [&title, &what, &why].into_iter().chain(&how).any(|text| text.contains('`')) {
        return Err("a page is shown as plain text and has no backticks".to_owned());
    }
    for sentence in [&what, &why].into_iter().chain(&how) {
        if !sentence.ends_with(['.', ':']) {
            return Err(format!("{sentence:?} does not end in a full stop"));
        }
    }
    let how =
        how.iter().enumerate().map(|(index, step)| numbered(index + 1, step)).collect::<Result<_, _>>()?;
    let references = references.iter().map(|one| reference(one)).collect::<Result<Vec<_>, _>>()?;
    if !references.iter().any(|reference| reference.contains('§')) {
        return Err("no reference names a section (`RFC 7208 §4.5`)".to_owned());
    }
    Ok(Manual { title, what, why, how, references })
}

/// The paragraphs, headings and items of the doc comment at the head of a file, each in one line.
fn blocks(source: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut continues = false;
    for line in source.lines().map_while(|line| line.strip_prefix("//!")) {
        let line = line.trim();
        let begins_item = line.starts_with("- ")
            || line.split_once(". ").is_some_and(|(number, _)| number.parse::<usize>().is_ok());
        match blocks.last_mut() {
            Some(block) if continues && !begins_item && !line.is_empty() => {
                block.push(' ');
                block.push_str(line);
            }
            _ if line.is_empty() => {}
            _ => blocks.push(line.to_owned()),
        }
        continues = !line.is_empty();
    }
    blocks
}

/// A step without its number, which has to be the next one.
fn numbered(number: usize, step: &str) -> Result<String, String> {
    step.strip_prefix(&format!("{number}. "))
        .map(str::to_owned)
        .ok_or_else(|| format!("{step:?} is not numbered as step {number}"))
}

/// An item of the list of references.
fn reference(item: &str) -> Result<String, String> {
    item.strip_prefix("- ")
        .filter(|text| ["RFC ", "M3AAWG ", "draft-ietf-"].iter().any(|start| text.starts_with(start)))
        .map(str::to_owned)
        .ok_or_else(|| format!("{item:?} is no item of the list of references (`- RFC 7208 §4.5`)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_that_is_told_is_a_page() {
        let manual = read(&format!("{FORM}\n\nuse super::Context;\n//! not of the page\n")).unwrap();
        assert_eq!(manual.title, "What it is called, without a full stop");
        assert_eq!(manual.what, "What was seen when this is reported.");
        assert_eq!(manual.why, "What follows from it, in one or two sentences.");
        assert_eq!(manual.how, ["The first step.", "The second step."]);
        assert_eq!(manual.references, ["RFC 7208 §4.5"]);
    }

    #[test]
    fn wrapped_lines_are_one() {
        let wrapped = FORM
            .replace("seen when", "seen\n//! when")
            .replace("first step", "first\n//!    step")
            .replace("§4.5", "§4.5\n//! - RFC 7208\n//!   §4.6");
        let manual = read(&wrapped).unwrap();
        assert_eq!(manual.what, "What was seen when this is reported.");
        assert_eq!(manual.how[0], "The first step.");
        assert_eq!(manual.references, ["RFC 7208 §4.5", "RFC 7208 §4.6"]);
    }

    #[test]
    fn what_is_left_out_is_named_with_the_form() {
        for (part, with, mistake) in [
            (FORM, "use super::Context;", "what it is called is not said"),
            ("What was seen when this is reported.\n//!\n//! ", "", "what was seen is not said"),
            ("# Why it matters\n//!\n//! ", "", "`# Why it matters` is not where it belongs"),
            ("What follows from it, in one or two sentences.", "", "why it matters is not said"),
            ("1. The first step.\n//! 2. The second step.", "", "what to do is not said"),
            ("2. The", "3. The", "is not numbered as step 2"),
            ("- RFC 7208 §4.5", "", "where the rule is written is not said"),
            ("- RFC 7208 §4.5", "- RFC 7208", "no reference names a section"),
            ("- RFC 7208 §4.5", "- the standard", "is no item of the list of references"),
            ("without a full stop", "with one.", "the title ends in a full stop"),
            ("The first step", "The `first` step", "has no backticks"),
            ("is reported.", "is reported", "does not end in a full stop"),
            ("§4.5", "§4.5\n//!\n//! # More", "`# More` is no part of a page"),
        ] {
            let told = read(&FORM.replace(part, with)).unwrap_err();
            assert!(told.contains(mistake) && told.contains(FORM), "{part:?}: {told}");
        }
    }
}
