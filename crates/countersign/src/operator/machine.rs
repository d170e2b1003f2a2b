//! What only this machine can see: its disk and its clock.

use app::App;
use model::Timestamp;
use std::{path::Path, time::Duration};
use tokio::{net::UdpSocket, time::timeout};

/// How long a time server may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Seconds from the beginning of NTP's time, 1900, to that of Unix, 1970 (RFC 5905 §6).
const NTP_TO_UNIX: i64 = 2_208_988_800;

/// What is free in a folder's file system for those without privileges, and its size, in octets.
pub fn disk_space(folder: &Path) -> Result<(u64, u64), String> {
    let space = nix::sys::statvfs::statvfs(folder).map_err(|error| error.desc().to_owned())?;
    let unit = space.fragment_size();
    Ok((space.blocks_available() * unit, space.blocks() * unit))
}

/// How far a time server's clock is ahead of ours (RFC 4330 §5); `None` where none is named or it does not answer.
pub async fn ask_time_server(server: &str, app: &App) -> Option<jiff::SignedDuration> {
    if server.is_empty() {
        return None;
    }
    let server = if server.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        server.to_owned()
    } else {
        format!("{server}:123")
    };
    timeout(PATIENCE, async {
        let address = tokio::net::lookup_host(&server).await.ok()?.next()?;
        let own = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(own).await.ok()?;
        socket.connect(address).await.ok()?;
        let mut packet = [0_u8; 48];
        // Version 4, from a client.
        packet[0] = 0x23;
        let sent = app.now();
        // The server gives it back, so that nobody else's packet is taken for the answer.
        let mark = sent.as_nanosecond().to_be_bytes();
        packet[40..48].copy_from_slice(&mark[8..16]);
        socket.send(&packet).await.ok()?;
        let mut answer = [0_u8; 48];
        let length = socket.recv(&mut answer).await.ok()?;
        let received = app.now();
        let is_answer = length == 48 && answer[0] & 7 == 4 && answer[24..32] == mark[8..16];
        let is_synchronised = answer[0] >> 6 != 3 && answer[1] != 0;
        if !is_answer || !is_synchronised {
            return None;
        }
        let (arrived, left) = (ntp_time(&answer[32..40])?, ntp_time(&answer[40..48])?);
        // RFC 5905 §8: half of the difference there and of the difference back.
        Some((arrived.duration_since(sent) + left.duration_since(received)) / 2)
    })
    .await
    .ok()
    .flatten()
}

/// 32 bits of seconds and 32 bits of their fraction; those below 2^31 are of the era that begins in 2036.
fn ntp_time(octets: &[u8]) -> Option<Timestamp> {
    let seconds = u32::from_be_bytes(octets.get(..4)?.try_into().ok()?);
    let fraction = u32::from_be_bytes(octets.get(4..8)?.try_into().ok()?);
    let era = if seconds < 1 << 31 { 1_i64 << 32 } else { 0 };
    let nanos = (u64::from(fraction) * 1_000_000_000) >> 32;
    Timestamp::new(i64::from(seconds) + era - NTP_TO_UNIX, i32::try_from(nanos).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_eras_are_read() {
        let at = |seconds: u32, fraction: u32| {
            let octets = [seconds.to_be_bytes(), fraction.to_be_bytes()].concat();
            ntp_time(&octets).unwrap().to_string()
        };
        assert_eq!(at(0x83aa_7e80, 1 << 31), "1970-01-01T00:00:00.5Z");
        // The last second of the first era, and the first of the next (RFC 4330 §3).
        assert_eq!(at(u32::MAX, 0), "2036-02-07T06:28:15Z");
        assert_eq!(at(0, 0), "2036-02-07T06:28:16Z");
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let (free, total) = disk_space(Path::new("/")).unwrap();
        assert!(free <= total && total > 0);
        assert_eq!(disk_space(Path::new("/nowhere/at/all")).unwrap_err(), "No such file or directory");
    }
}
