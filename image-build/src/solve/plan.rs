//! What is to be built: the stages of one platform, or of several, each once.

use std::collections::{BTreeMap, BTreeSet};

use image_core::Platform;

use super::Builder;
use crate::{
    args::GlobalArgs,
    dockerfile::{ArgDeclaration, Command, Dockerfile, Instruction},
    error::Result,
    graph::{Base, BuildGraph, Stage},
    options::BuildOptions,
};

/// A platform that an image is built for.
pub(super) struct Target<'d> {
    pub(super) options: BuildOptions,
    pub(super) global: GlobalArgs,
    pub(super) graph: BuildGraph<'d>,
}

impl<'d> Target<'d> {
    pub(super) fn new(
        builder: &Builder<'_>,
        dockerfile: &'d Dockerfile,
        options: &BuildOptions,
        platform: &Platform,
    ) -> Result<Self> {
        let options = options.clone().with_platform(platform.clone());
        let global = GlobalArgs::new(dockerfile, &options)?;
        let graph = BuildGraph::new(dockerfile, &global, &options, &builder.named, &|base, platform| {
            Ok(builder.base_image(base, platform)?.config().value().config.on_build.clone())
        })?;
        Ok(Self { options, global, graph })
    }

    /// What the file's ARG declare, and those that a stage has of what it starts from.
    pub(super) fn declarations(&self, dockerfile: &'d Dockerfile) -> impl Iterator<Item = &ArgDeclaration> {
        let triggered = self.graph.all_stages().flat_map(Stage::steps).filter(|step| step.triggered);
        let instructions = dockerfile.instructions().iter().chain(triggered.map(|step| step.instruction));
        instructions.flat_map(declared_by)
    }

    /// The values of the arguments that a stage declares, as far as they are the whole file's; `None` where that cannot be
    /// told.
    fn arguments<'s>(&'s self, stage: &'s Stage<'_>) -> Option<BTreeMap<&'s str, Option<&'s str>>> {
        let declarations = stage.steps().flat_map(|step| declared_by(step.instruction));
        let names = declarations.map(|declaration| declaration.name.value.as_str());
        names.map(|name| (!name.contains('$')).then(|| (name, self.global.env().get(name)))).collect()
    }
}

/// What an instruction declares, if it is an ARG.
fn declared_by(instruction: &Instruction) -> &[ArgDeclaration] {
    match &instruction.command {
        Command::Arg(declarations) => declarations,
        _ => &[],
    }
}

/// A stage for a platform, or for several that it is the same for.
#[derive(Debug)]
pub(super) struct Planned {
    /// The first platform that it is built for.
    pub(super) target: usize,
    /// The stage's number in the Dockerfile.
    pub(super) number: usize,
    /// The stages that it needs, by their numbers in the Dockerfile, and where they are in the plan.
    pub(super) needs: BTreeMap<usize, usize>,
    /// Where those are in the plan that are always built before it.
    pub(super) before: BTreeSet<usize>,
    /// Whether it is the same for several platforms.
    pub(super) is_shared: bool,
}

/// The stages that are to be built, each behind those that it needs, platform by platform.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) stages: Vec<Planned>,
    /// Where the image of each platform is.
    pub(super) results: Vec<usize>,
}

impl Plan {
    pub(super) fn new(targets: &[Target<'_>]) -> Self {
        let mut plan = Self::default();
        for (target, of) in targets.iter().enumerate() {
            let mut places = BTreeMap::new();
            for stage in of.graph.stages() {
                let needs = stage.dependencies().filter_map(|number| Some((number, *places.get(&number)?))).collect();
                let place = plan.place(targets, target, stage, needs);
                places.insert(stage.number, place);
            }
            plan.results.extend(of.graph.stages().last().and_then(|stage| places.get(&stage.number)));
        }
        plan
    }

    /// Where a stage of a platform is: where another platform has the same, or at the end.
    fn place(
        &mut self,
        targets: &[Target<'_>],
        target: usize,
        stage: &Stage<'_>,
        needs: BTreeMap<usize, usize>,
    ) -> usize {
        let is_same = |planned: &Planned| {
            planned.number == stage.number
                && planned.needs == needs
                && are_same(&targets[planned.target], &targets[target], stage)
        };
        if let Some(place) = self.stages.iter().position(is_same) {
            self.stages[place].is_shared = true;
            return place;
        }
        let mut before: BTreeSet<usize> = needs.values().copied().collect();
        before.extend(needs.values().flat_map(|place| &self.stages[*place].before));
        self.stages.push(Planned { target, number: stage.number, needs, before, is_shared: false });
        self.stages.len() - 1
    }

    /// What each stage needs.
    pub(super) fn needs(&self) -> Vec<BTreeSet<usize>> {
        self.stages.iter().map(|stage| stage.needs.values().copied().collect()).collect()
    }
}

/// Whether a stage is the same for two platforms if those that it needs are: it has the same platform and base, and sees
/// nothing of what it is built for.
fn are_same(one: &Target<'_>, other: &Target<'_>, stage: &Stage<'_>) -> bool {
    let Some(before) = one.graph.stage(stage.number) else { return false };
    let is_same_base = match (&before.base, &stage.base) {
        (Base::Scratch, Base::Scratch) => true,
        (Base::Stage(one), Base::Stage(other)) => one == other,
        (Base::Image(one), Base::Image(other)) => one == other,
        (Base::Named(one), Base::Named(other)) => one == other,
        _ => false,
    };
    let arguments = other.arguments(stage);
    before.platform == stage.platform
        && is_same_base
        && one.graph.is_in_result(stage.number) == other.graph.is_in_result(stage.number)
        && arguments.is_some()
        && arguments == one.arguments(before)
}
