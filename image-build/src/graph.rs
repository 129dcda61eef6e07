//! From a Dockerfile to the stages that a build needs, in an order in which they can be built.

mod order;

use std::str::FromStr;

use image_core::{Platform, Reference};

use crate::{
    args::GlobalArgs,
    dockerfile::{Command, Dockerfile, FromImage, Instruction, Span, Spanned},
    error::Result,
    expand::Expander,
    named::{NamedContext, NamedContexts},
    options::BuildOptions,
    run_mount,
};
use order::{order, target};

/// What a stage starts from.
#[derive(Debug, Clone)]
pub(crate) enum Base {
    /// Nothing.
    Scratch,
    /// An earlier stage, by its number.
    Stage(usize),
    /// An image from outside.
    Image(Reference),
    /// The image that the caller put in this name's place.
    Named(String),
    /// A directory that the caller put in the place of this stage: files are copied from it, and that is all.
    Directory(String),
}

impl Base {
    /// What an image is called, and a directory.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Image(reference) => reference.familiar(),
            Self::Named(name) | Self::Directory(name) => name.clone(),
            Self::Scratch | Self::Stage(_) => "scratch".into(),
        }
    }
}

/// Where `COPY --from` takes files from.
#[derive(Debug, Clone)]
pub(crate) enum CopyFrom {
    /// A stage, by its number.
    Stage(usize),
    /// A named context or an image.
    Name(String),
}

/// A FROM and the instructions up to the next.
#[derive(Debug)]
pub(crate) struct Stage<'d> {
    /// The stage's number in the Dockerfile, from 0.
    pub(crate) number: usize,
    /// The FROM.
    pub(crate) from: &'d Instruction,
    /// Its name, in lower case.
    name: Option<&'d str>,
    /// What it starts from.
    pub(crate) base: Base,
    /// The platform it is built for.
    pub(crate) platform: Platform,
    /// The ONBUILD triggers of what it starts from, each a file of its own.
    triggers: Vec<Dockerfile>,
    /// Where its own instructions stand.
    file: &'d Dockerfile,
    /// The instructions behind the FROM.
    own: &'d [Instruction],
    /// Where its COPY instructions take files from, in their order; `None` is the build context.
    pub(crate) copies: Vec<Option<CopyFrom>>,
    /// Where the mounts of its RUN instructions take files from, in their order; `None` is the build context, or nothing.
    pub(crate) mounts: Vec<Option<CopyFrom>>,
}

/// An instruction of a stage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'s> {
    /// Where it stands.
    pub(crate) file: &'s Dockerfile,
    pub(crate) instruction: &'s Instruction,
    /// Whether an ONBUILD of what the stage starts from has it.
    pub(crate) triggered: bool,
}

impl Stage<'_> {
    /// The instructions, triggers before the stage's own.
    ///
    /// # Spec
    /// Dockerfile reference, § ONBUILD.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Step<'_>> + Clone {
        let triggers = self.triggers.iter().filter_map(|file| {
            let instruction = file.instructions().first()?;
            Some(Step { file, instruction, triggered: true })
        });
        let own = self.own.iter().map(|instruction| Step { file: self.file, instruction, triggered: false });
        triggers.chain(own)
    }

    /// How many instructions there are, the FROM aside.
    pub(crate) fn len(&self) -> usize {
        self.triggers.len() + self.own.len()
    }

    /// What the stage is called in progress and errors: its name or its number.
    pub(crate) fn label(&self) -> String {
        self.name.map_or_else(|| self.number.to_string(), String::from)
    }

    /// The instruction that makes this stage need another: the first COPY or RUN with a mount from it, or else the FROM.
    fn reason_for(&self, dependency: usize) -> Step<'_> {
        let copies = self.steps().filter(|step| matches!(step.instruction.command, Command::Copy(_)));
        let mounts = self.steps().flat_map(|step| std::iter::repeat_n(step, mounts_of(step.instruction).len()));
        let mut from = copies.zip(&self.copies).chain(mounts.zip(&self.mounts));
        let is_from = |from: &Option<CopyFrom>| matches!(from, Some(CopyFrom::Stage(number)) if *number == dependency);
        let from_line = Step { file: self.file, instruction: self.from, triggered: false };
        from.find(|(_, from)| is_from(from)).map_or(from_line, |(step, _)| step)
    }

    /// The stages that it needs, by their numbers.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = usize> {
        let base = match self.base {
            Base::Stage(number) => Some(number),
            _ => None,
        };
        let copies = self.copies.iter().chain(&self.mounts).filter_map(|from| match from {
            Some(CopyFrom::Stage(number)) => Some(*number),
            _ => None,
        });
        base.into_iter().chain(copies)
    }
}

/// The stages that a build needs, each behind those that it needs; the last one is the result.
#[derive(Debug)]
pub(crate) struct BuildGraph<'d> {
    stages: Vec<Stage<'d>>,
    order: Vec<usize>,
}

