//! Parser directives: `# escape=`, before everything else in the file.

use crate::error::Result;

use super::{line::Lines, lint::Checks, source::Source, span::Spanned};

/// A directive: `# name=value` at the top of a Dockerfile.
///
/// # Spec
/// Dockerfile reference, § Parser directives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Directive {
    /// `syntax`: the frontend that the file is written for.
    Syntax(Spanned<String>),
    /// `escape`: `\` or `` ` ``.
    Escape(Spanned<char>),
    /// `check`: which warnings to give.
    Check(Spanned<String>),
}

/// What the directives of a file say.
#[derive(Debug)]
pub(super) struct Directives {
    pub(super) list: Vec<Directive>,
    pub(super) escape: char,
    pub(super) checks: Checks,
}

/// Reads the directives.
///
/// The first line that is none ends them, be it blank, a comment or an unknown name. Behind a
/// `#!` line `escape` has no effect, though `syntax` and `check` have.
pub(super) fn directives(source: &Source) -> Result<Directives> {
    let mut directives = Directives { list: Vec::new(), escape: '\\', checks: Checks::default() };
    let mut lines = Lines::new(source.text()).peekable();
    let script = lines.next_if(|line| line.full.starts_with("#!")).is_some();
    for line in lines {
        let Some((name, value, start)) = name_and_value(line.text()) else { break };
        let span = source.span(line.start + start, line.start + start + value.len());
        let duplicate = |found| {
            let reason = format!("only one {} directive can be used", name.to_ascii_lowercase());
            if found {
                Err(source.fault(source.span(line.start, line.start + line.text().len()), reason))
            } else {
                Ok(())
            }
        };
        let text = Spanned::new(value.to_owned(), span);
        let list = &mut directives.list;
        match name.to_ascii_lowercase().as_str() {
            "syntax" => {
                duplicate(list.iter().any(|d| matches!(d, Directive::Syntax(_))))?;
                list.push(Directive::Syntax(text));
            }
            "check" => {
                duplicate(list.iter().any(|d| matches!(d, Directive::Check(_))))?;
                directives.checks = Checks::parse(&text, source)?;
                list.push(Directive::Check(text));
            }
            "escape" => {
                duplicate(list.iter().any(|d| matches!(d, Directive::Escape(_))))?;
                let escape = match value {
                    "\\" => '\\',
                    "`" => '`',
                    _ => return Err(source.fault(span, "the escape character is neither \\ nor `")),
                };
                if !script {
                    directives.escape = escape;
                    list.push(Directive::Escape(Spanned::new(escape, span)));
                }
            }
            _ => break,
        }
    }
    Ok(directives)
}

/// The name and the value of `# name = value`, and the offset of the value.
fn name_and_value(line: &str) -> Option<(&str, &str, usize)> {
    let (name, value) = line.trim_start().strip_prefix('#')?.trim_start().split_once('=')?;
    let (name, value) = (name.trim_end(), value.trim_start());
    let start = line.len() - value.len();
    let value = value.trim_end();
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
    (valid && !value.is_empty()).then_some((name, value, start))
}
