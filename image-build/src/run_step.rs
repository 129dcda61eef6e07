//! RUN: from its words to the recipe of its layer, and to what an executor is given.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use image_core::observer::Outcome;

use crate::{
    args::PROXIES,
    cache::{IngredientKind, Recipe},
    context::source::ContextFiles,
    dockerfile::{Instruction, Run},
    effect::{
        bind::{self, Bound, Piece},
        run, user,
        workdir::absolute,
    },
    env::Env,
    error::{Error, Result},
    exec::{Access, MountKind, Network, Owner, RunSpec, Security},
    expand::Expander,
    graph::CopyFrom,
    miss::{Root, Taken},
    named::NamedContext,
    rootfs::{RootFs, RootFsFiles},
    run_mount::{RunMount, RunMountKind},
    run_words::RunWords,
    solve::{Build, Made, StageBuild, StageState},
    temporary::TemporaryDirectory,
};

/// Arguments that say how an image is looked through, and are no variables.
const NO_VARIABLES: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// The permissions of a program that everybody may run.
const SCRIPT_MODE: u32 = 0o755;

/// What mounts take files from.
enum Files<'a> {
    Context(ContextFiles<'a>),
    RootFs(RootFsFiles<'a>, Option<Root>),
}

/// A RUN, as far as it is known before it is carried out.
struct Words {
    command: RunWords,
    mounts: Vec<RunMount>,
    network: Network,
    security: Security,
    /// The variables that the command sees, but for proxies and secrets.
    env: Env,
}

impl StageBuild<'_> {
    /// RUN: what a command changes is a layer.
    ///
    /// # Spec
    /// Dockerfile reference, § RUN.
    pub(crate) fn run_command(&mut self, run: &Run, instruction: &Instruction) -> Result<Outcome> {
        let (build, built, stage) = (self.build, self.built, self.stage);
        let (state, ctx) = (build.builder.state, build.ctx);
        let words = self.words(run)?;
        let froms = stage.mounts.get(self.mounts..).unwrap_or_default();
        self.mounts += words.mounts.len();
        let froms: Vec<_> = words.mounts.iter().zip(froms).map(|(mount, from)| (mount, from.as_ref())).collect();
        let images = froms.iter().map(|(_, from)| self.image_of(*from)).collect::<Result<Vec<_>>>()?;
        let files = froms.iter().zip(&images);
        let files = files.map(|((mount, from), image)| files_of(mount, *from, image.as_ref(), build, built));
        let files = files.collect::<Result<Vec<_>>>()?;
        let mut bound: Vec<Option<Box<dyn Bound + '_>>> = Vec::new();
        for ((mount, _), files) in froms.iter().zip(&files) {
            let (RunMountKind::Bind { source, .. } | RunMountKind::Cache { source, .. }) = &mount.kind else {
                bound.push(None);
                continue;
            };
            bound.push(match files {
                Some(Files::Context(files)) => Some(Box::new(Piece::new(files, source, ctx)?)),
                Some(Files::RootFs(files, _)) => Some(Box::new(Piece::new(files, source, ctx)?)),
                None => None,
            });
        }
        let mut taken = Vec::new();
        for (((mount, _), files), bound) in froms.iter().zip(&files).zip(&bound) {
            let Some(bound) = bound else { continue };
            let root = match files {
                Some(Files::RootFs(_, root)) => root.clone(),
                _ => None,
            };
            let (sources, from) = (mount.source().to_owned(), bound.tree_name().to_owned());
            taken.push(Taken { sources, from, digest: bound.digest()?, files: bound.listing(), root });
        }
        let recipe = self.run_recipe(&words, &bound)?;
        let arguments: Vec<_> =
            self.arguments.iter().map(|name| (name.as_str(), self.state.env.get(name).unwrap_or_default())).collect();
        let line = words.command.history(arguments.into_iter());
        let label = self.label(instruction, self.steps.number());
        self.layer(recipe, &taken, &line, |this, _| {
            let directory = state.temporary_directory()?;
            let spec = this.spec(&words, &bound, &directory)?;
            let executor = this.build.builder.executor;
            let executor = executor.ok_or_else(|| this.file.no_executor(instruction.keyword.span))?;
            let place = run::Place { state, ctx };
            let layer = run::run(executor, spec, &label, &this.state.rootfs, this.pack_options(), &place)?;
            Ok(Made { layer: Some(layer) })
        })
    }

    /// Reads the instruction, and whether it asks for more than is allowed.
    fn words(&mut self, run: &Run) -> Result<Words> {
        let (file, env) = (self.file, self.state.env.clone());
        let command = RunWords::new(run, &self.state.config.config);
        if command.args.is_empty() {
            return Err(Error::Runtime { reason: "there is none: RUN [] names no program".into() });
        }
        let mut expander = Expander::new(file, &env);
        let mounts = run.flags.mounts.iter().map(|flag| RunMount::parse(flag, file, &mut expander));
        let mounts = mounts.collect::<Result<Vec<_>>>()?;
        expander.warnings().iter().try_for_each(|warning| self.warn(warning))?;
        let options = &self.build.options.run;
        let network = match run.flags.network.as_ref().map(|word| word.value.as_str()) {
            Some("host") => Network::Host,
            Some("none") => Network::None,
            _ => options.network,
        };
        if network > options.allowed() {
            return Err(Error::NotAllowed { what: format!("--network={}", network.as_str()) });
        }
        let security = match run.flags.security.as_ref().map(|word| word.value.as_str()) {
            Some("insecure") => Security::Insecure,
            _ => Security::Sandbox,
        };
        if security != Security::Sandbox && options.security == Security::Sandbox {
            return Err(Error::NotAllowed { what: "--security=insecure".into() });
        }
        let env = env.iter().filter(|(name, _)| !NO_VARIABLES.contains(name)).collect();
        Ok(Words { command, mounts, network, security, env })
    }

    /// The image that a mount takes its files from.
    fn image_of(&self, from: Option<&CopyFrom>) -> Result<Option<RootFs>> {
        match from {
            Some(CopyFrom::Name(name)) if name != "scratch" => match self.build.builder.named.get(name) {
                Some(NamedContext::Files(_)) => Ok(None),
                _ => Ok(Some(RootFs::of_image(&self.image_named(name)?))),
            },
            _ => Ok(None),
        }
    }

    /// Everything that decides what the command does. Not the values of secrets, what caches hold, and proxies.
    fn run_recipe(&self, words: &Words, bound: &[Option<Box<dyn Bound + '_>>]) -> Result<Recipe> {
        let config = &self.state.config.config;
        let command = serde_json::to_string(&words.command.args).map_err(|source| Error::Encode { source })?;
        let mut recipe = self
            .recipe(&format!("RUN {command}"))
            .with_text(IngredientKind::Setting, "user", &config.user)
            .with_text(IngredientKind::Setting, "directory", working_dir(&config.working_dir))
            .with_text(IngredientKind::Setting, "network", words.network.as_str())
            .with_text(IngredientKind::Setting, "security", words.security.as_str());
        for (name, value) in words.env.iter() {
            let kind = match self.state.config.variable(name) == Some(value) {
                true => IngredientKind::Environment,
                false => IngredientKind::Argument,
            };
            recipe = recipe.with_text(kind, name, value);
        }
        if let Some((place, text)) = &words.command.script {
            recipe = recipe.with_text(IngredientKind::Instruction, place, text);
        }
        for (position, (mount, bound)) in words.mounts.iter().zip(bound).enumerate() {
            let target = self.target(mount, position);
            recipe = recipe.with_text(IngredientKind::Mount, &target, &mount.described());
            if let Some(bound) = bound {
                recipe = recipe.with_digest(IngredientKind::Content, &target, bound.digest()?);
            }
        }
        Ok(recipe)
    }

    /// Where a mount is, from the root; of a secret that is a variable alone, its name.
    fn target(&self, mount: &RunMount, position: usize) -> String {
        match &mount.kind {
            RunMountKind::Secret { env: Some(name), .. } if mount.target.is_empty() => name.clone(),
            RunMountKind::Ssh { .. } if mount.target.is_empty() => format!("/run/buildkit/ssh_agent.{position}"),
            _ => absolute(working_dir(&self.state.config.config.working_dir), &mount.target, false),
        }
    }

    /// What the executor is given, but for the root file system.
    fn spec(
        &self,
        words: &Words,
        bound: &[Option<Box<dyn Bound + '_>>],
        directory: &TemporaryDirectory,
    ) -> Result<RunSpec> {
        let (state, ctx, options) = (self.build.builder.state, self.build.ctx, &self.build.options.run);
        let config = &self.state.config.config;
        // Runtimes take no relative paths.
        let directory = std::path::absolute(directory.path()).map_err(|e| Error::io("find", directory.path(), e))?;
        let mut env = words.env.clone();
        let mut spec = RunSpec::new("", &words.command.args)
            .with_cwd(working_dir(&config.working_dir))
            .with_user(user::resolve(&config.user, &self.state.rootfs, state, ctx)?)
            .with_network(words.network)
            .with_security(words.security)
            .with_limits(options.limits.clone())
            .with_platform(self.stage.platform.clone());
        if let Some((place, text)) = &words.command.script {
            let source = directory.join("script");
            write_script(&source, text)?;
            spec = spec.with_mount(place, MountKind::Bind { source, access: Access::ReadOnly });
        }
        for (position, (mount, bound)) in words.mounts.iter().zip(bound).enumerate() {
            let target = self.target(mount, position);
            if matches!(mount.kind, RunMountKind::Ssh { .. }) && env.get("SSH_AUTH_SOCK").is_none() {
                env.set("SSH_AUTH_SOCK", &*target);
            }
            let copies = || {
                let place = directory.join(position.to_string());
                std::fs::create_dir(&place).map_err(|e| Error::io("create", &place, e))?;
                match bound {
                    Some(bound) => bound.copy_out(&place, state, ctx),
                    None => bind::empty_tree(&place),
                }
            };
            spec = match &mount.kind {
                RunMountKind::Bind { access, .. } => {
                    spec.with_mount(target, MountKind::Bind { source: copies()?, access: *access })
                }
                RunMountKind::Cache { id, sharing, access, owner, .. } => {
                    let seed = bound.as_ref().map(|bound| Ok::<_, Error>((bound.digest()?, copies()?))).transpose()?;
                    // Another origin is another cache.
                    let id = seed.as_ref().map_or_else(|| id.clone(), |(digest, _)| format!("{id}\n{digest}"));
                    let (sharing, access, owner) = (*sharing, *access, *owner);
                    let seed = seed.map(|(_, seed)| seed);
                    spec.with_mount(target, MountKind::Cache { id, sharing, access, owner, seed })
                }
                RunMountKind::Tmpfs { size } => spec.with_mount(target, MountKind::Tmpfs { size: *size }),
                RunMountKind::Secret { id, env, required, owner } => match options.secrets.get(id) {
                    None if *required => return Err(Error::NotGiven { what: format!("the secret {id:?}") }),
                    None => spec,
                    Some(value) => {
                        let spec = match env {
                            Some(name) => spec.with_secret_env(name, value.clone()),
                            None => spec,
                        };
                        if mount.target.is_empty() {
                            spec
                        } else {
                            spec.with_mount(target, MountKind::Secret { value: value.clone(), owner: *owner })
                        }
                    }
                },
                RunMountKind::Ssh { id, required, owner } => match options.agents.get(id) {
                    None if *required => return Err(Error::NotGiven { what: format!("the agent {id:?}") }),
                    None => spec,
                    Some(agent) => spec.with_mount(target, MountKind::Ssh { agent: agent.clone(), owner: *owner }),
                },
            };
        }
        for (name, value) in &self.build.options.build_args {
            let lower = name.to_ascii_lowercase();
            if PROXIES.contains(&&*lower) && !value.is_empty() {
                env.set(name.to_ascii_uppercase(), value);
                env.set(lower, value);
            }
        }
        Ok(spec.with_env(env.to_config()))
    }
}

/// What a mount takes files from; `None` for nothing.
fn files_of<'f>(
    mount: &RunMount,
    from: Option<&CopyFrom>,
    image: Option<&'f RootFs>,
    build: &'f Build<'_>,
    built: &'f BTreeMap<usize, Arc<StageState>>,
) -> Result<Option<Files<'f>>> {
    let (state, ctx) = (build.builder.state, build.ctx);
    let context = |context, name: String| {
        Ok(Some(Files::Context(ContextFiles::new(context, name, Some(state.stats()), false, ctx)?)))
    };
    match (from, &mount.kind) {
        (None, RunMountKind::Bind { .. }) => context(build.builder.context, "the build context".into()),
        (None, _) => Ok(None),
        (Some(CopyFrom::Stage(number)), _) => {
            let stage = built.get(number).ok_or_else(|| build.unbuilt(*number))?;
            let name = format!("stage {}", build.graph.label_of(*number));
            let files = RootFsFiles::new(&stage.rootfs, name, state, ctx)?;
            Ok(Some(Files::RootFs(files, stage.roots.layers())))
        }
        (Some(CopyFrom::Name(name)), _) => match (build.builder.named.get(name), image) {
            (Some(NamedContext::Files(known)), _) => context(known, format!("the build context {name}")),
            (_, Some(image)) => {
                let files = RootFsFiles::new(image, format!("image {name}"), state, ctx)?;
                Ok(Some(Files::RootFs(files, None)))
            }
            (_, None) => Ok(None),
        },
    }
}

