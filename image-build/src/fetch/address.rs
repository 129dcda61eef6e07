//! What a source of ADD names: a path of the context, a file on a server, or a git repository.

use image_core::Digest;

use super::Repository;

/// A source of ADD that is no path of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A file on a server, with the digest that it must have.
    File { url: String, digest: Option<Digest> },
    /// A commit, with the digits that its name must begin with.
    Commit { repository: Repository, commit: Option<String> },
}

/// The protocols by which git is reached and which name nothing else.
const GIT: [&str; 2] = ["git://", "ssh://"];

impl Address {
    /// What a source names; `None` for a path of the context.
    ///
    /// # Spec
    /// Dockerfile reference, § ADD, § Adding files from a URL and § Adding files from a Git repository.
    pub(crate) fn parse(source: &str, keep_git_dir: Option<bool>) -> Result<Option<Self>, String> {
        let is_http = source.starts_with("http://") || source.starts_with("https://");
        let (bare, fragment) = source.split_once('#').map_or((source, None), |(bare, rest)| (bare, Some(rest)));
        let (remote, query) = bare.split_once('?').map_or((bare, None), |(remote, query)| (remote, Some(query)));
        if is_http && !remote.ends_with(".git") {
            return Ok(Some(Self::File { url: source.to_owned(), digest: None }));
        }
        if !is_http && !GIT.iter().any(|scheme| source.starts_with(scheme)) && !is_scp(remote) {
            return Ok(None);
        }
        let mut repository = Repository {
            remote: remote.to_owned(),
            reference: None,
            subdirectory: None,
            keep_git_dir: false,
            submodules: true,
        };
        let mut keep = keep_git_dir;
        if let Some(fragment) = fragment {
            let (reference, directory) = fragment.split_once(':').unwrap_or((fragment, ""));
            set("ref", &mut repository.reference, reference)?;
            set("subdir", &mut repository.subdirectory, directory)?;
        }
        let mut commit = None;
        for pair in query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "ref" => set(name, &mut repository.reference, value)?,
                "branch" => set(name, &mut repository.reference, &prefixed("refs/heads/", value))?,
                "tag" => set(name, &mut repository.reference, &prefixed("refs/tags/", value))?,
                "subdir" => set(name, &mut repository.subdirectory, value)?,
                "checksum" | "commit" => set(name, &mut commit, value)?,
                "keep-git-dir" => {
                    let asked = truth(name, value)?;
                    if keep.is_some_and(|keep| keep != asked) {
                        return Err("--keep-git-dir and the keep-git-dir of the address differ".into());
                    }
                    keep = Some(asked);
                }
                "submodules" => repository.submodules = truth(name, value)?,
                _ => return Err(format!("unknown parameter {name:?} in the address of a repository")),
            }
        }
        repository.keep_git_dir = keep.unwrap_or(false);
        let mut address = Self::Commit { repository, commit: None };
        commit.map_or(Ok(()), |commit| address.expect(&commit))?;
        Ok(Some(address))
    }

    /// Asks for what `--checksum` says: a digest of a file, a commit of a repository.
    pub(crate) fn expect(&mut self, checksum: &str) -> Result<(), String> {
        match self {
            Self::File { digest, .. } => {
                *digest = Some(checksum.parse().map_err(|e| format!("invalid --checksum: {e}"))?);
            }
            Self::Commit { commit, .. } => {
                let checksum = checksum.to_ascii_lowercase();
                let is_hex = checksum.bytes().all(|byte| byte.is_ascii_hexdigit());
                if !is_hex || !(7..=64).contains(&checksum.len()) {
                    return Err(format!("invalid --checksum {checksum:?}: a commit is 7 to 64 hexadecimal digits"));
                }
                if commit.as_ref().is_some_and(|commit| *commit != checksum) {
                    return Err("--checksum and the checksum of the address differ".into());
                }
                *commit = Some(checksum);
            }
        }
        Ok(())
    }

    /// The name that a downloaded file has.
    pub(crate) fn file_name(url: &str) -> String {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let path = path.split_once("://").map_or(path, |(_, rest)| rest);
        let name = path.split_once('/').and_then(|(_, path)| path.trim_end_matches('/').rsplit('/').next());
        let name = name.map(unescaped).unwrap_or_default();
        let is_name = !matches!(&*name, "" | "." | "..") && !name.contains(['/', '\0']);
        if is_name { name } else { "__unnamed__".into() }
    }
}

/// `user@host:path`, as ssh has it.
fn is_scp(text: &str) -> bool {
    let Some((user, rest)) = text.split_once('@') else { return false };
    let is_plain = |part: &str| !part.is_empty() && !part.contains(['/', ' ']);
    rest.split_once(':').is_some_and(|(host, path)| is_plain(user) && is_plain(host) && !path.is_empty())
}

fn set(name: &str, place: &mut Option<String>, value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Ok(());
    }
    // What begins with a dash would be an option of git.
    if value.starts_with('-') {
        return Err(format!("invalid {name} {value:?} in the address of a repository"));
    }
    match place.replace(value.to_owned()) {
        Some(before) if before != value => Err(format!("the address of the repository gives two values for {name}")),
        _ => Ok(()),
    }
}

fn prefixed(prefix: &str, name: &str) -> String {
    if name.is_empty() || name.starts_with(prefix) { name.to_owned() } else { format!("{prefix}{name}") }
}

fn truth(name: &str, value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "" | "true" | "t" | "1" => Ok(true),
        "false" | "f" | "0" => Ok(false),
        _ => Err(format!("{name} of the address is neither true nor false: {value:?}")),
    }
}

/// A component of an address with `%20` and its like replaced, as far as that is UTF-8.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}
