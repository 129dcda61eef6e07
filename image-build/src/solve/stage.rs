//! A stage, step by step.

use std::{collections::BTreeMap, sync::Arc};

use image_core::{
    Digest,
    observer::{Outcome, TaskKind},
};
use image_overlay::PackedLayer;

use super::{Build, StageState};
use crate::{
    assemble::StepRecord,
    cache::{IngredientKind, explain::Cause},
    dockerfile::{Command, Dockerfile, Instruction},
    effect::meta::Line,
    error::Result,
    expand::Expander,
    graph::{Base, CopyFrom, Stage},
    miss::{Origin, StageSteps, StageTrace},
    options::Explanations,
};

/// A stage that was built.
pub(super) struct StageResult {
    pub(super) state: StageState,
    pub(super) cached: usize,
    pub(super) done: usize,
    pub(super) records: Vec<StepRecord>,
}

/// A stage while it is built.
pub(crate) struct StageBuild<'b> {
    pub(crate) build: &'b Build<'b>,
    pub(crate) stage: &'b Stage<'b>,
    /// Where the instruction at hand stands.
    pub(crate) file: &'b Dockerfile,
    /// Whether it is a trigger.
    triggered: bool,
    /// The stages that it needs.
    pub(crate) built: &'b BTreeMap<usize, Arc<StageState>>,
    pub(crate) state: StageState,
    pub(crate) own_cmd: bool,
    pub(crate) steps: StageSteps<'b>,
    /// What names the state that the step came to, where it is known already: it takes time to find out.
    pub(super) identity: Option<Digest>,
    /// The arguments that are declared here, in the order of their declarations.
    pub(crate) arguments: Vec<String>,
    /// How many mounts the commands before have.
    pub(crate) mounts: usize,
    cached: usize,
    done: usize,
    /// The records of the steps so far.
    pub(super) records: Vec<StepRecord>,
}

/// What a step made.
pub(crate) struct Made {
    pub(crate) layer: Option<PackedLayer>,
}

impl<'b> StageBuild<'b> {
    pub(super) fn run(
        build: &'b Build<'b>,
        stage: &'b Stage<'b>,
        built: &'b BTreeMap<usize, Arc<StageState>>,
        trace: &'b mut StageTrace,
    ) -> Result<StageResult> {
        let steps = stage.steps().map(|step| step.instruction);
        let texts = std::iter::once(stage.from).chain(steps).map(|step| step.text.clone()).collect();
        let mut this = Self {
            build,
            stage,
            file: build.dockerfile,
            triggered: false,
            built,
            state: StageState::scratch(&stage.platform)?,
            own_cmd: false,
            steps: StageSteps::new(&build.shared.last, trace, texts),
            identity: None,
            arguments: Vec::new(),
            mounts: 0,
            cached: 0,
            done: 0,
            records: Vec::new(),
        };
        this.in_step(stage.from, 1, Self::begin)?;
        let mut copies = 0;
        for (at, step) in stage.steps().enumerate() {
            (this.file, this.triggered) = (step.file, step.triggered);
            this.in_step(step.instruction, at + 2, |this| this.step(step.instruction, &mut copies))?;
        }
        this.steps.complete();
        Ok(StageResult { state: this.state, cached: this.cached, done: this.done, records: this.records })
    }

    /// Carries a step out under observation, and gives its errors their place.
    fn in_step(
        &mut self,
        instruction: &Instruction,
        number: usize,
        work: impl FnOnce(&mut Self) -> Result<Outcome>,
    ) -> Result<()> {
        let ctx = self.build.ctx;
        ctx.check()?;
        let task = ctx.begin(TaskKind::Step, &self.label(instruction, number), None);
        self.steps.begin(number - 1, &mut self.state.roots);
        let outcome = work(self).map_err(|e| e.in_step(self.file, instruction))?;
        match outcome {
            Outcome::Cached => self.cached += 1,
            _ => self.done += 1,
        }
        if outcome != Outcome::Cached {
            match self.build.options.explanations {
                Explanations::Returned => {}
                Explanations::OneLine => {
                    if let Some(line) = one_line(self.steps.causes()) {
                        task.because(&line);
                    }
                }
                Explanations::Observed => {
                    self.steps.causes().iter().for_each(|cause| task.because(&cause.to_string()));
                }
            }
        }
        let state = match self.identity.take() {
            Some(identity) => identity,
            None => self.state.identity()?,
        };
        let layers = self.state.rootfs.identity();
        self.steps.end(layers, &state, outcome != Outcome::Cached, &mut self.state.roots);
        task.end(outcome);
        Ok(())
    }

    /// What a step is called in progress.
    pub(crate) fn label(&self, instruction: &Instruction, number: usize) -> String {
        let count = self.stage.len() + 1;
        let trigger = if self.triggered { "ONBUILD " } else { "" };
        format!("[{} {number}/{count}] {trigger}{}", self.build.label, instruction.text)
    }

