//! Overlay mounts: what they show, how they go, and why there are none.

use std::{
    error::Error as _,
    fs,
    io::ErrorKind,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use image_overlay::{
    Confinement, Durability, Error, MountCalls, MountObstacle, Mounted, OverlayMount, OverlaySupport, OverlayXattrs,
    probe_overlay,
};
use test_support::{TempDir, require_root, require_tool, skip, temp_dir, unprivileged};

const CALLS: [MountCalls; 2] = [MountCalls::Stepwise, MountCalls::Single];

/// What this machine can mount; `None`, and said, where it can mount nothing.
pub(crate) fn support() -> Option<OverlaySupport> {
    if !require_root() {
        return None;
    }
    match probe_overlay(temp_dir().path()) {
        Ok(support) => Some(support),
        Err(error) => {
            skip(&error.to_string());
            None
        }
    }
}

/// Some directories beside each other: layers with a file `all` that says which, and one named as the layer.
struct Dirs {
    temp: TempDir,
    support: OverlaySupport,
}

impl Dirs {
    fn new(layers: &[&str]) -> Option<Self> {
        let support = support()?;
        let temp = temp_dir();
        for name in layers.iter().chain(&["upper", "work", "merged"]) {
            fs::create_dir(temp.path().join(name)).unwrap();
        }
        for name in layers {
            fs::write(temp.path().join(name).join("all"), name).unwrap();
            fs::write(temp.path().join(name).join(name), "").unwrap();
        }
        Some(Self { temp, support })
    }

    fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.temp.path().join(name)
    }

    fn read_only(&self, layers: &[&str]) -> OverlayMount {
        OverlayMount::read_only(layers.iter().map(|name| self.at(name))).with_xattrs(self.support.xattrs)
    }

    fn writable(&self, layers: &[&str]) -> OverlayMount {
        let layers = layers.iter().map(|name| self.at(name));
        OverlayMount::writable(layers, self.at("upper"), self.at("work")).with_xattrs(self.support.xattrs)
    }

    fn mount(&self, mount: &OverlayMount) -> Mounted {
        mount.mount(&self.at("merged")).unwrap()
    }

    fn refused(&self, mount: &OverlayMount) -> (MountObstacle, Error) {
        let error = mount.mount(&self.at("merged")).unwrap_err();
        assert_eq!(fs::read_dir(self.at("merged")).unwrap().count(), 0);
        match &error {
            Error::Mount { obstacle, .. } => (MountObstacle::clone(obstacle), error),
            other => panic!("{other}"),
        }
    }
}

fn names(dir: impl AsRef<Path>) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(name).collect();
    names.sort();
    names
}

fn text(path: impl AsRef<Path>) -> String {
    std::io::read_to_string(fs::File::open(path).unwrap()).unwrap()
}

