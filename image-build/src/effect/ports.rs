//! The ports of EXPOSE.

use std::net::IpAddr;

/// What one word of EXPOSE stands for: `80` is `80/tcp`, and `8000-8002/udp` is three ports.
///
/// # Spec
/// Dockerfile reference, § EXPOSE.
pub(crate) fn parse(word: &str) -> Result<Vec<String>, String> {
    let invalid = |reason: &str| format!("invalid port {word:?}: {reason}");
    let mut parts = word.rsplitn(3, ':');
    let (ports, host, address) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let (ports, protocol) = ports.split_once('/').unwrap_or((ports, "tcp"));
    let protocol = if protocol.is_empty() { "tcp".into() } else { protocol.to_ascii_lowercase() };
    if !matches!(&*protocol, "tcp" | "udp" | "sctp") {
        return Err(invalid("the protocol is none of tcp, udp and sctp"));
    }
    let (low, high) = range(ports).map_err(invalid)?;
    // Addresses and host ports of `docker run -p` are allowed and ignored, as Docker does.
    if let Some(host) = host.filter(|host| !host.is_empty()) {
        range(host).map_err(invalid)?;
    }
    let address = address.filter(|address| !address.is_empty());
    if address.is_some_and(|text| text.trim_matches(['[', ']']).parse::<IpAddr>().is_err()) {
        return Err(invalid("what stands before the ports is no address"));
    }
    Ok((low..=high).map(|port| format!("{port}/{protocol}")).collect())
}

/// The first and the last port of `80` or `8000-8002`.
fn range(text: &str) -> Result<(u16, u16), &'static str> {
    let number = |text: &str| text.parse::<u16>().map_err(|_| "it is no number from 0 to 65535");
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    match (number(low)?, number(high)?) {
        (low, high) if low > high => Err("the range ends before it begins"),
        range => Ok(range),
    }
}
