//! A directory to build in, and what comes of a build, in a form that tests can compare.

use std::{
    fs,
    num::NonZero,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use image_build::{
    BuildContext, BuildOptions, BuildState, Builder, BuiltImage, BuiltIndex, Dockerfile, Error, Fetcher, Ignore,
    exec::Executor,
};
use image_core::{
    BlobSource, BlobStoreExt, CancelToken, Ctx, Descriptor, Document, Event, FixedClock, Image, ImageConfig,
    ImageManifest, ImageResolver, MediaType, MemoryBlobStore, Platform, Reference, Result, Timestamp,
    codec::EncodeOptions,
    observer::{Outcome, TaskId, TaskKind},
};
use image_overlay::{
    Changes, Contents, DirSource, Entry, EntryKind, ImageTree, LayerBlob, LayerPath, LayerToc, LayerWriter, Limits,
    Metadata, NodeRef, PackOptions, PackedLayer, Root,
};
use test_support::{TempDir, temp_dir};

/// What an observer was told of tasks that ended.
pub(crate) type Tasks = Vec<(TaskKind, String, Outcome)>;

/// A context, a state directory, a store for results, and base images.
pub(crate) struct Fixture {
    directory: TempDir,
    pub(crate) output: MemoryBlobStore,
    pub(crate) bases: Bases,
    /// Images that names lead to which a test gives.
    pub(crate) others: Bases,
    /// Those names: each with an image of `others`, or a directory.
    named: Vec<(String, Result<Reference, PathBuf>)>,
    pub(crate) options: BuildOptions,
    pub(crate) now: Timestamp,
    /// What ADD fetches by.
    pub(crate) fetcher: Option<Box<dyn Fetcher>>,
    /// What runs the commands of RUN.
    pub(crate) executor: Option<Box<dyn Executor>>,
    /// Cancels the builds.
    pub(crate) cancel: CancelToken,
    /// What commands wrote.
    pub(crate) said: Arc<Mutex<String>>,
    notices: Arc<Mutex<Vec<String>>>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let directory = temp_dir();
        fs::create_dir(directory.path().join("context")).unwrap();
        Self {
            directory,
            output: MemoryBlobStore::default(),
            bases: Bases::default(),
            others: Bases::default(),
            named: Vec::new(),
            // One stage at a time, so that steps come in one order.
            options: BuildOptions::default()
                .with_platform(Platform::new("linux", "amd64"))
                .with_parallelism(NonZero::<usize>::MIN),
            now: Timestamp::from_seconds(1_800_000_000),
            fetcher: None,
            executor: None,
            cancel: CancelToken::default(),
            said: Arc::default(),
            notices: Arc::default(),
        }
    }

    /// A fixture whose context has these files, each with its own path as content.
    pub(crate) fn with_files(paths: &[&str]) -> Self {
        let this = Self::new();
        paths.iter().for_each(|path| this.write(path, path));
        this
    }

    pub(crate) fn context(&self) -> PathBuf {
        self.directory.path().join("context")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Lets a name stand for an image of `others`.
    pub(crate) fn name_image(&mut self, name: &str, image: &str) {
        self.named.push((name.into(), Ok(image.parse().unwrap())));
    }

    /// Lets a name stand for a directory with these files.
    pub(crate) fn named_files(&mut self, name: &str, paths: &[&str]) {
        let directory = self.directory.path().join(name);
        for path in paths {
            let file = directory.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, format!("{name}: {path}")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        }
        self.named.push((name.into(), Err(directory)));
    }

    /// Lets names stand for nothing any more.
    pub(crate) fn forget_names(&mut self) {
        self.named.clear();
    }

    /// Writes a file of mode 0644 into the context, in directories of mode 0755.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.context().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        self.set_mode(&path, 0o644);
        for directory in path.ancestors().skip(1).take_while(|directory| *directory != self.directory.path()) {
            self.set_mode(directory, 0o755);
        }
    }

    pub(crate) fn set_mode(&self, path: impl AsRef<Path>, mode: u32) {
        fs::set_permissions(self.context().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn symlink(&self, target: &str, path: &str) {
        symlink(target, self.context().join(path)).unwrap();
    }

    /// Builds, with a directory of its own for every Fixture and a clock that stands still.
    pub(crate) fn try_build(&self, dockerfile: &str) -> Result<Built<'_>, Error> {
        self.try_build_in(dockerfile, &self.state())
    }

    /// Builds with nothing left of earlier builds.
    pub(crate) fn try_build_anew(&self, dockerfile: &str) -> Result<Built<'_>, Error> {
        self.try_build_in(dockerfile, temp_dir().path())
    }

    pub(crate) fn try_build_in(&self, dockerfile: &str, state: &Path) -> Result<Built<'_>, Error> {
        self.try_build_of_in(&Dockerfile::parse(dockerfile)?, state)
    }

    /// Builds what was parsed, or given otherwise.
    pub(crate) fn try_build_of(&self, dockerfile: &Dockerfile) -> Result<Built<'_>, Error> {
        self.try_build_of_in(dockerfile, &self.state())
    }

    /// Builds it with nothing left of earlier builds.
    pub(crate) fn try_build_of_anew(&self, dockerfile: &Dockerfile) -> Result<Built<'_>, Error> {
        self.try_build_of_in(dockerfile, temp_dir().path())
    }

    fn try_build_of_in(&self, dockerfile: &Dockerfile, state: &Path) -> Result<Built<'_>, Error> {
        let build = |builder: &Builder<'_>, ctx: &Ctx| builder.build(dockerfile, &self.options, &self.output, ctx);
        let (image, tasks) = self.work(state, build)?;
        Ok(Built { fixture: self, image, tasks })
    }

    /// Builds for several platforms.
    pub(crate) fn try_build_for(&self, dockerfile: &str, platforms: &[&str]) -> Result<(BuiltIndex, Tasks), Error> {
        let platforms: Vec<Platform> = platforms.iter().map(|platform| platform.parse().unwrap()).collect();
        let dockerfile = Dockerfile::parse(dockerfile)?;
        self.work(&self.state(), |builder, ctx| {
            builder.build_platforms(&dockerfile, &platforms, &self.options, &self.output, ctx)
        })
    }

    fn work<T>(
        &self,
        state: &Path,
        work: impl FnOnce(&Builder<'_>, &Ctx) -> Result<T, Error>,
    ) -> Result<(T, Tasks), Error> {
        let tasks = Arc::new(Mutex::new((Vec::<(TaskId, TaskKind, String)>::new(), Tasks::new())));
        let (seen, notices, said) = (Arc::clone(&tasks), Arc::clone(&self.notices), Arc::clone(&self.said));
        let observer = move |event: &Event<'_>| match event {
            Event::Begin { task, kind, label, .. } => seen.lock().unwrap().0.push((*task, *kind, (*label).to_owned())),
            Event::End { task, outcome, .. } => {
                let mut seen = seen.lock().unwrap();
                let at = seen.0.iter().position(|(id, ..)| id == task).unwrap();
                let (_, kind, label) = seen.0.remove(at);
                seen.1.push((kind, label, *outcome));
            }
            Event::Output { line, .. } => said.lock().unwrap().push_str(&String::from_utf8_lossy(line)),
            Event::Notice { subject, message, .. } => notices.lock().unwrap().push(format!("{subject}: {message}")),
            _ => {}
        };
        let ctx = Ctx::default().with_observer(Arc::new(observer)).with_clock(Arc::new(FixedClock::new(self.now)));
        let ctx = ctx.with_cancel(self.cancel.clone());
        let context = BuildContext::open(self.context(), Ignore::for_context(self.context())?)?;
        let state = BuildState::open(state)?;
        let mut builder = Builder::new(&state, &context, &self.bases);
        if let Some(fetcher) = &self.fetcher {
            builder = builder.with_fetcher(&**fetcher);
        }
        if let Some(executor) = &self.executor {
            builder = builder.with_executor(&**executor);
        }
        let directories = self.named.iter().filter_map(|(name, what)| Some((name, what.as_ref().err()?)));
        let directories = directories.map(|(name, path)| Ok((name, BuildContext::open(path, Ignore::default())?)));
        let directories = directories.collect::<Result<Vec<_>, Error>>()?;
        for (name, directory) in &directories {
            builder = builder.with_named_context(*name, directory);
        }
        for (name, image) in self.named.iter().filter_map(|(name, what)| Some((name, what.as_ref().ok()?))) {
            builder = builder.with_named_image(name, image.clone(), &self.others);
        }
        let result = work(&builder, &ctx);
        let (open, tasks) = std::mem::take(&mut *tasks.lock().unwrap());
        assert!(open.is_empty(), "what began has ended: {open:?}");
        Ok((result?, tasks))
    }

    /// An image of an index that was built.
    pub(crate) fn image_of(&self, index: &BuiltIndex, at: usize) -> Built<'_> {
        Built { fixture: self, image: index.images[at].clone(), tasks: Tasks::new() }
    }

    pub(crate) fn build(&self, dockerfile: &str) -> Built<'_> {
        self.try_build(dockerfile).unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    /// The error of a build that must fail, with its causes.
    pub(crate) fn error(&self, dockerfile: &str) -> String {
        match self.try_build(dockerfile) {
            Ok(_) => panic!("the build did not fail:\n{dockerfile}"),
            Err(error) => chain(&error),
        }
    }

    /// What notices said since the last call.
    pub(crate) fn notices(&self) -> Vec<String> {
        std::mem::take(&mut self.notices.lock().unwrap())
    }
}