#[test]
fn the_last_layer_is_on_top_and_nothing_can_be_written() {
    for calls in CALLS {
        let Some(dirs) = Dirs::new(&["one", "two", "three"]) else { return };
        let mounted = dirs.mount(&dirs.read_only(&["one", "two", "three"]).with_calls(calls));
        assert_eq!(mounted.path(), dirs.at("merged"));
        assert_eq!(names(mounted.path()), ["all", "one", "three", "two"]);
        assert_eq!(text(mounted.path().join("all")), "three");
        assert_eq!(fs::write(mounted.path().join("new"), "").unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
        mounted.unmount().unwrap();
        assert!(names(dirs.at("merged")).is_empty());
    }
}

#[test]
fn changes_go_to_the_upper_directory() {
    for calls in CALLS {
        for durability in [Durability::Synced, Durability::Volatile] {
            let Some(dirs) = Dirs::new(&["one", "two"]) else { return };
            fs::create_dir(dirs.at("one/dir")).unwrap();
            fs::write(dirs.at("one/one"), "content").unwrap();
            if durability == Durability::Volatile && dirs.support.durability == Durability::Synced {
                return skip("this kernel mounts nothing volatile");
            }
            let mount = dirs.writable(&["one", "two"]).with_calls(calls).with_durability(durability);
            let mounted = dirs.mount(&mount);
            fs::write(mounted.path().join("new"), "").unwrap();
            fs::remove_file(mounted.path().join("all")).unwrap();
            // A directory of a lower layer is not renamed by reference, nor a file copied up without its content.
            let renamed = fs::rename(mounted.path().join("dir"), mounted.path().join("moved"));
            assert_eq!(renamed.unwrap_err().kind(), ErrorKind::CrossesDevices);
            fs::write(dirs.at("one/content"), "content").unwrap();
            fs::set_permissions(mounted.path().join("one"), fs::metadata(dirs.at("work")).unwrap().permissions())
                .unwrap();
            assert_eq!(dirs.at("work/work/incompat/volatile").exists(), durability == Durability::Volatile);
            mounted.unmount().unwrap();
            assert_eq!(names(dirs.at("upper")), ["all", "new", "one"]);
            assert_eq!(text(dirs.at("upper/one")), "content");
            assert!(fs::symlink_metadata(dirs.at("upper/all")).unwrap().file_type().is_char_device());
            assert_eq!(text(dirs.at("two/all")), "two");
        }
    }
}

/// How the kernel says that something is mounted.
fn mount_options(target: &Path) -> Vec<String> {
    let table = text("/proc/self/mountinfo");
    let line = table.lines().find(|line| line.split(' ').nth(4).map(Path::new) == Some(target)).unwrap();
    line.split(' ').nth(5).unwrap().split(',').map(str::to_owned).collect()
}

#[test]
fn programs_and_devices_are_confined_on_demand() {
    for calls in CALLS {
        let Some(dirs) = Dirs::new(&["one", "two"]) else { return };
        for mount in [dirs.read_only(&["one", "two"]), dirs.writable(&["one", "two"])] {
            for confinement in [Confinement::None, Confinement::NoSuidNoDev] {
                let mounted = dirs.mount(&mount.clone().with_calls(calls).with_confinement(confinement));
                let options = mount_options(mounted.path());
                for option in ["nosuid", "nodev"] {
                    let is_set = options.iter().any(|set| set == option);
                    assert_eq!(is_set, confinement == Confinement::NoSuidNoDev, "{calls:?}: {options:?}");
                }
                mounted.unmount().unwrap();
            }
        }
    }
}

#[test]
fn five_hundred_layers_are_one_tree() {
    let layers: Vec<_> = (0..=OverlayMount::MAX_LOWER).map(|number| format!("layer-{number}")).collect();
    let layers: Vec<_> = layers.iter().map(String::as_str).collect();
    let Some(dirs) = Dirs::new(&layers) else { return };
    let most = &layers[..OverlayMount::MAX_LOWER];
    for mount in [dirs.read_only(most), dirs.writable(most)] {
        let mounted = dirs.mount(&mount);
        assert_eq!(names(mounted.path()).len(), 501);
        assert_eq!(text(mounted.path().join("all")), "layer-499");
        mounted.unmount().unwrap();
    }
    let (obstacle, error) = dirs.refused(&dirs.read_only(&layers));
    assert_eq!(obstacle.to_string(), "501 layers, and no more than 500 can be mounted: flatten the image");
    assert!(error.is_unsupported() && error.source().is_none());

    // One string has room for fewer, and says for how many.
    let (obstacle, _) = dirs.refused(&dirs.read_only(most).with_calls(MountCalls::Single));
    let MountObstacle::TooManyLayers { count: 500, limit, .. } = obstacle else { panic!("{obstacle}") };
    assert!((150..300).contains(&limit), "{limit}");
    let mounted = dirs.mount(&dirs.read_only(&most[..150]).with_calls(MountCalls::Single));
    assert_eq!(text(mounted.path().join("all")), "layer-149");
}

#[test]
fn nothing_in_a_name_is_an_option() {
    let layers = ["a,b", "c:d", r"e\f", r"g\:h\,i", "j,upperdir=k", "l\nm", " ", "ö=ü", "\u{1}"];
    for calls in CALLS {
        let Some(dirs) = Dirs::new(&layers) else { return };
        for name in ["odd", "odd/u,lowerdir=x:y", r"odd/w\,", "odd/m:,"] {
            fs::create_dir(dirs.at(name)).unwrap();
        }
        let lower = layers.iter().map(|name| dirs.at(name));
        let mount = OverlayMount::writable(lower, dirs.at("odd/u,lowerdir=x:y"), dirs.at(r"odd/w\,"));
        let mounted = mount.with_xattrs(dirs.support.xattrs).with_calls(calls).mount(&dirs.at("odd/m:,")).unwrap();
        assert_eq!(names(mounted.path()).len(), layers.len() + 1);
        assert_eq!(text(mounted.path().join("all")), "\u{1}");
        fs::write(mounted.path().join("new"), "").unwrap();
        assert!(dirs.at("odd/u,lowerdir=x:y/new").exists());
    }
}

#[test]
fn a_mount_goes_with_its_guard() {
    let Some(dirs) = Dirs::new(&["one", "two"]) else { return };
    let mounted = dirs.mount(&dirs.read_only(&["one", "two"]));
    assert_eq!(names(dirs.at("merged")).len(), 3);
    drop(mounted);
    assert!(names(dirs.at("merged")).is_empty());

    // While somebody uses it, it is out of sight at once, and whoever asks is told.
    let mounted = dirs.mount(&dirs.read_only(&["one", "two"]));
    let user = fs::File::open(mounted.path().join("all")).unwrap();
    let error = mounted.unmount().unwrap_err();
    assert!(error.is_busy() && error.to_string().contains("in use"), "{error}");
    assert!(names(dirs.at("merged")).is_empty());
    assert_eq!(std::io::read_to_string(user).unwrap(), "two");

    // Something else is mounted over it.
    let mounted = dirs.mount(&dirs.read_only(&["one", "two"]));
    let over = dirs.mount(&dirs.read_only(&["two", "one"]));
    assert!(mounted.unmount().unwrap_err().is_busy());
    drop(over);
    assert!(names(dirs.at("merged")).is_empty());
}

#[test]
fn what_is_wrong_is_said() {
    let Some(dirs) = Dirs::new(&["one", "two"]) else { return };
    let (obstacle, _) = dirs.refused(&dirs.read_only(&["one"]));
    assert_eq!(obstacle, MountObstacle::TooFewLayers);
    let (obstacle, _) = dirs.refused(&dirs.read_only(&["one", "two", "one"]));
    assert_eq!(obstacle, MountObstacle::Overlap);
    let error = dirs.read_only(&["one", "missing"]).mount(&dirs.at("merged")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(dirs.read_only(&["one", "two"]).mount(&dirs.at("nowhere")).unwrap_err().is_not_found());
    let mounted = dirs.mount(&dirs.writable(&["one"]));
    // An overlay is no place for another's upper directory.
    let inner = mounted.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let error = probe_overlay(&inner).unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("choose one on ext4"), "{error}");
    assert!(names(&inner).is_empty());
}

#[test]
fn a_probe_leaves_nothing() {
    let Some(dirs) = Dirs::new(&[]) else { return };
    let support = probe_overlay(dirs.temp.path()).unwrap();
    assert_eq!(support, dirs.support);
    assert_eq!(names(dirs.temp.path()), ["merged", "upper", "work"]);
    assert!(!text("/proc/self/mounts").contains(dirs.temp.path().to_str().unwrap()));
}

#[test]
fn who_may_not_mount_is_denied() {
    if !require_root() {
        return;
    }
    let temp = temp_dir();
    fs::set_permissions(temp.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let error = unprivileged(|| probe_overlay(temp.path()).unwrap_err());
    assert!(error.is_denied() && error.to_string().contains("unshare --user"), "{error}");
    assert!(names(temp.path()).is_empty());
}

/// The tests above, as root of a user namespace.
#[test]
fn all_of_it_holds_in_a_user_namespace() {
    if !require_tool("unshare") || support().is_none_or(|support| support.xattrs == OverlayXattrs::User) {
        return;
    }
    let possible = Command::new("unshare").args(["-Urm", "true"]).status().unwrap();
    if !possible.success() {
        return skip("no user namespaces");
    }
    let mut inner = Command::new("unshare");
    inner.arg("-Urm").arg(std::env::current_exe().unwrap());
    inner.args(["mount::", "--nocapture", "--skip", "namespace", "--skip", "denied"]);
    let output = inner.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("8 passed") && !said.contains("skipped:"), "{said}");
}
