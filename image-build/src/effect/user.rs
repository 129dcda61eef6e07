//! The user of a command, by number or by name.

use image_core::Ctx;

use super::owner::number;
use crate::{
    error::{Error, Result},
    exec::User,
    rootfs::RootFs,
    state::BuildState,
};

/// The most groups that a user is put into: what the kernel takes.
const MAX_GROUPS: usize = 65_536;

/// The user that `user[:group]` means in a root file system. A user without a group has the group of its account, 0 where
/// it has none, and the groups that name it. A name that no account has is an error.
///
/// # Spec
/// Dockerfile reference, § USER; as BuildKit has it.
pub(crate) fn resolve(text: &str, rootfs: &RootFs, state: &BuildState, ctx: &Ctx) -> Result<User> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    if text.is_empty() {
        return Ok(User::default());
    }
    let id = |name: &str| if name == "root" { Ok(Some(0)) } else { number(name) };
    if let Some(group) = group
        && let (Some(uid), Some(gid)) = (id(user)?, id(group)?)
    {
        return Ok(User::new(uid, gid));
    }
    let read = |file: &'static str| rootfs.read(file, state, ctx).map(Option::unwrap_or_default);
    let (passwd, groups) = (read("/etc/passwd")?, read("/etc/group")?);
    let (passwd, groups) = (String::from_utf8_lossy(&passwd), String::from_utf8_lossy(&groups));
    let account = account(user, &passwd)?;
    let (uid, primary) = match (&account, id(user)?) {
        (Some(account), _) => (account.uid, account.gid),
        (None, Some(uid)) => (uid, 0),
        (None, None) if user.is_empty() => (0, 0),
        (None, None) => return Err(Error::owner(user, "/etc/passwd of the image does not have it")),
    };
    if let Some(group) = group {
        let mut named = lines(&groups).filter(|fields| fields.first() == Some(&group));
        let found = named.find_map(|fields| number(fields.get(2)?).ok().flatten());
        let Some(gid) = number(group)?.or(found) else {
            return Err(Error::owner(group, "/etc/group of the image does not have it"));
        };
        return Ok(User::new(uid, gid));
    }
    let name = account.map_or(user, |account| account.name);
    let mut more = vec![primary];
    for fields in lines(&groups) {
        let is_member = fields.get(3).is_some_and(|members| members.split(',').any(|member| member == name));
        if let Some(gid) = fields.get(2).filter(|_| is_member).and_then(|gid| number(gid).ok().flatten())
            && !more.contains(&gid)
            && more.len() < MAX_GROUPS
        {
            more.push(gid);
        }
    }
    Ok(User::new(uid, primary).with_groups(more))
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
}

/// The first account of this number or name.
fn account<'a>(user: &str, passwd: &'a str) -> Result<Option<Account<'a>>> {
    let wanted = number(user)?;
    for fields in lines(passwd) {
        let [name, _, uid, gid, ..] = fields.as_slice() else { continue };
        let (Some(uid), Some(gid)) = (number(uid).ok().flatten(), number(gid).ok().flatten()) else { continue };
        if wanted.map_or(*name == user, |wanted| wanted == uid) {
            return Ok(Some(Account { name, uid, gid }));
        }
    }
    Ok(None)
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.trim().split(':').collect())
}
