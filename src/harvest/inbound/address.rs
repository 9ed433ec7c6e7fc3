//! Which addresses may be reached: the world's, and those inside that the source was allowed.
//!
//! A name is resolved once and the connection goes to what was found, so that a second answer of
//! the name server cannot lead elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::Duration;

use reqwest::Url;

use super::Trouble;

/// Ranges of IPv4 that are not the world's (IANA special-purpose registry, RFC 6890): address,
/// length of the prefix.
const INSIDE: &[([u8; 4], u32)] = &[
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3),
];

fn is_inside_v4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    INSIDE.iter().any(|(base, length)| {
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
        bits & mask == u32::from(Ipv4Addr::from(*base)) & mask
    })
}

/// IPv6 is the world's only in 2000::/3; what carries an IPv4 address is judged by that.
fn is_inside_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match parts {
        // IPv4-mapped, and NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_inside_v4(v4(high, low))
        }
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => is_inside_v4(v4(high, low)),
        // Teredo, benchmarking, ORCHID: 2001::/23; documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => true,
        [0x3fff, ..] => true,
        [first, ..] => first & 0xe000 != 0x2000,
    }
}

/// Whether an address is not the world's: loopback, private, link-local, reserved.
#[must_use]
pub fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_inside_v4(address),
        IpAddr::V6(address) => is_inside_v6(address),
    }
}

/// Who knows where a name leads: host, port, and how long it may take.
pub type LookUp<'a> = dyn Fn(&str, u16, Duration) -> Option<Vec<SocketAddr>> + Sync + 'a;

/// Where to connect for a URL; refuses what is inside unless `allowed` names host and port. The
/// name is looked up once, and nothing is reached but what that gave.
pub(super) fn resolve(
    url: &Url,
    allowed: &[String],
    patience: Duration,
    look_up: &LookUp<'_>,
) -> Result<Vec<SocketAddr>, Trouble> {
    let refuse = |code: &str, detail: &str| Err(Trouble::new(url.as_str(), code, detail));
    if !matches!(url.scheme(), "http" | "https") {
        return refuse("scheme", "only http and https are fetched");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("credentials", "an address with user or password is not fetched");
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return refuse("no-host", "the address has no host");
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = match bare.parse::<IpAddr>() {
        // `Url` has already made the dotted form of decimal, octal and hexadecimal hosts.
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => look_up(bare, port, patience)
            .ok_or_else(|| Trouble::new(url.as_str(), "no-address", "the name has no address"))?,
    };
    let is_allowed = allowed.iter().any(|name| *name == format!("{host}:{port}"));
    if !is_allowed && found.iter().any(|found| is_inside(found.ip())) {
        return refuse(
            "private-address",
            "the address is inside; name host and port in `allow_private` if it may be reached",
        );
    }
    Ok(found)
}

/// The system's resolver, which knows no limit of time, so it is asked in a thread of its own.
#[must_use]
pub fn system(host: &str, port: u16, patience: Duration) -> Option<Vec<SocketAddr>> {
    let (sender, receiver) = mpsc::channel();
    let name = host.to_owned();
    std::thread::spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs().map(|all| all.take(16).collect());
        // Nobody listens any more when it took too long.
        let _ = sender.send(found.unwrap_or_default());
    });
    let found: Vec<SocketAddr> = receiver.recv_timeout(patience).ok()?;
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::{is_inside, resolve, system};
    use std::time::Duration;

    #[test]
    fn what_is_inside_is_known_in_every_spelling() {
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(is_inside(inside.parse().unwrap()), "{inside}");
        }
        for world in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2a00:1450::1", "2606:4700::1"] {
            assert!(!is_inside(world.parse().unwrap()), "{world}");
        }
    }

    #[test]
    fn an_address_is_refused_however_it_is_written() {
        for (url, code) in [
            ("http://2130706433/", "private-address"),
            ("http://0177.0.0.1/", "private-address"),
            ("http://0x7f.1/", "private-address"),
            ("http://127.1/", "private-address"),
            ("http://localhost/", "private-address"),
            ("http://127.0.0.1:81/", "private-address"),
            ("http://[::1]/", "private-address"),
            ("http://[::ffff:7f00:1]/", "private-address"),
            ("http://①②⑦.0.0.1/", "private-address"),
            ("http://169.254.169.254/latest/meta-data/", "private-address"),
            ("http://user@8.8.8.8/", "credentials"),
            ("http://user:word@8.8.8.8/", "credentials"),
            ("file:///etc/passwd", "scheme"),
            ("ftp://8.8.8.8/", "scheme"),
            ("gopher://8.8.8.8/", "scheme"),
        ] {
            let url = url.parse().unwrap();
            let allowed = ["127.0.0.1:80".to_owned()];
            let refused =
                resolve(&url, &allowed[..0], Duration::from_secs(5), &system).unwrap_err();
            assert_eq!(refused.code, code, "{url}");
        }
        let allowed = ["127.0.0.1:81".to_owned()];
        let of =
            |url: &str| resolve(&url.parse().unwrap(), &allowed, Duration::from_secs(5), &system);
        assert!(of("http://127.0.0.1:81/").is_ok());
        assert!(of("http://127.0.0.1:82/").is_err(), "only what is named");
    }
}
