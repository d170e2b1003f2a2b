//! The key that signs a link, as a host fetches it: TXT records from DNS, over UDP, read here by hand.

use super::{Refused, refused};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

/// How long the server of the key may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the signature is one of the key at this name over these octets.
pub fn verify(server: SocketAddr, name: &str, signed: &str, signature: &str) -> Result<(), Refused> {
    let texts = texts_at(server, name).map_err(|error| Refused(format!("no key at {name}: {error}")))?;
    let key = public_key(&texts)?;
    let Ok(signature) = STANDARD.decode(signature) else { return refused("sig is no base64") };
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| Refused("the signature is wrong".to_owned()))
}

/// Joins `p=1,a=RS256,d=…` in the order of their numbers.
fn public_key(texts: &[String]) -> Result<Vec<u8>, Refused> {
    let mut pieces = Vec::new();
    for text in texts {
        let mut number = None;
        let mut data = None;
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("p", value)) => number = value.parse::<u32>().ok(),
                Some(("a", "RS256") | ("t", "x509")) => {}
                Some(("d", value)) => data = Some(value.to_owned()),
                _ => return refused(format!("the key has \"{part}\" in it")),
            }
        }
        let (Some(number), Some(data)) = (number, data) else {
            return refused("a piece of the key is not whole");
        };
        pieces.push((number, data));
    }
    pieces.sort();
    if !pieces.iter().enumerate().all(|(index, (number, _))| u32::try_from(index + 1) == Ok(*number)) {
        return refused("the pieces of the key are not numbered from 1");
    }
    let joined: String = pieces.into_iter().map(|(_, data)| data).collect();
    match STANDARD.decode(joined) {
        Ok(key) if !key.is_empty() => Ok(key),
        _ => refused("the key is no base64"),
    }
}

/// The TXT records at a name, each of one string.
fn texts_at(server: SocketAddr, name: &str) -> Result<Vec<String>, String> {
    let words = |error: std::io::Error| error.to_string();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(words)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(words)?;
    socket.connect(server).map_err(words)?;
    socket.send(&query(name)).map_err(words)?;
    let mut reply = vec![0; 4_096];
    let length = socket.recv(&mut reply).map_err(words)?;
    reply.truncate(length);
    read(&reply).ok_or_else(|| "the answer is not understood".to_owned())
}

/// A question for TXT, with EDNS for an answer of 1,232 octets.
fn query(name: &str) -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        query.push(u8::try_from(label.len()).unwrap_or(0));
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 16, 0, 1]);
    query.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
    query
}

fn read(reply: &[u8]) -> Option<Vec<String>> {
    let short = |at: usize| Some(u16::from_be_bytes([*reply.get(at)?, *reply.get(at + 1)?]));
    // Of this question, whole, and without an error.
    if reply.get(..2)? != [0x12, 0x34] || reply[2] & 0x82 != 0x80 || *reply.get(3)? & 0x0f != 0 {
        return None;
    }
    let mut at = skip_name(reply, 12)? + 4;
    let mut texts = Vec::new();
    for _ in 0..short(6)? {
        at = skip_name(reply, at)?;
        let (kind, length) = (short(at)?, usize::from(short(at + 8)?));
        let data = reply.get(at + 10..at + 10 + length)?;
        at += 10 + length;
        if kind == 16 {
            let (first, string) = data.split_first()?;
            if usize::from(*first) != string.len() {
                return None;
            }
            texts.push(String::from_utf8(string.to_vec()).ok()?);
        }
    }
    (!texts.is_empty()).then_some(texts)
}

fn skip_name(reply: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *reply.get(at)? {
            0 => return Some(at + 1),
            length if length >= 0xc0 => return Some(at + 2),
            length => at += usize::from(length) + 1,
        }
    }
}
