//! Builds, unpacks, and asks why a step was not cached.

#![expect(clippy::disallowed_methods, reason = "it reads what it wrote itself")]

use std::{error::Error, fs};

use consumer::{build, reasons, unpack_image};

#[test]
fn an_image_is_built_unpacked_and_explained() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let [app, state, layout, root] = ["app", "state", "layout", "root"].map(|name| dir.path().join(name));
    fs::create_dir(&app)?;
    fs::write(app.join("Dockerfile"), "FROM scratch\nCOPY motd /etc/\nCOPY issue /etc/\nENV LANG=C\n")?;
    fs::write(app.join("motd"), "hello\n")?;
    fs::write(app.join("issue"), "one\n")?;

    let first = build(&app, &state, &layout, "app:1")?;
    assert_eq!(first.cached, 0);
    let again = build(&app, &state, &layout, "app:1")?;
    assert_eq!((again.done, &again.manifest.digest), (0, &first.manifest.digest));
    assert!(reasons(&again).is_empty());

    assert!(unpack_image(&layout, "app:1", &root)? >= 3);
    assert_eq!(fs::read_to_string(root.join("etc/motd"))?, "hello\n");

    fs::write(app.join("issue"), "two\n")?;
    let changed = build(&app, &state, &layout, "app:2")?;
    assert_ne!(changed.manifest.digest, first.manifest.digest);
    let reasons = reasons(&changed);
    assert!(reasons.first().is_some_and(|reason| reason.starts_with("3: ") && reason.contains("issue")), "{reasons:?}");
    Ok(())
}
