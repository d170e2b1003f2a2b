//! The zone and the questions.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

pub const APEX: &str = "send.test";

/// A number that looks like chance and is the same in every run (`SplitMix64`).
fn mixed(number: usize) -> u64 {
    let mut mixed = (number as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

pub fn selector(number: usize) -> String {
    format!("{:016x}{:08x}", mixed(number), number)
}

/// An RSA key as OpenSSL writes it, but that nobody can sign with it.
pub fn key(number: usize) -> String {
    let mut key = STANDARD.decode("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA").unwrap();
    for part in 0..32 {
        key.extend_from_slice(&mixed(number * 32 + part).to_be_bytes());
    }
    key.extend_from_slice(&[2, 3, 1, 0, 1]);
    STANDARD.encode(key)
}

pub fn text(number: usize) -> String {
    format!("v=DKIM1; k=rsa; p={}", key(number))
}

pub const HEAD: &str = "@ 30 SOA ns1 hostmaster 1 3600 600 604800 30\n@ 300 NS ns1\nns1 300 A 192.0.2.1\n\
                        spf 300 TXT \"v=spf1 ip4:192.0.2.0/24 ~all\"\n";

pub fn write_zone(folder: &Path, names: usize) {
    let mut file = BufWriter::new(File::create(folder.join(APEX)).unwrap());
    write!(file, "$ORIGIN {APEX}.\n{HEAD}").unwrap();
    for number in 0..names {
        let text = text(number);
        let (first, rest) = text.split_at(255);
        writeln!(file, "{}.dkim 300 TXT \"{first}\" \"{rest}\"", selector(number)).unwrap();
    }
    file.flush().unwrap();
}

/// Nine in ten are there; of the others half have another type, half do not exist.
pub fn write_questions(folder: &Path, names: usize) -> PathBuf {
    let path = folder.join("questions.txt");
    let mut file = BufWriter::new(File::create(&path).unwrap());
    for question in 0..names.min(200_000) {
        let chance = mixed(question + 77);
        let number = usize::try_from(chance >> 8).unwrap_or_default() % names;
        match chance % 20 {
            0 => writeln!(file, "{}.dkim.{APEX} A", selector(number)).unwrap(),
            1 => writeln!(file, "{}.dkim.{APEX} TXT", selector(number + names)).unwrap(),
            _ => writeln!(file, "{}.dkim.{APEX} TXT", selector(number)).unwrap(),
        }
    }
    file.flush().unwrap();
    path
}
