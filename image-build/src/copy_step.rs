//! COPY and ADD: from expanded words to a layer.

use image_core::{
    Ctx, Digest, Image, Timestamp,
    observer::{NoticeKind, Outcome},
};
use image_overlay::{ImageTree, PackedLayer};

use crate::{
    cache::{IngredientKind, Recipe},
    chosen::{Chosen, Listed, OfContext, OfRootFs},
    context::source::ContextFiles,
    copy_words::CopyWords,
    dockerfile::{Add, Copy, Rule, Warning},
    effect::{
        archive::ArchivePart,
        copy::{self, Run, Selection, Target},
        inline::InlinePart,
        owner,
        part::Part,
        place::Attributes,
        select::clean,
    },
    error::{Error, Result},
    fetch::{Fetched, fetch},
    files::SourceFiles,
    graph::{CopyFrom, Stage},
    ignore::Ignore,
    miss::{Root, Taken},
    named::NamedContext,
    rootfs::RootFs,
    solve::{Made, StageBuild},
    suggest::nearest,
};

/// What was fetched from an address, and selected of it.
struct Remote<'a> {
    position: usize,
    selection: Selection<'a, ContextFiles<'a>>,
}

/// Where files are copied from.
struct Origin {
    /// What the tree is called.
    name: String,
    /// The step that explains why the files are others than in the last build, if they are.
    root: Option<Root>,
}

