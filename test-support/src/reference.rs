//! Image references.

use proptest::{option, prelude::Strategy, string::string_regex};

/// Texts that are image references, short and full ones, with and without tag and digest.
///
/// # Panics
/// Never: the patterns are constant.
pub fn arb_reference() -> impl Strategy<Value = String> {
    let regex = |pattern| string_regex(pattern).expect("the pattern is a regular expression");
    let registry = regex(
        "localhost|docker\\.io|index\\.docker\\.io|[A-Z][a-z]{0,3}|[a-z0-9]{1,4}(-[a-z0-9]{1,3})?\\.[a-z]{2,3}\
         |[a-z]{1,4}:[0-9]{1,5}|\\[[0-9a-f]{1,4}:[0-9a-f:]{0,9}\\](:[0-9]{1,5})?",
    );
    // Without a registry before it, a first component with a dot would be one.
    let repository = regex(
        "(library/)?[a-z0-9]{1,5}((_|__|-{1,3})[a-z0-9]{1,3}){0,2}(/[a-z0-9]{1,5}((\\.|_|-)[a-z0-9]{1,2}){0,2}){0,2}",
    );
    let tag = regex("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}");
    let digest = regex("sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}|other\\+more:[A-Za-z0-9=_-]{1,40}");
    (option::of(registry), repository, option::of(tag), option::of(digest)).prop_map(
        |(registry, repository, tag, digest)| {
            let part = |before: &str, part: Option<String>, after: &str| {
                part.map(|part| format!("{before}{part}{after}")).unwrap_or_default()
            };
            format!("{}{repository}{}{}", part("", registry, "/"), part(":", tag, ""), part("@", digest, ""))
        },
    )
}
