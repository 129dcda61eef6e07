//! The `--mount` flags of RUN.

use crate::{
    dockerfile::{Dockerfile, Spanned},
    error::{Result, excerpt},
    exec::{Access, CacheSharing, Owner},
    expand::Expander,
    suggest::nearest,
};

/// What the keys of a mount are called.
const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "required",
    "mode",
    "uid",
    "gid",
    "size",
    "env",
];

/// The types of mounts.
const TYPES: [&str; 5] = ["bind", "cache", "tmpfs", "secret", "ssh"];

/// A `--mount`, as it is written, with its variables expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunMount {
    /// As it is written; empty where it is not.
    pub(crate) target: String,
    pub(crate) kind: RunMountKind,
}

/// What a `--mount` mounts. Where it comes from is known by the [graph](crate::graph).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunMountKind {
    Bind { source: String, access: Access },
    Cache { source: String, id: String, sharing: CacheSharing, access: Access, owner: Owner },
    Tmpfs { size: Option<u64> },
    Secret { id: String, env: Option<String>, required: bool, owner: Owner },
    Ssh { id: String, required: bool, owner: Owner },
}

/// The values of the keys.
#[derive(Default)]
struct Fields {
    kind: Option<String>,
    from: Option<String>,
    source: String,
    target: String,
    access: Option<Access>,
    id: String,
    sharing: Option<CacheSharing>,
    required: Option<bool>,
    size: Option<u64>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    env: Option<String>,
}

/// Which stage, context or image a mount takes its files from, as it is written; `None` where it names none.
pub(crate) fn from_of(flag: &Spanned<String>, file: &Dockerfile) -> Result<Option<String>> {
    let (mut from, mut is_tmpfs) = (None, false);
    for field in fields(&flag.value).map_err(|reason| file.fault(flag.span, reason))? {
        match field.split_once('=').map(|(key, value)| (key.to_ascii_lowercase(), value)) {
            Some((key, value)) if key == "from" => {
                if value.find('$').is_some_and(|at| at + 1 < value.len()) {
                    let reason = "the from of a mount takes no variables: name a stage for it with FROM … AS";
                    return Err(file.fault(flag.span, reason));
                }
                from = Some(value.to_owned()).filter(|from| !from.is_empty());
            }
            Some((key, value)) if key == "type" => is_tmpfs = value.eq_ignore_ascii_case("tmpfs"),
            _ => {}
        }
    }
    Ok(from.filter(|_| !is_tmpfs))
}

impl RunMount {
    /// Reads a flag.
    ///
    /// # Spec
    /// Dockerfile reference, § RUN --mount.
    pub(crate) fn parse(flag: &Spanned<String>, file: &Dockerfile, expander: &mut Expander<'_>) -> Result<Self> {
        let fault = |reason: String| file.fault(flag.span, reason);
        let mut read = Fields::default();
        for field in fields(&flag.value).map_err(|reason| fault(reason.into()))? {
            let Some((key, value)) = field.split_once('=') else {
                read.word(&field).map_err(fault)?;
                continue;
            };
            let key = key.to_ascii_lowercase();
            if !KEYS.contains(&key.as_str()) {
                let reason = format!("unknown key {:?} of a mount", excerpt(&key, 64));
                let meant = nearest(&key, KEYS).map(str::to_owned);
                return Err(file.fault_like(flag.span, reason, meant));
            }
            let value = match key.as_str() {
                "from" => value.to_owned(),
                _ => expander.word(&Spanned::new(value.to_owned(), flag.span))?,
            };
            if key == "type" && !TYPES.contains(&value.to_ascii_lowercase().as_str()) {
                let reason = format!("unknown type {:?} of a mount: it is {}", excerpt(&value, 64), TYPES.join(", "));
                let meant = nearest(&value, TYPES).map(str::to_owned);
                return Err(file.fault_like(flag.span, reason, meant));
            }
            read.set(&key, value).map_err(fault)?;
        }
        read.finish().map_err(fault)
    }
}