impl StageBuild<'_> {
    pub(crate) fn copy(&mut self, copy: &Copy, from: Option<&CopyFrom>) -> Result<Outcome> {
        let (build, built) = (self.build, self.built);
        let words = CopyWords::of_copy(copy, self.file, &self.state.env, &self.state.config.config.working_dir)?;
        let context = match from {
            None => (build.builder.context, String::from("the build context")),
            Some(CopyFrom::Stage(number)) => {
                let stage = built.get(number).ok_or_else(|| build.unbuilt(*number))?;
                let name = format!("stage {}", build.graph.label_of(*number));
                return self.copy_rootfs(&words, &stage.rootfs, &name, stage.roots.layers());
            }
            Some(CopyFrom::Name(name)) => match build.builder.named.get(name) {
                Some(NamedContext::Files(context)) => (*context, format!("the build context {name}")),
                _ => {
                    let image = RootFs::of_image(&self.image_named(name)?);
                    return self.copy_rootfs(&words, &image, &format!("image {name}"), None);
                }
            },
        };
        self.copy_context(&words, context.0, context.1, &[])
    }

    /// The image that a `from` names. Where there is none, a stage may have been meant.
    pub(crate) fn image_named(&self, name: &str) -> Result<Image> {
        self.build.builder.image(name, &self.stage.platform).map_err(|error| match error {
            Error::Core(error @ image_core::Error::ImageNotFound { meant: None, .. }) => {
                let labels: Vec<String> = self.build.graph.all_stages().map(Stage::label).collect();
                let meant = nearest(name, labels.iter().map(String::as_str));
                error.with_meant(meant.map(|stage| format!("stage {stage}"))).into()
            }
            error => error,
        })
    }

    /// ADD: as COPY from the context, and archives there and addresses besides.
    ///
    /// # Spec
    /// Dockerfile reference, § ADD.
    pub(crate) fn add(&mut self, add: &Add) -> Result<Outcome> {
        let (builder, ctx) = (self.build.builder, self.build.ctx);
        let words = CopyWords::of_add(add, self.file, &self.state.env, &self.state.config.config.working_dir)?;
        let fetched = words
            .add
            .addresses
            .iter()
            .map(|(position, address)| Ok((*position, fetch(address, builder.fetcher, builder.state, ctx)?)));
        let fetched = fetched.collect::<Result<Vec<_>>>()?;
        let files = fetched.iter().map(|(position, fetched)| {
            let name = words.sources.get(*position).map_or("", String::as_str);
            let files = ContextFiles::new(&fetched.context, name, Some(builder.state.stats()), false, ctx)?;
            Ok((*position, fetched, files))
        });
        let files = files.collect::<Result<Vec<(usize, &Fetched, ContextFiles<'_>)>>>()?;
        let remotes = files.iter().map(|(position, fetched, files)| {
            let selection = match &fetched.file {
                Some(name) => Selection::named(files, name.as_bytes(), ctx)?,
                None => Selection::all(files, &words.choice, ctx)?,
            };
            Ok(Remote { position: *position, selection })
        });
        let remotes = remotes.collect::<Result<Vec<_>>>()?;
        self.copy_context(&words, builder.context, String::from("the build context"), &remotes)
    }

    fn copy_context(
        &mut self,
        words: &CopyWords,
        context: &crate::BuildContext,
        name: String,
        remotes: &[Remote<'_>],
    ) -> Result<Outcome> {
        let (state, ctx) = (self.build.builder.state, self.build.ctx);
        self.warn_of_ignored(words, context.ignore())?;
        let wants_all = words.choice.wants_all(words.paths().map(|(_, path)| path));
        let files = ContextFiles::new(context, &*name, Some(state.stats()), wants_all, ctx)?;
        let selection = Selection::new(&files, words.paths(), &words.choice, ctx)?;
        selection.warn_of_unmatched(ctx);
        let digest = selection.digest()?;
        self.copy_files(&OfContext(selection), digest, Origin { name, root: None }, words, remotes)
    }

    /// `root` is the step that explains why the files are others than in the last build, if they are.
    fn copy_rootfs(&mut self, words: &CopyWords, rootfs: &RootFs, name: &str, root: Option<Root>) -> Result<Outcome> {
        let (state, ctx) = (self.build.builder.state, self.build.ctx);
        let files = OfRootFs { rootfs, name, words, state, ctx };
        let digest = files.digest()?;
        self.copy_files(&files, digest, Origin { name: name.to_owned(), root }, words, &[])
    }

    /// Warns of sources that the ignore file leaves out; where it also takes back, nothing can be said.
    fn warn_of_ignored(&self, words: &CopyWords, ignore: &Ignore) -> Result<()> {
        let rule = Rule::CopyIgnoredFile;
        if ignore.has_exceptions() || !self.file.checks().wants(rule) {
            return Ok(());
        }
        for (position, source) in words.paths() {
            let path = clean(source.as_bytes());
            if !path.is_empty() && ignore.matches(&path) {
                let message =
                    format!("Attempting to {} file {source:?} that is excluded by .dockerignore", words.verb());
                self.warn(&Warning { rule, message, span: words.spans.get(position).copied().unwrap_or_default() })?;
            }
        }
        Ok(())
    }

    fn copy_files(
        &mut self,
        chosen: &impl Chosen,
        digest: Digest,
        from: Origin,
        words: &CopyWords,
        remotes: &[Remote<'_>],
    ) -> Result<Outcome> {
        words.warnings.iter().try_for_each(|warning| self.warn(warning))?;
        self.note(words.variables.iter().map(|(name, value)| (&**name, value.as_deref())));
        let mut recipe = words.ingredients(self.recipe(&words.line(&words.destination)), &digest);
        for remote in remotes {
            let name = words.sources.get(remote.position).map_or("", String::as_str);
            recipe = recipe.with_digest(IngredientKind::Content, name, remote.selection.digest()?);
        }
        let (owner, recipe) = self.owner(words, recipe)?;
        let Origin { name, root } = from;
        let taken = [Taken { sources: words.sources.join(" "), from: name, digest, files: &Listed(chosen), root }];
        let line = format!("{} # buildkit", words.line(&words.written));
        let make = |this: &mut Self, now: Timestamp| {
            let owner = match owner {
                Some(owner) => Some(owner),
                None => words.chown.as_deref().map(|name| this.resolve_owner(name)).transpose()?,
            };
            let attributes = Attributes { owner, mode: words.chmod.as_ref().map(|chmod| &chmod.change), now };
            let target = Target { path: &words.destination, attributes };
            chosen.with(|selection| Ok(Made { layer: this.pack(selection, words, remotes, &target)? }))
        };
        if words.link {
            return self.detached_layer(recipe, &taken, &line, make);
        }
        self.layer(recipe, &taken, &line, make)
    }

    /// The owner that a linked copy has: its layer is kept for other bases too, which may know the name otherwise.
    fn owner(&self, words: &CopyWords, recipe: Recipe) -> Result<(Option<(u32, u32)>, Recipe)> {
        let Some(name) = words.chown.as_deref().filter(|_| words.link) else { return Ok((None, recipe)) };
        let (uid, gid) = self.resolve_owner(name)?;
        Ok((Some((uid, gid)), recipe.with_text(IngredientKind::Setting, "owner in numbers", &format!("{uid}:{gid}"))))
    }

    fn resolve_owner(&self, name: &str) -> Result<(u32, u32)> {
        owner::resolve(name, &self.state.rootfs, self.build.builder.state, self.build.ctx)
    }

    /// Makes the layer of everything that a COPY or ADD takes, in the order of its sources.
    fn pack<S: SourceFiles>(
        &self,
        selection: &Selection<'_, S>,
        words: &CopyWords,
        remotes: &[Remote<'_>],
        target: &Target<'_>,
    ) -> Result<Option<PackedLayer>> {
        let (state, ctx) = (self.build.builder.state, self.build.ctx);
        let mut parts: Vec<Box<dyn Part + '_>> = Vec::new();
        for position in 0..words.sources.len() {
            match remotes.iter().find(|remote| remote.position == position) {
                Some(remote) => self.parts(&remote.selection, 0, words.add.unpack_remote, &mut parts)?,
                None => self.parts(selection, position, words.add.unpack_local, &mut parts)?,
            }
        }
        for file in &words.inline {
            parts.push(Box::new(InlinePart::new(file, target.attributes.now)));
        }
        if target.attributes.mode.is_some() && parts.iter().any(|part| !part.takes_mode()) {
            let message = "--chmod does not count for what is in an archive: its files keep their modes";
            ctx.notice(NoticeKind::Warning, target.path, message);
        }
        let parts: Vec<&dyn Part> = parts.iter().map(|part| &**part).collect();
        let root = if words.link { ImageTree::new().into() } else { self.state.rootfs.tree(state, ctx)? };
        copy::pack(&parts, &root, target, self.pack_options(), state, ctx)
    }

    /// The parts that one source argument is: archives, where they are to be unpacked, and the rest.
    fn parts<'s, S: SourceFiles>(
        &self,
        selection: &'s Selection<'s, S>,
        argument: usize,
        unpack: bool,
        parts: &mut Vec<Box<dyn Part + 's>>,
    ) -> Result<()> {
        let (state, ctx): (_, &Ctx) = (self.build.builder.state, self.build.ctx);
        let mut start = None;
        for (at, source) in selection.of_argument(argument) {
            let archive = if unpack { selection.archive(source, state, ctx)? } else { None };
            let Some(archive) = archive else {
                start.get_or_insert(at);
                continue;
            };
            parts.extend(start.take().map(|start| Box::new(Run::new(selection, start..at)) as Box<dyn Part>));
            parts.push(Box::new(ArchivePart::read(&source.node.path().to_string(), archive, state, ctx)?));
        }
        let end = selection.of_argument(argument).last().map_or(0, |(at, _)| at + 1);
        parts.extend(start.map(|start| Box::new(Run::new(selection, start..end)) as Box<dyn Part>));
        Ok(())
    }
}