    /// FROM.
    fn begin(&mut self) -> Result<Outcome> {
        let mut recipe = self.recipe(&self.stage.from.text);
        let mut is_image = false;
        if let Command::From(from) = &self.stage.from.command {
            let mut expander = Expander::new(self.build.dockerfile, self.build.global.env());
            expander.word(&from.image)?;
            self.steps.note(values(&expander), |_| Origin::Argument);
        }
        self.state = match &self.stage.base {
            Base::Scratch => StageState::scratch(&self.stage.platform)?,
            Base::Stage(number) => {
                let base = self.built.get(number).ok_or_else(|| self.build.unbuilt(*number))?;
                recipe = recipe.with_digest(IngredientKind::Parent, "stage", base.identity()?);
                StageState::of_stage(base)?
            }
            base => {
                let image = self.build.builder.base_image(base, &self.stage.platform)?;
                self.warn_of_platform(&image)?;
                let digest = image.descriptor().digest.clone();
                let name = match base {
                    Base::Image(reference) => reference.to_string(),
                    base => base.name(),
                };
                recipe = recipe.with_text(IngredientKind::BaseImage, &name, &digest.to_string());
                is_image = true;
                StageState::of_image(&image)?
            }
        };
        // Under whatever name and manifest, the same layers and configuration are the same base.
        let content = match is_image {
            true => Some(self.recipe("FROM").with_digest(IngredientKind::BaseImage, "content", self.state.identity()?)),
            false => None,
        };
        Ok(self.record(recipe, content, None, &[], |_, _| Ok(Made { layer: None }))?.1)
    }

    /// Frees the tree of a stage where nothing is taken from it any more: not by the copies that follow here, nor elsewhere.
    fn release(&self, number: usize, later: &[Option<CopyFrom>]) {
        let mut own = later.iter().chain(&self.stage.mounts);
        let mut others = self.build.graph.stages().filter(|stage| stage.number != self.stage.number);
        let is_wanted = own.any(|from| matches!(from, Some(CopyFrom::Stage(other)) if *other == number))
            || others.any(|stage| stage.dependencies().any(|needed| needed == number));
        if let Some(stage) = self.built.get(&number).filter(|_| !is_wanted) {
            stage.rootfs.release_tree();
        }
    }

    fn step(&mut self, instruction: &Instruction, copies: &mut usize) -> Result<Outcome> {
        match &instruction.command {
            Command::Copy(copy) => {
                let from = self.stage.copies.get(*copies).and_then(Option::as_ref);
                *copies += 1;
                let outcome = self.copy(copy, from)?;
                if let Some(CopyFrom::Stage(number)) = from {
                    self.release(*number, self.stage.copies.get(*copies..).unwrap_or_default());
                }
                Ok(outcome)
            }
            Command::Add(add) => self.add(add),
            Command::Workdir(path) => self.workdir(path),
            #[cfg(target_os = "linux")]
            Command::Run(run) => self.run_command(run, instruction),
            Command::Arg(declarations) => {
                let mut line = String::from("ARG");
                for declaration in declarations {
                    let (build, env) = (self.build, &mut self.state.env);
                    let (name, value) = build.global.declared(self.file, declaration, env, build.options)?;
                    if !self.arguments.contains(&name) {
                        self.arguments.push(name.clone());
                    }
                    line.push(' ');
                    line.push_str(&name);
                    let Some(value) = value else {
                        env.declare(name);
                        continue;
                    };
                    line.push('=');
                    line.push_str(&value);
                    self.steps.note([(&*name, Some(&*value))], |_| Origin::Declared);
                    env.set(name, value);
                }
                self.metadata(&line)
            }
            command => match self.change_config(command)? {
                Some(Line::Text(line)) => self.metadata(&line),
                Some(Line::Silent) => Ok(self.changed(&instruction.text)?.1),
                None => Err(self.file.unsupported(instruction.span, command.name())),
            },
        }
    }
}

/// What keeps a step from an earlier result, in one line; nothing where that is what the caller wanted, or where there
/// was no earlier build at all.
fn one_line(causes: &[Cause]) -> Option<String> {
    match causes {
        [] | [Cause::Refresh | Cause::First] => None,
        [cause] => Some(cause.to_string()),
        [first, _] => Some(format!("{first} (and 1 other reason)")),
        [first, rest @ ..] => Some(format!("{first} (and {} other reasons)", rest.len())),
    }
}

/// The variables that an expander was asked for.
pub(crate) fn values<'v>(expander: &'v Expander<'_>) -> impl Iterator<Item = (&'v str, Option<&'v str>)> {
    expander.variables().iter().map(|(name, value)| (&**name, value.as_deref()))
}
