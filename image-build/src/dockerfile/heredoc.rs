//! Here-documents: `RUN <<EOF`, `COPY <<EOF /file`.

use std::borrow::Cow;

use super::span::Span;

/// A here-document of RUN, COPY or ADD.
///
/// # Spec
/// Dockerfile reference, § Here-Documents.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Heredoc {
    /// The delimiter without its quotes; for COPY and ADD it names the file.
    pub name: String,
    /// The file descriptor before `<<`, where one is written: `3<<EOF`.
    pub descriptor: Option<u32>,
    /// Whether variables in the body are expanded: no part of the delimiter is quoted.
    pub expand: bool,
    /// Whether leading tabs of each line do not count: `<<-`.
    pub strip_tabs: bool,
    /// The lines between, byte for byte, without the closing delimiter.
    pub content: String,
    /// Where the word with `<<` stands.
    pub span: Span,
    /// Where the content stands.
    pub content_span: Span,
    /// The closing line as written, without its line end.
    pub(crate) terminator: String,
}

impl Heredoc {
    /// The content, without leading tabs where `<<-` asks for that.
    #[must_use]
    pub fn body(&self) -> Cow<'_, str> {
        if self.strip_tabs && self.content.contains('\t') {
            Cow::Owned(self.content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect())
        } else {
            Cow::Borrowed(&self.content)
        }
    }
}
