//! The steps that take their meaning from the stage: COPY, WORKDIR, and changes of the configuration.

use std::collections::BTreeMap;

use image_core::observer::{NoticeKind, Outcome};

use crate::{
    cache::IngredientKind,
    context::source::ContextFiles,
    dockerfile::{Command, Copy, Spanned},
    effect::{
        copy::{Selection, Target},
        meta::{self, MetaState},
        mode::ModeChange,
        owner,
        place::Attributes,
        workdir,
    },
    env::Env,
    error::Result,
    expand::Expander,
    files::SourceFiles,
    graph::CopyFrom,
    miss::{Origin, Root, Taken},
    rootfs::{RootFs, RootFsFiles},
    solve::{Build, Made, StageBuild, values},
};

/// A COPY with all its words expanded.
struct CopyWords {
    sources: Vec<String>,
    /// As it is written, with its variables expanded.
    written: String,
    /// From the root.
    destination: String,
    chown: Option<String>,
    chmod: Option<Chmod>,
    /// The variables in them.
    variables: BTreeMap<String, Option<String>>,
}

/// A `--chmod`: as it is written, and what it means.
struct Chmod {
    written: String,
    change: ModeChange,
}

impl CopyWords {
    fn new(copy: &Copy, build: &Build<'_>, env: &Env, working_dir: &str) -> Result<Self> {
        let mut expander = Expander::new(build.dockerfile, env);
        let sources = copy.sources.iter().map(|word| expander.word(word)).collect::<Result<_>>()?;
        let destination = expander.word(&copy.destination)?;
        let chown = copy.flags.chown.as_ref().map(|word| expander.word(word)).transpose()?;
        let chmod = match &copy.flags.chmod {
            None => None,
            Some(word) => {
                let written = expander.word(word)?;
                let change = ModeChange::parse(&written);
                Some(Chmod { change: change.map_err(|reason| build.dockerfile.fault(word.span, reason))?, written })
            }
        };
        warn(&expander, build);
        let variables = expander.variables().clone();
        let written = destination;
        Ok(Self {
            sources,
            destination: workdir::absolute(working_dir, &written, true),
            written,
            chown,
            chmod,
            variables,
        })
    }

    /// The instruction with this destination.
    fn line(&self, destination: &str) -> String {
        let mut words = vec![String::from("COPY")];
        words.extend(self.chown.iter().map(|owner| format!("--chown={owner}")));
        words.extend(self.chmod.iter().map(|chmod| format!("--chmod={}", chmod.written)));
        words.extend(self.sources.iter().cloned());
        words.push(destination.to_owned());
        words.join(" ")
    }
}

/// Whether a variable is one of the configuration's, or an argument.
fn origin(environment: &[String], name: &str) -> Origin {
    let is_it = |line: &String| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
    if environment.iter().any(is_it) { Origin::Environment } else { Origin::Argument }
}

/// Passes on what is unwise in expanded words.
fn warn(expander: &Expander<'_>, build: &Build<'_>) {
    for warning in expander.warnings() {
        build.warn(warning);
    }
}