impl Fields {
    /// A key that stands alone.
    fn word(&mut self, key: &str) -> Result<(), String> {
        match key.to_ascii_lowercase().as_str() {
            "ro" | "readonly" => self.access = Some(Access::ReadOnly),
            "rw" | "readwrite" => self.access = Some(Access::ReadWrite),
            "required" => self.required = Some(true),
            _ => return Err(format!("{:?} of a mount needs a value: write key=value", excerpt(key, 64))),
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), String> {
        let invalid = |what: &str| format!("invalid value {:?} for {key}: {what}", excerpt(&value, 64));
        let truth = || truth(&value).ok_or_else(|| invalid("it is true or false"));
        let access = |may_write: bool| if may_write { Access::ReadWrite } else { Access::ReadOnly };
        let number = || value.parse::<u32>().map_err(|_| invalid("it is a number"));
        match key {
            "type" => self.kind = Some(value.to_ascii_lowercase()),
            "from" => self.from = Some(value).filter(|from| !from.is_empty()),
            "source" | "src" => self.source = value,
            "target" | "dst" | "destination" => self.target = value,
            "readonly" | "ro" => self.access = Some(access(!truth()?)),
            "readwrite" | "rw" => self.access = Some(access(truth()?)),
            "id" => self.id = value,
            "sharing" => {
                self.sharing = Some(match value.to_ascii_lowercase().as_str() {
                    "shared" => CacheSharing::Shared,
                    "private" => CacheSharing::Private,
                    "locked" => CacheSharing::Locked,
                    _ => return Err(invalid("it is shared, private or locked")),
                });
            }
            "required" => self.required = Some(truth()?),
            "mode" => {
                let mode = u32::from_str_radix(&value, 8).ok().filter(|mode| *mode <= 0o7777);
                self.mode = Some(mode.ok_or_else(|| invalid("it is an octal mode, as 0400"))?);
            }
            "uid" => self.uid = Some(number()?),
            "gid" => self.gid = Some(number()?),
            "size" => self.size = Some(bytes(&value).ok_or_else(|| invalid("it is a number of bytes, as 64m"))?),
            _ => self.env = Some(value),
        }
        Ok(())
    }

    fn finish(self) -> Result<RunMount, String> {
        let kind = self.kind.as_deref().unwrap_or("bind").to_owned();
        self.check(&kind)?;
        let owner = |mode| {
            let (uid, gid) = (self.uid.unwrap_or_default(), self.gid.unwrap_or_default());
            Owner::new(uid, gid, self.mode.unwrap_or(mode))
        };
        let required = self.required.unwrap_or_default();
        let mut target = self.target.clone();
        let last = |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        let kind = match kind.as_str() {
            "bind" => RunMountKind::Bind { access: self.access.unwrap_or_default(), source: self.source },
            "cache" => {
                let id = if self.id.is_empty() { clean(&self.target) } else { self.id.clone() };
                let (sharing, access) = (self.sharing.unwrap_or_default(), self.access.unwrap_or(Access::ReadWrite));
                RunMountKind::Cache { id, sharing, access, owner: owner(0o755), source: self.source }
            }
            "tmpfs" => RunMountKind::Tmpfs { size: self.size.filter(|size| *size > 0) },
            "secret" => {
                let given = [self.source.as_str(), &self.id].into_iter().find(|id| !id.is_empty());
                let id = given.map_or_else(|| last(&self.target), str::to_owned);
                if self.env.is_none() && target.is_empty() {
                    target = format!("/run/secrets/{}", last(&id));
                }
                let owner = owner(0o400);
                let env = self.env.map(|name| if name.is_empty() { id.clone() } else { name });
                RunMountKind::Secret { id, env, required, owner }
            }
            _ => {
                let id = if self.id.is_empty() { "default".into() } else { self.id.clone() };
                RunMountKind::Ssh { id, required, owner: owner(0o600) }
            }
        };
        Ok(RunMount { target, kind })
    }

    /// Refuses what a type of mount does not have.
    fn check(&self, kind: &str) -> Result<(), String> {
        let has_owner = self.mode.is_some() || self.uid.is_some() || self.gid.is_some();
        let odd = [
            ("mode, uid or gid", has_owner && !matches!(kind, "secret" | "ssh" | "cache")),
            ("required", self.required.is_some() && !matches!(kind, "secret" | "ssh")),
            ("size", self.size.is_some() && kind != "tmpfs"),
            ("sharing", self.sharing.is_some() && kind != "cache"),
            ("env", self.env.is_some() && kind != "secret"),
            ("from", self.from.is_some() && matches!(kind, "secret" | "ssh")),
            ("source", !self.source.is_empty() && matches!(kind, "ssh" | "tmpfs")),
            ("source without from", !self.source.is_empty() && self.from.is_none() && kind == "cache"),
        ];
        if let Some((key, _)) = odd.iter().find(|(_, is_odd)| *is_odd) {
            return Err(format!("a mount of type {kind} has no {key}"));
        }
        if kind == "secret" {
            if self.source.is_empty() && self.target.is_empty() && self.id.is_empty() {
                return Err("a secret needs an id or a target".into());
            }
            if !self.source.is_empty() && !self.id.is_empty() {
                return Err("a secret has an id or a source, not both".into());
            }
        }
        Ok(())
    }
}

/// The fields of a line of comma-separated values.
///
/// # Spec
/// RFC 4180, § 2, 5 to 7.
fn fields(line: &str) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let mut field = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                let (text, behind) = rest.split_once('"').ok_or("a quote of a mount is not closed")?;
                field.push_str(text);
                rest = behind;
                match rest.strip_prefix('"') {
                    Some(behind) => {
                        field.push('"');
                        rest = behind;
                    }
                    None => break,
                }
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let (text, behind) = rest.split_at(end);
            if text.contains('"') {
                return Err("a quote of a mount stands within a field: put the whole key=value into quotes");
            }
            field.push_str(text);
            rest = behind;
        }
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None if rest.is_empty() => return Ok(fields),
            None => return Err("behind a quoted field of a mount stands a comma"),
        }
    }
}

