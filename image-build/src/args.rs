//! The variables that ARG makes: those of the whole file, and those of a stage.

use image_core::{Ctx, Platform, Reference, observer::NoticeKind};

use crate::{
    dockerfile::{ArgDeclaration, Command, Dockerfile, Rule, Warning},
    env::Env,
    error::Result,
    expand::Expander,
    options::BuildOptions,
    suggest::nearest,
};

/// The arguments before the first FROM, and those of the platform.
#[derive(Debug)]
pub(crate) struct GlobalArgs {
    /// What FROM sees, and what a stage gets for an ARG that has no value of its own.
    env: Env,
}

impl GlobalArgs {
    /// Reads the arguments before the first FROM.
    ///
    /// # Spec
    /// Dockerfile reference, § Understand how ARG and FROM interact, and § Automatic platform ARGs
    /// in the global scope.
    pub(crate) fn new(dockerfile: &Dockerfile, options: &BuildOptions) -> Result<Self> {
        let mut env = platform_args(&options.platform);
        for (name, given) in &options.build_args {
            if env.knows(name) {
                env.set(name, given);
            }
        }
        for instruction in dockerfile.instructions() {
            let Command::Arg(declarations) = &instruction.command else { break };
            for declaration in declarations {
                let (name, value) = declared(dockerfile, declaration, &env, options)?;
                match value {
                    Some(value) => env.set(name, value),
                    None => env.declare(name),
                }
            }
        }
        Ok(Self { env })
    }

    /// What FROM sees.
    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// What an argument is that is declared in a stage which sees `env`: the value given by the caller, else the
    /// declaration's own, else that of the whole file.
    ///
    /// # Spec
    /// Dockerfile reference, § ARG, Scope.
    pub(crate) fn declared(
        &self,
        dockerfile: &Dockerfile,
        declaration: &ArgDeclaration,
        env: &Env,
        options: &BuildOptions,
    ) -> Result<(String, Option<String>)> {
        let (name, value) = declared(dockerfile, declaration, env, options)?;
        let value = value.or_else(|| self.env.get(&name).map(String::from));
        Ok((name, value))
    }
}

/// Warns of names of base images that are none unless the caller gives arguments.
pub(crate) fn warn_of_defaults(dockerfile: &Dockerfile, options: &BuildOptions) -> Vec<Warning> {
    let rule = Rule::InvalidDefaultArgInFrom;
    let without = BuildOptions { build_args: Default::default(), ..options.clone() };
    let Some(global) = GlobalArgs::new(dockerfile, &without).ok().filter(|_| dockerfile.checks().wants(rule)) else {
        return Vec::new();
    };
    let images = dockerfile.instructions().iter().filter_map(|instruction| match &instruction.command {
        Command::From(from) if from.image.value.contains('$') => Some(&from.image),
        _ => None,
    });
    let is_bad = |name: &str| name.parse::<Reference>().is_err();
    let bad =
        images.filter(|image| Expander::new(dockerfile, global.env()).word(image).is_ok_and(|name| is_bad(&name)));
    let warning = |image: &crate::dockerfile::Spanned<String>| {
        let message = format!("Default value for ARG {image} results in empty or invalid base image name");
        Warning { rule, message, span: image.span }
    };
    bad.map(warning).collect()
}

/// The variables that a command gets where the caller gives them, in capitals and not, though no ARG declares them.
///
/// # Spec
/// Dockerfile reference, § Predefined ARGs.
pub(crate) const PROXIES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/// Tells of arguments that the caller gives and no ARG declares.
pub(crate) fn warn_of_unused<'d>(
    options: &BuildOptions,
    declarations: impl Iterator<Item = &'d ArgDeclaration>,
    ctx: &Ctx,
) {
    let names: Vec<&str> = declarations.map(|declaration| declaration.name.value.as_str()).collect();
    // A name that is made of others may be any.
    if names.iter().any(|name| name.contains('$')) {
        return;
    }
    let platform = platform_args(&options.platform);
    let is_known =
        |name: &str| PROXIES.contains(&&*name.to_ascii_lowercase()) || platform.knows(name) || names.contains(&name);
    for name in options.build_args.keys().filter(|name| !is_known(name)) {
        let meant =
            nearest(name, names.iter().copied()).map(|meant| format!(", did you mean {meant}?")).unwrap_or_default();
        ctx.notice(
            NoticeKind::Warning,
            name,
            &format!("no ARG declares this build argument, which changes nothing{meant}"),
        );
    }
}

/// The name, and the value that the caller or the declaration gives. A default that does not count is
/// not expanded.
fn declared(
    dockerfile: &Dockerfile,
    declaration: &ArgDeclaration,
    env: &Env,
    options: &BuildOptions,
) -> Result<(String, Option<String>)> {
    let mut expander = Expander::new(dockerfile, env);
    let name = expander.word(&declaration.name)?;
    let value = match (options.build_args.get(&name), &declaration.default) {
        (Some(given), _) => Some(given.clone()),
        (None, Some(default)) => Some(expander.word(default)?),
        (None, None) => None,
    };
    Ok((name, value))
}

fn platform_args(target: &Platform) -> Env {
    let build = Platform::new("linux", Platform::of_target().architecture);
    let mut env = Env::default();
    for (prefix, platform) in [("TARGET", target), ("BUILD", &build)] {
        env.set(format!("{prefix}PLATFORM"), platform.to_string());
        env.set(format!("{prefix}OS"), &*platform.os);
        env.set(format!("{prefix}ARCH"), &*platform.architecture);
        env.set(format!("{prefix}VARIANT"), platform.variant.as_deref().unwrap_or_default());
    }
    env
}