impl<'d> BuildGraph<'d> {
    /// Finds the stages, what they start from and copy from, and drops those that the target does not need.
    /// `on_build` gives the triggers of an image, `named` what stands in the place of stages and images.
    pub(crate) fn new(
        dockerfile: &'d Dockerfile,
        global: &GlobalArgs,
        options: &BuildOptions,
        named: &NamedContexts<'_>,
        on_build: &dyn Fn(&Base, &Platform) -> Result<Vec<String>>,
    ) -> Result<Self> {
        let mut stages = Vec::new();
        let instructions = dockerfile.instructions();
        let starts: Vec<usize> = (0..instructions.len()).filter(|at| from_of(&instructions[*at]).is_some()).collect();
        for (number, start) in starts.iter().enumerate() {
            let end = starts.get(number + 1).copied().unwrap_or(instructions.len());
            let (from, steps) = (&instructions[*start], &instructions[start + 1..end]);
            let mut stage = stage(dockerfile, global, options, &stages, from, steps)?;
            replace(&mut stage, &stages, named)?;
            stages.push(stage);
        }
        for at in 0..stages.len() {
            (stages[at].copies, stages[at].mounts) = sources(&stages, &stages[at])?;
        }
        let target = target(dockerfile, &stages, options.target.as_deref())?;
        if let Base::Directory(name) = &stages[target].base {
            return Err(no_image(dockerfile, name, stages[target].from.span));
        }
        let mut looked = vec![false; stages.len()];
        // Triggers may need stages that nothing needed before.
        loop {
            let order = order(&stages, target)?;
            let Some(at) = order.iter().copied().find(|at| !looked[*at]) else { return Ok(Self { stages, order }) };
            looked[at] = true;
            stages[at].triggers = triggers(&stages, at, on_build)?;
            (stages[at].copies, stages[at].mounts) = sources(&stages, &stages[at])?;
        }
    }

    /// The stages, each behind those that it needs.
    pub(crate) fn stages(&self) -> impl Iterator<Item = &Stage<'d>> {
        self.order.iter().map(|at| &self.stages[*at])
    }

    /// The stage of a number, if it is needed.
    pub(crate) fn stage(&self, number: usize) -> Option<&Stage<'d>> {
        self.order.contains(&number).then(|| &self.stages[number])
    }

    /// Whether a stage's layers are part of the result: the target, and what it starts from.
    pub(crate) fn is_in_result(&self, number: usize) -> bool {
        let mut at = self.order.last().copied();
        while let Some(stage) = at {
            if stage == number {
                return true;
            }
            at = match self.stages[stage].base {
                Base::Stage(below) => Some(below),
                _ => None,
            };
        }
        false
    }

    /// The stages of the file, those that are not needed too.
    pub(crate) fn all_stages(&self) -> impl Iterator<Item = &Stage<'d>> {
        self.stages.iter()
    }

    /// What a stage is called.
    pub(crate) fn label_of(&self, number: usize) -> String {
        self.stages[number].label()
    }
}

fn from_of(instruction: &Instruction) -> Option<&FromImage> {
    match &instruction.command {
        Command::From(from) => Some(from),
        _ => None,
    }
}

fn stage<'d>(
    dockerfile: &'d Dockerfile,
    global: &GlobalArgs,
    options: &BuildOptions,
    before: &[Stage<'d>],
    instruction: &'d Instruction,
    steps: &'d [Instruction],
) -> Result<Stage<'d>> {
    let Some(from) = from_of(instruction) else {
        return Err(dockerfile.fault(instruction.span, "a stage begins with FROM"));
    };
    let mut expander = Expander::new(dockerfile, global.env()).for_from();
    let name = expander.word(&from.image)?;
    let platform = match &from.platform {
        None => options.platform.clone(),
        Some(word) => {
            let text = expander.word(word)?;
            Platform::from_str(&text).map_err(|e| dockerfile.fault(word.span, e.to_string()))?.normalised()
        }
    };
    if name.is_empty() {
        let reason = format!("the name of the base image is empty: {:?} has no value here", from.image.value);
        return Err(dockerfile.fault(from.image.span, reason));
    }
    let mut platform = platform;
    let base = if name == "scratch" {
        Base::Scratch
    } else if let Some(number) = find_by_name(before, &name) {
        // Its files are there already, whatever is asked for here.
        platform.clone_from(&before[number].platform);
        Base::Stage(number)
    } else {
        let reference = Reference::from_str(&name).map_err(|e| dockerfile.fault(from.image.span, e.to_string()))?;
        Base::Image(reference)
    };
    let name = from.alias.as_ref().map(Spanned::as_str);
    let (number, triggers, copies, mounts) = (before.len(), Vec::new(), Vec::new(), Vec::new());
    Ok(Stage {
        number,
        from: instruction,
        name,
        base,
        platform,
        triggers,
        file: dockerfile,
        own: steps,
        copies,
        mounts,
    })
}

