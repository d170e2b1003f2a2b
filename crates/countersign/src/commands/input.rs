//! Files and standard input.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Reads a file, or standard input where the path is `-`; returns its name for messages too.
pub fn read(path: &Path, max_bytes: u64) -> Result<(String, Vec<u8>), String> {
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { "standard input".to_owned() } else { super::show::path(path) };
    let read = |source: &mut dyn Read| {
        let mut bytes = Vec::new();
        source.take(max_bytes + 1).read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = if is_stdin {
        read(&mut io::stdin().lock())
    } else {
        File::open(path).and_then(|mut file| read(&mut file))
    }
    .map_err(|error| format!("{name}: {error}"))?;
    if bytes.len() as u64 > max_bytes {
        return Err(format!("{name}: it is larger than {} MiB", max_bytes >> 20));
    }
    Ok((name, bytes))
}