impl RunMount {
    /// The path that it takes, of what it takes files from.
    fn source(&self) -> &str {
        match &self.kind {
            RunMountKind::Bind { source, .. } | RunMountKind::Cache { source, .. } => source,
            _ => "",
        }
    }

    /// What decides about the command's result besides where it is mounted, and files.
    fn described(&self) -> String {
        let access = |access: &Access| if *access == Access::ReadOnly { "ro" } else { "rw" };
        let owned = |owner: &Owner| format!("{}:{} {:04o}", owner.uid, owner.gid, owner.mode);
        match &self.kind {
            RunMountKind::Bind { access: how, .. } => format!("bind {}", access(how)),
            RunMountKind::Cache { access: how, owner, .. } => format!("cache {} {}", access(how), owned(owner)),
            RunMountKind::Tmpfs { size } => size.map_or_else(|| "tmpfs".into(), |size| format!("tmpfs {size}")),
            RunMountKind::Secret { id, env, owner, .. } => {
                let env = env.as_ref().map(|name| format!(" env {name:?}")).unwrap_or_default();
                format!("secret {id:?}{env} {}", owned(owner))
            }
            RunMountKind::Ssh { id, owner, .. } => format!("ssh {id:?} {}", owned(owner)),
        }
    }
}

/// The directory of a command: the root where the image names none.
fn working_dir(directory: &str) -> &str {
    if directory.is_empty() { "/" } else { directory }
}

/// Writes a program that everybody may run.
fn write_script(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |e| Error::io("write", PathBuf::from(path), e);
    std::fs::write(path, text).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SCRIPT_MODE)).map_err(failed)
}
