//! Owners by number or by name.

use image_core::Ctx;

use crate::{
    error::{Error, Result},
    rootfs::RootFs,
    state::BuildState,
};

/// The largest user and group id; the one after it means none.
const MAX_ID: u32 = u32::MAX - 1;

/// The owner that `user[:group]` means in a root file system. A number alone is user and group; a name
/// alone has the group of its account. A name that no account has is an error, never owner 0.
///
/// # Spec
/// Dockerfile reference, § COPY --chown --chmod.
pub(crate) fn resolve(text: &str, rootfs: &RootFs, state: &BuildState, ctx: &Ctx) -> Result<(u32, u32)> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let (uid, primary) = match number(user)? {
        Some(uid) => (uid, uid),
        None if user.is_empty() => (0, 0),
        None => account(user, "/etc/passwd", rootfs, state, ctx, |fields| Some((fields.get(2)?, fields.get(3)?)))?,
    };
    let gid = match group {
        None => primary,
        Some(group) => match number(group)? {
            Some(gid) => gid,
            None => {
                account(group, "/etc/group", rootfs, state, ctx, |fields| Some((fields.get(2)?, fields.get(2)?)))?.0
            }
        },
    };
    Ok((uid, gid))
}

pub(super) fn number(text: &str) -> Result<Option<u32>> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(id) if id <= MAX_ID => Ok(Some(id)),
        _ => Err(Error::owner(text, "it is larger than 4294967294")),
    }
}

/// Two numbers of the line that begins with a name, in a file of lines with fields between colons.
fn account(
    name: &str,
    file: &'static str,
    rootfs: &RootFs,
    state: &BuildState,
    ctx: &Ctx,
    pick: impl for<'f> Fn(&'f [&'f str]) -> Option<(&'f &'f str, &'f &'f str)>,
) -> Result<(u32, u32)> {
    let Some(bytes) = rootfs.read(file, state, ctx)? else {
        return Err(Error::owner(name, format!("the image has no {file} to look it up in: give its number")));
    };
    for line in String::from_utf8_lossy(&bytes).lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if fields.first() == Some(&name)
            && let Some((first, second)) = pick(&fields)
            && let (Some(first), Some(second)) = (number(first)?, number(second)?)
        {
            return Ok((first, second));
        }
    }
    Err(Error::owner(name, format!("{file} of the image does not have it")))
}