impl StageBuild<'_> {
    pub(crate) fn copy(&mut self, copy: &Copy, from: Option<&CopyFrom>) -> Result<Outcome> {
        let (build, built) = (self.build, self.built);
        let (state, ctx) = (build.builder.state, build.ctx);
        let words = CopyWords::new(copy, build, &self.state.env, &self.state.config.config.working_dir)?;
        let image: RootFs;
        let context = match from {
            None => (build.builder.context, String::from("the build context")),
            Some(CopyFrom::Stage(number)) => {
                let stage = built.get(number).ok_or_else(|| build.unbuilt(*number))?;
                let name = format!("stage {}", build.graph.label_of(*number));
                let files = RootFsFiles::new(&stage.rootfs, name, state, ctx)?;
                return self.copy_files(&files, &words, stage.roots.layers());
            }
            Some(CopyFrom::Name(name)) => match build.builder.contexts.get(name) {
                Some(context) => (*context, format!("the build context {name}")),
                None => {
                    let reference = name.parse()?;
                    image = RootFs::of_image(&build.resolve(&reference, &self.stage.platform)?);
                    let files = RootFsFiles::new(&image, format!("image {name}"), state, ctx)?;
                    return self.copy_files(&files, &words, None);
                }
            },
        };
        self.copy_files(&ContextFiles::new(context.0, context.1, state.stats(), ctx)?, &words, None)
    }

    /// `root` is the step that explains why the files are others than in the last build, if they are.
    fn copy_files<S: SourceFiles>(&mut self, files: &S, words: &CopyWords, root: Option<Root>) -> Result<Outcome> {
        self.note(words.variables.iter().map(|(name, value)| (&**name, value.as_deref())));
        let (state, ctx) = (self.build.builder.state, self.build.ctx);
        let selection = Selection::new(files, &words.sources, ctx)?;
        let digest = selection.digest()?;
        // The words once more, each on its own: a name may hold the space between two.
        let recipe = self
            .recipe(&words.line(&words.destination))
            .with_text(IngredientKind::Setting, "destination", &words.destination)
            .with_text(IngredientKind::Setting, "owner", words.chown.as_deref().unwrap_or_default())
            .with_digest(IngredientKind::Content, "files", digest.clone());
        let (sources, from) = (words.sources.join(" "), selection.from().to_owned());
        let taken = Taken { sources, from, digest, files: &selection, root };
        let line = format!("{} # buildkit", words.line(&words.written));
        self.layer(recipe, Some(&taken), &line, |this, now| {
            let rootfs = &this.state.rootfs;
            let owner = words.chown.as_deref().map(|owner| owner::resolve(owner, rootfs, state, ctx)).transpose()?;
            let attributes = Attributes { owner, mode: words.chmod.as_ref().map(|chmod| &chmod.change), now };
            let root = rootfs.tree(state, ctx)?;
            let target = Target { path: &words.destination, attributes };
            let layer = selection.pack(&root, &target, this.pack_options(), state, ctx)?;
            Ok(Made { layer })
        })
    }

    /// WORKDIR: the directory is there from then on, owned by the user of the stage.
    ///
    /// # Spec
    /// Dockerfile reference, § WORKDIR.
    pub(crate) fn workdir(&mut self, path: &Spanned<String>) -> Result<Outcome> {
        let (state, ctx) = (self.build.builder.state, self.build.ctx);
        let path = self.expand(path)?;
        let path = workdir::resolve(&self.state.config.config.working_dir, &path);
        let user = self.state.config.config.user.clone();
        self.state.config.config.working_dir.clone_from(&path);
        let line = format!("WORKDIR {path}");
        let recipe = self.recipe(&line).with_text(IngredientKind::Setting, "user", &user);
        self.layer(recipe, None, &line, |this, now| {
            let rootfs = &this.state.rootfs;
            let root = rootfs.tree(state, ctx)?;
            if workdir::is_there(&root, &path)? {
                return Ok(Made { layer: None });
            }
            let owner = match user.as_str() {
                "" => None,
                user => Some(owner::resolve(user, rootfs, state, ctx)?),
            };
            let attributes = Attributes { owner, mode: None, now };
            Ok(Made { layer: workdir::pack(&root, &path, attributes, this.pack_options(), state, ctx)? })
        })
    }

    /// Carries out an instruction that changes the configuration, and says what it leaves in the history.
    pub(crate) fn change_config(&mut self, command: &Command) -> Result<Option<meta::Change>> {
        let (build, before) = (self.build, self.state.env.clone());
        let environment = self.state.config.config.env.clone();
        let mut expander = Expander::new(build.dockerfile, &before);
        let mut state = MetaState {
            dockerfile: build.dockerfile,
            config: &mut self.state.config.config,
            env: &mut self.state.env,
            own_cmd: &mut self.own_cmd,
        };
        let line = meta::apply(command, &mut state, &mut expander)?;
        warn(&expander, build);
        self.steps.note(values(&expander), |name| origin(&environment, name));
        if let Command::Maintainer(name) = command {
            self.state.config.author = Some(name.value.clone());
        }
        Ok(line)
    }

    fn expand(&mut self, word: &Spanned<String>) -> Result<String> {
        let mut expander = Expander::new(self.build.dockerfile, &self.state.env);
        let text = expander.word(word)?;
        warn(&expander, self.build);
        let environment = &self.state.config.config.env;
        self.steps.note(values(&expander), |name| origin(environment, name));
        Ok(text)
    }

    /// Notes the variables that the instruction uses.
    fn note<'v>(&mut self, variables: impl IntoIterator<Item = (&'v str, Option<&'v str>)>) {
        let environment = &self.state.config.config.env;
        self.steps.note(variables, |name| origin(environment, name));
    }
}

impl Build<'_> {
    /// Tells of something unwise in the Dockerfile.
    pub(crate) fn warn(&self, warning: &crate::dockerfile::Warning) {
        let place = self.dockerfile.source().location(warning.span).to_string();
        self.ctx.notice(NoticeKind::Warning, &place, &warning.message);
    }
}
