//! Where notices may go: an address that somebody gave must not make this server ask machines
//! that only it can reach (server-side request forgery).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};

use reqwest::Url;

use crate::config::Subscriptions;

/// Reads an address; `Err` says what is wrong with it.
pub(super) fn read(text: &str, rules: &Subscriptions) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|failure| format!("is no web address ({failure})"))?;
    match url.scheme() {
        "https" => {}
        "http" if rules.allow_http => {}
        "http" => {
            return Err("must begin with `https://`: anybody on the way could read the notices \
                        (the operator may set `subscriptions.allow_http`)"
                .to_owned());
        }
        _ => return Err("must begin with `https://`".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user or a password; send them in `channel.header`".to_owned());
    }
    if url.fragment().is_some() || url.query().is_some() {
        return Err("holds a query or a fragment, behind which no resource can be put".to_owned());
    }
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    if host.is_empty() {
        return Err("names no host".to_owned());
    }
    // However it was spelled: `Url` writes an address as numbers.
    let ip: Option<IpAddr> = host.parse().ok();
    if ip.is_some_and(|ip| !rules.allow_private && !is_public(ip)) {
        return Err(NOT_PUBLIC.to_owned());
    }
    Ok(url)
}

const NOT_PUBLIC: &str = "is an address of this server's own network; the operator may set \
                          `subscriptions.allow_private`";

/// The sockets of an address, asked anew for every connection: a name that was public once may
/// point elsewhere now.
pub(super) fn resolve(url: &Url, rules: &Subscriptions) -> Result<Vec<SocketAddr>, String> {
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(443);
    let all = (host, port).to_socket_addrs();
    let all = all.map_err(|_| "the host of the endpoint has no address".to_owned())?;
    let found: Vec<SocketAddr> =
        all.filter(|found| rules.allow_private || is_public(found.ip())).collect();
    if found.is_empty() {
        return Err(format!("the endpoint {NOT_PUBLIC}"));
    }
    Ok(found)
}

/// Whether an address is one of the public internet (IANA special-purpose address registries).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    if [a, b, c, d, e] == [0; 5] && (f == 0 || f == 0xffff) {
        // Mapped and compatible; `::` and `::1` among them.
        return f == 0xffff && is_public_v4(v4(g, h));
    }
    if a == 0x64 && b == 0xff9b {
        return [c, d, e, f] == [0; 4] && is_public_v4(v4(g, h));
    }
    // Global unicast is 2000::/3; of it 6to4, Teredo and documentation lead elsewhere.
    (a & 0xe000) == 0x2000 && a != 0x2002 && !(a == 0x2001 && (b == 0 || b == 0xdb8))
}

#[cfg(test)]
mod tests {
    use super::{is_public, read};
    use crate::config::Subscriptions;

    #[test]
    fn only_the_public_internet_is_reached() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["8.8.8.8", "193.84.1.1", "2a00:1450::1", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn addresses_that_lead_astray_are_refused() {
        let rules = Subscriptions::default();
        assert!(read("https://hospital.example/hook", &rules).is_ok());
        for wrong in [
            "",
            "hook",
            "/hook",
            "http://hospital.example/hook",
            "ftp://hospital.example/hook",
            "file:///etc/passwd",
            "https://user:secret@hospital.example/",
            "https://hospital.example/?a=b",
            "https://hospital.example/#a",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
        ] {
            assert!(read(wrong, &rules).is_err(), "{wrong}");
        }
        let open = Subscriptions { allow_http: true, allow_private: true, ..rules };
        assert!(read("http://127.0.0.1:8080/hook", &open).is_ok());
    }
}
