//! Any bytes are a path or none, and what a path means as a marker is what its names say, read one by one.

use image_overlay::{LayerPath, Whiteout};

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    let Ok(path) = LayerPath::parse(bytes) else { return };
    let names: Vec<&[u8]> = path.components().collect();
    assert!(names.iter().all(|name| !matches!(*name, b"" | b"." | b"..") && !name.contains(&b'/')));
    let said: Vec<&[u8]> = bytes.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")).collect();
    assert_eq!(names, said, "cleaning changes names");
    let (found, expected) = (Whiteout::classify(&path), meaning(&names));
    match (&found, expected) {
        (Err(_), Meaning::Refused)
        | (Ok(Some(Whiteout::Reserved)), Meaning::Reserved)
        | (Ok(None), Meaning::Content) => {}
        (Ok(Some(Whiteout::Plain { target })), Meaning::Plain(expected)) => {
            assert_eq!(target.components().collect::<Vec<_>>(), expected);
        }
        (Ok(Some(Whiteout::Opaque { dir })), Meaning::Opaque(expected)) => {
            assert_eq!(dir.components().collect::<Vec<_>>(), expected);
        }
        (_, expected) => panic!("{path:?} is read as {found:?}, but means {expected:?}"),
    }
    if let Ok(Some(marker)) = found
        && let Ok(Some(again)) = marker.marker_path()
    {
        assert_eq!(again, path, "a marker written is the marker read");
    }
}

#[derive(Debug)]
enum Meaning<'a> {
    Content,
    Refused,
    Reserved,
    Plain(Vec<&'a [u8]>),
    Opaque(Vec<&'a [u8]>),
}

fn meaning<'a>(names: &[&'a [u8]]) -> Meaning<'a> {
    let Some(first) = names.iter().position(|name| name.starts_with(b".wh.")) else { return Meaning::Content };
    let (dirs, marker) = (&names[..first], &names[first][4..]);
    match marker {
        b".wh..opq" if first + 1 == names.len() => Meaning::Opaque(dirs.to_vec()),
        b".wh..opq" => Meaning::Refused,
        _ if marker.starts_with(b".wh.") => Meaning::Reserved,
        _ if first + 1 < names.len() => Meaning::Refused,
        b"" | b"." | b".." => Meaning::Refused,
        _ => Meaning::Plain([dirs, &[marker]].concat()),
    }
}
