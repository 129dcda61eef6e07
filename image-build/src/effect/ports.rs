//! The ports of EXPOSE.

/// What one word of EXPOSE stands for: `80` is `80/tcp`, and `8000-8002/udp` is three ports.
///
/// # Spec
/// Dockerfile reference, § EXPOSE.
pub(crate) fn parse(word: &str) -> Result<Vec<String>, String> {
    let invalid = |reason: &str| format!("invalid port {word:?}: {reason}");
    let (ports, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let protocol = if protocol.is_empty() { "tcp".into() } else { protocol.to_ascii_lowercase() };
    if !matches!(&*protocol, "tcp" | "udp" | "sctp") {
        return Err(invalid("the protocol is none of tcp, udp and sctp"));
    }
    // Addresses and host ports of `docker run -p` are allowed and ignored, as Docker does.
    let ports = ports.rsplit(':').next().unwrap_or(ports);
    let number = |text: &str| text.parse::<u16>().map_err(|_| invalid("it is no number from 0 to 65535"));
    let (low, high) = match ports.split_once('-') {
        Some((low, high)) => (number(low)?, number(high)?),
        None => (number(ports)?, number(ports)?),
    };
    if low > high {
        return Err(invalid("the range ends before it begins"));
    }
    Ok((low..=high).map(|port| format!("{port}/{protocol}")).collect())
}
