//! The modes of `--chmod`.

/// What `--chmod` makes of a mode.
#[derive(Debug)]
pub(crate) enum ModeChange {
    /// This mode, whatever it was.
    Octal(u32),
    /// These changes, one after the other.
    Symbolic(Vec<Change>),
}

/// One operator of a symbolic mode with what stands behind it, as `+x`.
#[derive(Debug)]
pub(crate) struct Change {
    /// The bits that may change.
    who: u32,
    operator: Operator,
    bits: u32,
    /// `X`: execution, where it is a directory or somebody may execute it.
    execute: bool,
    /// `u`, `g`, `o`: by how many bits the permissions that are copied stand to the left.
    copied: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Remove,
    Set,
}

impl ModeChange {
    /// An octal mode, or a symbolic one: `u=rwX,go=rX`. Nobody named is everybody; there is no umask.
    ///
    /// # Spec
    /// Dockerfile reference, § COPY --chown --chmod; POSIX, chmod, § Extended description.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let invalid =
            || format!("invalid mode {text:?}: give up to four octal digits, as 0755, or changes, as u=rwX,go=rX");
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
            return mode.map(Self::Octal).ok_or_else(invalid);
        }
        let mut changes = Vec::new();
        for clause in text.split(',') {
            clause_of(clause, &mut changes).ok_or_else(invalid)?;
        }
        Ok(Self::Symbolic(changes))
    }

    /// The mode, where it is octal.
    pub(crate) fn octal(&self) -> Option<u32> {
        match self {
            Self::Octal(mode) => Some(*mode),
            Self::Symbolic(_) => None,
        }
    }

    /// The mode that a file of this mode gets.
    pub(crate) fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            Self::Octal(mode) => *mode,
            Self::Symbolic(changes) => {
                let executable = is_directory || mode & 0o111 != 0;
                changes.iter().fold(mode, |mode, change| change.apply(mode, executable))
            }
        }
    }
}

impl Change {
    fn apply(&self, mode: u32, executable: bool) -> u32 {
        let copied = self.copied.iter().fold(0, |bits, shift| bits | (((mode >> shift) & 7) * 0o111));
        let execute = if self.execute && (executable || self.operator == Operator::Remove) { 0o111 } else { 0 };
        let bits = (self.bits | copied | execute) & self.who;
        match self.operator {
            Operator::Add => mode | bits,
            Operator::Remove => mode & !bits,
            // What is copied are permissions alone, so those of set-id stay.
            Operator::Set if !self.copied.is_empty() => (mode & !(self.who & 0o777)) | bits,
            Operator::Set => (mode & !(self.who & 0o6777)) | bits,
        }
    }
}

/// Reads `ug+rw-x`; `None` where it is malformed.
fn clause_of(text: &str, changes: &mut Vec<Change>) -> Option<()> {
    let mut rest = text.trim_start_matches(['a', 'u', 'g', 'o']);
    let named = text.strip_suffix(rest)?;
    let who = named.chars().fold(0, |who, c| {
        who | match c {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => 0o007,
            _ => 0o6777,
        }
    });
    let who = if named.is_empty() { 0o7777 } else { who };
    while !rest.is_empty() {
        let mut chars = rest.chars();
        let operator = match chars.next()? {
            '+' => Operator::Add,
            '-' => Operator::Remove,
            '=' => Operator::Set,
            _ => return None,
        };
        rest = chars.as_str();
        let mut change = Change { who, operator, bits: 0, execute: false, copied: Vec::new() };
        while let Some(c) = rest.chars().next().filter(|c| !matches!(c, '+' | '-' | '=')) {
            match c {
                'r' => change.bits |= 0o444,
                'w' => change.bits |= 0o222,
                'x' => change.bits |= 0o111,
                'X' => change.execute = true,
                's' => change.bits |= 0o6000,
                // Others alone have no sticky bit.
                't' if who & 0o770 != 0 => (change.bits, change.who) = (change.bits | 0o1000, change.who | 0o1000),
                't' => {}
                'u' => change.copied.push(6),
                'g' => change.copied.push(3),
                'o' => change.copied.push(0),
                _ => return None,
            }
            rest = rest.get(1..)?;
        }
        changes.push(change);
    }
    (text.len() > named.len()).then_some(())
}
