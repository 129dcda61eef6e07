//! The signals of STOPSIGNAL.

/// The names of Linux's signals, without `SIG`, and but for those in real time.
const NAMES: [&str; 34] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
    "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// Whether a text is the number of a signal or its name, with or without `SIG`, in any case.
///
/// # Spec
/// Dockerfile reference, § STOPSIGNAL.
pub(crate) fn is_known(text: &str) -> bool {
    if let Ok(number) = text.parse::<u32>() {
        return number != 0;
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset =
        |offset: &str, most: u32| offset.is_empty() || offset[1..].parse().is_ok_and(|n: u32| n <= most && n > 0);
    match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(above), _) if above.is_empty() || above.starts_with('+') => offset(above, 15),
        (_, Some(below)) if below.is_empty() || below.starts_with('-') => offset(below, 14),
        _ => NAMES.contains(&name),
    }
}