/// An error and its causes, parted by colons.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// An image that was built.
pub(crate) struct Built<'f> {
    fixture: &'f Fixture,
    pub(crate) image: BuiltImage,
    pub(crate) tasks: Tasks,
}

impl Built<'_> {
    pub(crate) fn open(&self) -> Image {
        Image::open(Arc::new(self.fixture.output.clone()), &self.image.manifest).unwrap()
    }

    pub(crate) fn config(&self) -> ImageConfig {
        self.open().config().value().clone()
    }

    /// The steps: `CACHED` or `DONE`, and the label without its numbers' count.
    pub(crate) fn steps(&self) -> Vec<String> {
        let steps = self.tasks.iter().filter(|(kind, ..)| *kind == TaskKind::Step);
        steps
            .map(|(_, label, outcome)| match outcome {
                Outcome::Cached => format!("CACHED {label}"),
                Outcome::Done => format!("DONE {label}"),
                _ => format!("FAILED {label}"),
            })
            .collect()
    }

    /// The labels of the steps that were carried out.
    pub(crate) fn done(&self) -> Vec<String> {
        self.steps().iter().filter_map(|step| step.strip_prefix("DONE ")).map(String::from).collect()
    }

    fn blobs(&self) -> Vec<LayerBlob> {
        let image = self.open();
        let blob = |layer: image_core::image::Layer<'_>| {
            LayerBlob::new(image.source().clone(), layer.descriptor.clone(), layer.diff_id.clone())
        };
        image.layers().map(blob).collect()
    }

    pub(crate) fn tree(&self) -> ImageTree {
        let read =
            |blob: &LayerBlob| LayerToc::read(blob.open().unwrap(), &Limits::default(), &Ctx::default()).unwrap();
        let tocs: Vec<LayerToc> = self.blobs().iter().map(read).collect();
        ImageTree::of_layers(&tocs).unwrap()
    }

    /// Every path of the image but its root, a line each: kind, mode, owner, path, and content or target.
    pub(crate) fn listing(&self) -> Vec<String> {
        let (tree, blobs) = (self.tree(), self.blobs());
        let files = tree.walk(tree.root()).filter_map(NodeRef::content);
        let contents = Contents::fetch(&blobs, files, self.fixture.directory.path(), &Ctx::default()).unwrap();
        let line = |node: NodeRef<'_, _>| {
            let metadata = node.metadata();
            let head = format!("{:04o} {}:{} {}", metadata.mode, metadata.uid, metadata.gid, node.path());
            match node.kind() {
                EntryKind::Directory => format!("d {head}"),
                EntryKind::Symlink { target } => format!("l {head} -> {}", String::from_utf8_lossy(target)),
                EntryKind::File { .. } => {
                    let mut bytes = Vec::new();
                    let mut file = contents.open(node.content().unwrap()).unwrap();
                    std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
                    let text =
                        String::from_utf8(bytes).unwrap_or_else(|odd| format!("({} bytes)", odd.as_bytes().len()));
                    format!("f {head} {text}")
                }
                other => format!("{other:?} {head}"),
            }
        };
        tree.walk(tree.root()).skip(1).map(line).collect()
    }

    /// The bytes of a file of the image.
    pub(crate) fn content(&self, path: &str) -> Vec<u8> {
        let (tree, blobs) = (self.tree(), self.blobs());
        let file = tree.get(&LayerPath::parse(path.as_bytes()).unwrap()).and_then(NodeRef::content).unwrap();
        let contents = Contents::fetch(&blobs, [file], self.fixture.directory.path(), &Ctx::default()).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut contents.open(file).unwrap(), &mut bytes).unwrap();
        bytes
    }

    /// The paths of the layer at a position, in the order of its tar.
    pub(crate) fn layer_paths(&self, position: usize) -> Vec<String> {
        let blob = &self.blobs()[position];
        let toc = LayerToc::read(blob.open().unwrap(), &Limits::default(), &Ctx::default()).unwrap();
        toc.entries().map(|entry| entry.entry.path.to_string()).collect()
    }
}

