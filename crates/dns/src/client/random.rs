//! Ids and choices that nobody can foresee.

use std::io;

/// Numbers from the operating system's random source, fetched many at a time.
#[derive(Default)]
pub struct Random {
    left: Vec<u16>,
}

impl Random {
    pub fn next(&mut self) -> io::Result<u16> {
        if let Some(number) = self.left.pop() {
            return Ok(number);
        }
        let mut octets = [0; 1024];
        getrandom::fill(&mut octets).map_err(io::Error::other)?;
        let (pairs, _) = octets.as_chunks::<2>();
        self.left.extend(pairs.iter().map(|pair| u16::from_be_bytes(*pair)));
        self.left.pop().ok_or_else(|| io::Error::other("no randomness"))
    }
}