/// Puts what the caller named in the place of a stage, or of the image that it starts from.
fn replace(stage: &mut Stage<'_>, before: &[Stage<'_>], named: &NamedContexts<'_>) -> Result<()> {
    let span = from_of(stage.from).map_or(stage.from.span, |from| from.image.span);
    let base = match &stage.base {
        Base::Image(reference) => Some(reference.to_string()),
        _ => None,
    };
    let own = stage.name.filter(|name| named.get(name).is_some());
    if own.is_some() {
        stage.own = &[];
    }
    let name = own.map(String::from).or(base);
    match name.as_deref().and_then(|name| named.get(name)) {
        None => {}
        Some(NamedContext::Image(..)) => stage.base = Base::Named(name.unwrap_or_default()),
        Some(NamedContext::Files(_)) if own.is_some() => stage.base = Base::Directory(name.unwrap_or_default()),
        Some(NamedContext::Files(_)) => return Err(no_image(stage.file, &stage.base.name(), span)),
    }
    match &stage.base {
        Base::Stage(number) => match &before[*number].base {
            Base::Directory(name) => Err(no_image(stage.file, name, span)),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn no_image(file: &Dockerfile, name: &str, span: Span) -> crate::Error {
    file.fault(span, format!("the build context {name} is a directory: FROM takes an image"))
}

/// What the ONBUILD instructions of an image, or of the stage below, ask for here. They go no further than to
/// what is built on it.
fn triggers(
    stages: &[Stage<'_>],
    at: usize,
    on_build: &dyn Fn(&Base, &Platform) -> Result<Vec<String>>,
) -> Result<Vec<Dockerfile>> {
    let stage = &stages[at];
    let (base, expressions) = match &stage.base {
        Base::Scratch | Base::Directory(_) => return Ok(Vec::new()),
        Base::Stage(number) => {
            let onbuild = |instruction: &Instruction| match &instruction.command {
                Command::Onbuild(onbuild) => Some(onbuild.expression.clone()),
                _ => None,
            };
            (stages[*number].label(), stages[*number].own.iter().filter_map(onbuild).collect())
        }
        Base::Image(_) | Base::Named(_) => {
            let expressions = on_build(&stage.base, &stage.platform);
            (stage.base.name(), expressions.map_err(|e| e.in_step(stage.file, stage.from))?)
        }
    };
    let place = stage.file.source().location(stage.from.span);
    let name = format!("{place} (ONBUILD of {base})");
    expressions.iter().map(|expression: &String| Dockerfile::parse_trigger(&name, expression)).collect()
}

/// The stage of a name; of several with one name, the last.
fn find_by_name(stages: &[Stage<'_>], name: &str) -> Option<usize> {
    stages.iter().rposition(|stage| stage.name.is_some_and(|own| own.eq_ignore_ascii_case(name)))
}

/// The mounts of an instruction.
fn mounts_of(instruction: &Instruction) -> &[Spanned<String>] {
    match &instruction.command {
        Command::Run(run) => &run.flags.mounts,
        _ => &[],
    }
}

/// Where each COPY and each mount of a stage takes files from; `None` where it names nothing.
type Sources = (Vec<Option<CopyFrom>>, Vec<Option<CopyFrom>>);

fn sources(stages: &[Stage<'_>], stage: &Stage<'_>) -> Result<Sources> {
    let (mut copies, mut mounts) = (Vec::new(), Vec::new());
    for Step { file, instruction, .. } in stage.steps() {
        if let Command::Copy(copy) = &instruction.command {
            let from = copy.flags.from.as_ref();
            copies.push(from.map(|from| source(stages, file, &from.value, from.span)).transpose()?);
        }
        for flag in mounts_of(instruction) {
            let from = run_mount::from_of(flag, file)?;
            mounts.push(from.map(|from| source(stages, file, &from, flag.span)).transpose()?);
        }
    }
    Ok((copies, mounts))
}

/// What the name or number of a stage, a context or an image means.
fn source(stages: &[Stage<'_>], file: &Dockerfile, from: &str, span: Span) -> Result<CopyFrom> {
    match from.parse::<usize>() {
        Ok(number) if number < stages.len() => Ok(of_stage(stages, number)),
        Ok(number) => {
            let reason = format!("there is no stage {number}: the file has stages 0 to {}", stages.len() - 1);
            Err(file.fault(span, reason))
        }
        Err(_) => match find_by_name(stages, from) {
            Some(number) => Ok(of_stage(stages, number)),
            None => Ok(CopyFrom::Name(from.to_owned())),
        },
    }
}

/// Where the files of a stage are.
fn of_stage(stages: &[Stage<'_>], number: usize) -> CopyFrom {
    match &stages[number].base {
        Base::Directory(name) => CopyFrom::Name(name.clone()),
        _ => CopyFrom::Stage(number),
    }
}