/// Base images by name.
#[derive(Default)]
pub(crate) struct Bases {
    store: MemoryBlobStore,
    images: Vec<(Reference, Platform, Descriptor)>,
}

impl Bases {
    /// Adds an image of one gzip layer with these entries, whose files have their own path as content.
    pub(crate) fn add(&mut self, name: &str, entries: Vec<Entry>, change: impl FnOnce(&mut ImageConfig)) {
        let mut writer =
            LayerWriter::new(&self.store, PackOptions::default().with_encode(EncodeOptions::default())).unwrap();
        for mut entry in entries {
            let content = match &mut entry.kind {
                EntryKind::File { size } => {
                    let content = content_of(&entry.path);
                    *size = content.len() as u64;
                    content
                }
                _ => String::new(),
            };
            writer.append(entry, &mut content.as_bytes(), &Ctx::default()).unwrap();
        }
        self.insert(name, writer.finish().unwrap(), change);
    }

    /// Adds an image of all that is in a directory, whoever owns it here.
    pub(crate) fn add_directory(&mut self, name: &str, directory: &Path, change: impl FnOnce(&mut ImageConfig)) {
        let source = DirSource::scan(Root::open(directory).unwrap(), &Ctx::default()).unwrap();
        let layer = Changes::whole(&source).pack(&self.store, PackOptions::default(), &Ctx::default()).unwrap();
        self.insert(name, layer, change);
    }