/// A path as Go's `path.Clean` has it.
fn clean(path: &str) -> String {
    let is_absolute = path.starts_with('/');
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => drop(names.pop()),
            ".." if is_absolute => {}
            name => names.push(name),
        }
    }
    match (is_absolute, names.is_empty()) {
        (true, _) => format!("/{}", names.join("/")),
        (false, true) => ".".into(),
        (false, false) => names.join("/"),
    }
}

/// As Go reads a truth value.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A number of bytes: `1024`, `64k`, `1GiB`; each unit is 1024 of the one before.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == unit)?;
    number.parse::<u64>().ok()?.checked_mul(1024_u64.checked_pow(u32::try_from(power).ok()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fall_into_fields() {
        assert_eq!(fields("type=bind,ro").unwrap(), ["type=bind", "ro"]);
        assert_eq!(fields("\"source=a,\"\"b\",x").unwrap(), ["source=a,\"b", "x"]);
        assert_eq!(fields("").unwrap(), [""]);
        for odd in ["a\"b", "\"a", "\"a\"b"] {
            assert!(fields(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, expected) in
            [("0", Some(0)), ("12", Some(12)), ("2k", Some(2048)), ("1 MiB", Some(1 << 20)), ("3gb", Some(3 << 30))]
        {
            assert_eq!(bytes(text), expected, "{text}");
        }
        for odd in ["", "k", "-1", "1x", "99999999999999999999", "9999999999p"] {
            assert_eq!(bytes(odd), None, "{odd}");
        }
    }

    #[test]
    fn paths_are_cleaned() {
        for (path, clean_path) in
            [("/a//b/../c/", "/a/c"), ("", "."), ("a/./b", "a/b"), ("/..", "/"), ("../a", "../a"), ("a/../..", "..")]
        {
            assert_eq!(clean(path), clean_path, "{path}");
        }
    }
}
