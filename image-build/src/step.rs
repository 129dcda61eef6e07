//! The steps that take their meaning from the stage: WORKDIR, and changes of the configuration.

use image_core::{
    Ctx, Image,
    observer::{NoticeKind, Outcome},
};

use crate::{
    cache::IngredientKind,
    dockerfile::{Command, Dockerfile, Rule, Spanned, Warning},
    effect::{
        meta::{self, MetaState},
        owner,
        place::Attributes,
        workdir,
    },
    error::Result,
    expand::Expander,
    miss::Origin,
    solve::{Made, StageBuild, values},
};

/// Whether a variable is one of the configuration's, or an argument.
fn origin(environment: &[String], name: &str) -> Origin {
    let is_it = |line: &String| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
    if environment.iter().any(is_it) { Origin::Environment } else { Origin::Argument }
}

impl StageBuild<'_> {
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
        self.layer(recipe, &[], &line, |this, now| {
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
        let (file, before) = (self.file, self.state.env.clone());
        let environment = self.state.config.config.env.clone();
        let mut expander = Expander::new(file, &before);
        let mut state = MetaState {
            dockerfile: file,
            config: &mut self.state.config.config,
            env: &mut self.state.env,
            own_cmd: &mut self.own_cmd,
        };
        let line = meta::apply(command, &mut state, &mut expander)?;
        expander.warnings().iter().try_for_each(|warning| self.warn(warning))?;
        self.steps.note(values(&expander), |name| origin(&environment, name));
        if let Command::Maintainer(name) = command {
            self.state.config.author = Some(name.value.clone());
        }
        Ok(line)
    }

    fn expand(&mut self, word: &Spanned<String>) -> Result<String> {
        let mut expander = Expander::new(self.file, &self.state.env);
        let text = expander.word(word)?;
        expander.warnings().iter().try_for_each(|warning| self.warn(warning))?;
        let environment = &self.state.config.config.env;
        self.steps.note(values(&expander), |name| origin(environment, name));
        Ok(text)
    }

    /// Warns of a base image for another platform than the one that is built for.
    pub(crate) fn warn_of_platform(&self, image: &Image) -> Result<()> {
        let (rule, expected, actual) = (Rule::InvalidBaseImagePlatform, &self.stage.platform, image.platform());
        let Command::From(from) = &self.stage.from.command else { return Ok(()) };
        if expected.matches(&actual) || !self.build.dockerfile.checks().wants(rule) {
            return Ok(());
        }
        let message = format!(
            "Base image {} was pulled with platform \"{actual}\", expected \"{expected}\" for current build",
            from.image
        );
        self.warn(&Warning { rule, message, span: from.image.span })
    }

    /// Tells of something unwise in the instruction at hand.
    pub(crate) fn warn(&self, warning: &Warning) -> Result<()> {
        warn(self.build.dockerfile, self.file, warning, self.build.ctx)
    }

    /// Notes the variables that the instruction uses.
    pub(crate) fn note<'v>(&mut self, variables: impl IntoIterator<Item = (&'v str, Option<&'v str>)>) {
        let environment = &self.state.config.config.env;
        self.steps.note(variables, |name| origin(environment, name));
    }
}

/// Tells of something unwise in a file of a build (its Dockerfile, a trigger), which is an error where the Dockerfile itself
/// says so.
pub(crate) fn warn(dockerfile: &Dockerfile, file: &Dockerfile, warning: &Warning, ctx: &Ctx) -> Result<()> {
    if dockerfile.checks().error {
        let reason = format!("{} ({}: `check=error=true` makes an error of it)", warning.message, warning.rule);
        return Err(file.fault(warning.span, reason));
    }
    let place = file.source().location(warning.span).to_string();
    ctx.notice(NoticeKind::Warning, &place, &warning.message);
    Ok(())
}