    fn insert(&mut self, name: &str, layer: PackedLayer, change: impl FnOnce(&mut ImageConfig)) {
        let mut config = ImageConfig::new(&Platform::new("linux", "amd64"));
        config.rootfs.diff_ids = vec![layer.diff_id];
        change(&mut config);
        let config = Document::new(config).unwrap();
        self.store.put_document(&config).unwrap();
        let manifest = ImageManifest::new(config.descriptor(MediaType::OciConfig), vec![layer.descriptor]);
        let manifest = Document::new(manifest).unwrap();
        self.store.put_document(&manifest).unwrap();
        let reference: Reference = name.parse().unwrap();
        let platform = config.value().platform();
        self.images.retain(|(known, other, _)| *known != reference || *other != platform);
        self.images.push((reference, platform, manifest.descriptor(MediaType::OciManifest)));
    }
}

/// The content of a base image's file: accounts where the path says so, else the path.
fn content_of(path: &LayerPath) -> String {
    match path.as_bytes() {
        b"etc/passwd" => "root:x:0:0::/root:/bin/sh\napp:x:1001:1002::/:/bin/sh\n".into(),
        b"etc/group" => "root:x:0:\nstaff:x:50:\n".into(),
        _ => path.to_string(),
    }
}

impl ImageResolver for Bases {
    /// The image of that name for the platform, or else any.
    fn resolve(&self, reference: &Reference, platform: &Platform) -> Result<Option<Image>> {
        let mut found = self.images.iter().filter(|(known, ..)| known == reference);
        let found = found.clone().find(|(_, other, _)| platform.matches(other)).or_else(|| found.next());
        let source: Arc<dyn BlobSource> = Arc::new(self.store.clone());
        found.map(|(.., descriptor)| Image::open(source, descriptor)).transpose()
    }

    fn names(&self) -> Vec<String> {
        self.images.iter().map(|(name, ..)| name.familiar()).collect()
    }
}

pub(crate) fn dir(path: &str) -> Entry {
    Entry::new(LayerPath::parse(path.as_bytes()).unwrap(), EntryKind::Directory, Metadata::new(0o755))
}

pub(crate) fn file(path: &str) -> Entry {
    Entry::new(LayerPath::parse(path.as_bytes()).unwrap(), EntryKind::File { size: 0 }, Metadata::new(0o644))
}

pub(crate) fn link(path: &str, target: &str) -> Entry {
    let kind = EntryKind::Symlink { target: target.into() };
    Entry::new(LayerPath::parse(path.as_bytes()).unwrap(), kind, Metadata::new(0o777))
}
