//! Parsing of Dockerfiles.
//!
//! The tables named after BuildKit state what its public test data
//! (moby/buildkit, frontend/dockerfile/parser and frontend/dockerfile/instructions) expects.

use std::time::Duration;

use image_build::{
    Error,
    dockerfile::{Command, CommandLine, Directive, Dockerfile, Healthcheck, Heredoc, Instruction, Rule, Spanned},
};
use proptest::prelude::*;
use test_support::thread_time;

fn parse(source: &str) -> Dockerfile {
    Dockerfile::parse(source).unwrap_or_else(|error| panic!("{source:?}: {error}"))
}

/// The instructions behind `FROM scratch`.
fn stage(source: &str) -> Vec<Instruction> {
    parse(&format!("FROM scratch\n{source}")).instructions()[1..].to_vec()
}

fn one(source: &str) -> Command {
    let mut instructions = stage(source);
    assert_eq!(instructions.len(), 1, "{source:?}");
    instructions.remove(0).command
}

fn error(source: impl AsRef<[u8]>) -> Error {
    Dockerfile::parse(source).unwrap_err()
}

fn words(words: &[Spanned<String>]) -> String {
    words.iter().map(|word| format!(" {:?}", word.value)).collect()
}

fn line(line: &CommandLine) -> String {
    match line {
        CommandLine::Shell(text) => format!(" shell {:?}", text.value),
        CommandLine::Exec(list) => format!(" exec{}", words(list)),
        _ => unreachable!(),
    }
}

/// A command on one line: its name, then its parts, quoted.
fn dump(command: &Command) -> String {
    let rest = match command {
        Command::Add(add) => words(&add.sources) + " ->" + &words(std::slice::from_ref(&add.destination)),
        Command::Copy(copy) => words(&copy.sources) + " ->" + &words(std::slice::from_ref(&copy.destination)),
        Command::Arg(list) => list
            .iter()
            .map(|arg| match &arg.default {
                Some(default) => format!(" {:?}={:?}", arg.name.value, default.value),
                None => format!(" {:?}", arg.name.value),
            })
            .collect(),
        Command::Cmd(command) | Command::Entrypoint(command) => line(command),
        Command::Run(run) => line(&run.command),
        Command::Env(env) | Command::Label(env) => {
            let sign = if env.legacy { ' ' } else { '=' };
            env.pairs.iter().map(|pair| format!(" {:?}{sign}{:?}", pair.key.value, pair.value.value)).collect()
        }
        Command::Expose(list) | Command::Shell(list) | Command::Volume(list) => words(list),
        Command::From(from) => {
            let alias = from.alias.as_ref().map(|alias| format!(" as {:?}", alias.value)).unwrap_or_default();
            let platform = from.platform.as_ref().map(|p| format!(" on {:?}", p.value)).unwrap_or_default();
            format!(" {:?}{alias}{platform}", from.image.value)
        }
        Command::Healthcheck(Healthcheck::None) => " none".into(),
        Command::Healthcheck(Healthcheck::Check(check)) => line(&check.command),
        Command::Maintainer(text) | Command::Stopsignal(text) | Command::User(text) | Command::Workdir(text) => {
            format!(" {:?}", text.value)
        }
        Command::Onbuild(onbuild) => format!(" ({})", dump(&onbuild.trigger.command)),
        _ => unreachable!(),
    };
    format!("{}{rest}", command.name().to_ascii_lowercase())
}

#[test]
fn reads_every_instruction() {
    for (source, expected) in [
        // testfiles/ADD-COPY-with-JSON
        ("COPY\t.\t/go/src", r#"copy "." -> "/go/src""#),
        ("ADD\t\tnull /", r#"add "null" -> "/""#),
        ("ADD\t\t[ \"vimrc\", \"/tmp\" ]", r#"add "vimrc" -> "/tmp""#),
        ("COPY\t[ \"test file\", \"/tmp\" ]", r#"copy "test file" -> "/tmp""#),
        ("COPY a b  c d/", r#"copy "a" "b" "c" -> "d/""#),
        // testfiles/args
        ("ARG foo bar=baz", r#"arg "foo" "bar"="baz""#),
        ("ARG abc=\"123 456\" def", r#"arg "abc"="\"123 456\"" "def""#),
        // testfiles/ADD-COPY-with-JSON, kartar-entrypoint-oddities
        ("LABEL\tmaintainer\tSome One <a@b.c>", r#"label "maintainer" "Some One <a@b.c>""#),
        ("LABEL maintainer James \"james@example.com\"", r#"label "maintainer" "James \"james@example.com\"""#),
        // testfiles/brimstone-docker-consul
        ("CMD []", "cmd exec"),
        ("EXPOSE 8500 8600 8400", r#"expose "8500" "8600" "8400""#),
        // testfiles/env
        ("ENV name value", r#"env "name" "value""#),
        ("ENV name=value", r#"env "name"="value""#),
        ("ENV name=value name2=value2", r#"env "name"="value" "name2"="value2""#),
        ("ENV name=\"value value1\"", r#"env "name"="\"value value1\"""#),
        ("ENV name=value\\ value2", r#"env "name"="value\\ value2""#),
        ("ENV name=\"value'quote space'value2\"", r#"env "name"="\"value'quote space'value2\"""#),
        ("ENV name='value\"double quote\"value2'", r#"env "name"="'value\"double quote\"value2'""#),
        (r"ENV name=value\ value2 name2=value2\ value3", r#"env "name"="value\\ value2" "name2"="value2\\ value3""#),
        (r#"ENV name="a\"b""#, r#"env "name"="\"a\\\"b\"""#),
        (r"ENV name='a\'b'", r#"env "name"="'a\\'b'""#),
        (r"ENV name='a\'b''", r#"env "name"="'a\\'b''""#),
        (
            "ENV name=value \\\n    name1=value1 \\\n    name2=\"value2a \\\n           value2b\" \\\n",
            r#"env "name"="value" "name1"="value1" "name2"="\"value2a            value2b\"""#,
        ),
        ("ENV SCUBA 1 DUBA 3", r#"env "SCUBA" "1 DUBA 3""#),
        ("ENV a=b=c", r#"env "a"="b=c""#),
        // testfiles/escapes
        (r#"LABEL maintainer Erik \\H <e@h.org>\""#, r#"label "maintainer" "Erik \\\\H <e@h.org>\\\"""#),
        (r#"ADD \conf\\" /.znc"#, r#"add "\\conf\\\\\"" -> "/.znc""#),
        (r#"CMD [ "\/usr\\\"/bin/znc", "-f", "-r" ]"#, r#"cmd exec "/usr\\\"/bin/znc" "-f" "-r""#),
        // testfiles/health
        (
            "HEALTHCHECK --interval=5s --retries=3 \\\n  CMD /app/check.sh --quiet",
            r#"healthcheck shell "/app/check.sh --quiet""#,
        ),
        ("HEALTHCHECK   CMD   a b", r#"healthcheck shell "a b""#),
        ("HEALTHCHECK --timeout=3s CMD [\"foo\"]", r#"healthcheck exec "foo""#),
        ("healthcheck none", "healthcheck none"),
        // testfiles/jeztah-*
        (r#"CMD "[\"echo\"]""#, r#"cmd shell "\"[\\\"echo\\\"]\"""#),
        ("CMD ['echo','single quotes']", r#"cmd shell "['echo','single quotes']""#),
        ("CMD [\"echo\", \"open\"", r#"cmd shell "[\"echo\", \"open\"""#),
        ("CMD [\"echo\", \"look ma, no quote!]", r#"cmd shell "[\"echo\", \"look ma, no quote!]""#),
        // testfiles/json
        ("CMD [\"\"]", r#"cmd exec """#),
        ("CMD\t[\t\"a\",\t\"b\"\t]\t", r#"cmd exec "a" "b""#),
        (
            "CMD [\"abc 123\", \"♥\", \"☃\", \"\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u0000\"]",
            "cmd exec \"abc 123\" \"♥\" \"☃\" \"\\\" \\\\ / \\u{8} \\u{c} \\n \\r \\t \\0\"",
        ),
        (r#"CMD ["\ud83d\ude00", "\ud83d", "\ude00x"]"#, "cmd exec \"😀\" \"\u{fffd}\" \"\u{fffd}x\""),
        (r#"CMD ["a",]"#, r#"cmd shell "[\"a\",]""#),
        (r#"CMD ["a"] b"#, r#"cmd shell "[\"a\"] b""#),
        (r#"CMD ["\x"]"#, r#"cmd shell "[\"\\x\"]""#),
        // testfiles/lk4d4-the-edge-case-generator
        ("ONBUILD RUN [\"echo\", \"test\"]", r#"onbuild (run exec "echo" "test")"#),
        ("ONBUILD COPY . /", r#"onbuild (copy "." -> "/")"#),
        ("RUN [\"echo\", \"'1234'\"]", r#"run exec "echo" "'1234'""#),
        ("USER docker:root", r#"user "docker:root""#),
        ("VOLUME [\"/test\", \"/test2\"]", r#"volume "/test" "/test2""#),
        ("VOLUME /test3 /x", r#"volume "/test3" "/x""#),
        ("WORKDIR /with a blank ", r#"workdir "/with a blank""#),
        ("STOPSIGNAL SIGKILL", r#"stopsignal "SIGKILL""#),
        ("SHELL [\"/bin/bash\", \"-c\"]", r#"shell "/bin/bash" "-c""#),
        ("MAINTAINER a b", r#"maintainer "a b""#),
        ("FROM  image AS Build", r#"from "image" as "build""#),
        ("from --platform=$BUILDPLATFORM image as x", r#"from "image" as "x" on "$BUILDPLATFORM""#),
        // testfiles/brimstone-consuldock, cpuguy83-nagios, influxdb, mail, mumble, nginx, tf2, weechat
        ("ENV GOPATH \\\n/go", r#"env "GOPATH" "/go""#),
        ("RUN a \\\n\t&& b \\\n\n    && c", r#"run shell "a \t&& b     && c""#),
        ("CMD [\"/usr/local/bin/start_nagios\"]", r#"cmd exec "/usr/local/bin/start_nagios""#),
        ("ADD ./etc/ /etc", r#"add "./etc/" -> "/etc""#),
        ("EXPOSE 64738/udp 64738", r#"expose "64738/udp" "64738""#),
        ("ENTRYPOINT [\"/d\", \"-f\", \"\"]", r#"entrypoint exec "/d" "-f" """#),
        ("RUN sed -i 's/a/b/' \\\n  && echo \"c\" > /f", r#"run shell "sed -i 's/a/b/'   && echo \"c\" > /f""#),
        // testfiles/multiple-volumes, trailing-backslash
        ("VOLUME /var/lib/mysql \\\n /var/log", r#"volume "/var/lib/mysql" "/var/log""#),
        ("COPY . C:\\\nRUN x", r#"copy "." "C:RUN" -> "x""#),
        // An empty line for the shell is one.
        ("RUN", r#"run shell """#),
        ("CMD", r#"cmd shell """#),
        ("ENTRYPOINT", r#"entrypoint shell """#),
    ] {
        assert_eq!(dump(&one(source)), expected, "{source:?}");
    }
}

#[test]
fn joins_continued_lines() {
    for (source, expected) in [
        // testfiles/docker, mumble, tf2: tabs stay, and a comment between is gone.
        ("RUN\ta && b \\\n\tc \\\n\td", "RUN\ta && b \tc \td"),
        ("ENV\tCROSS\t\\\n\tlinux/386 \\\n\tdarwin/386", "ENV\tCROSS\t\tlinux/386 \tdarwin/386"),
        // testfiles/continueIndent
        (
            "RUN echo hello\\\n  world\\\n  goodnight  \\\n  moon\\\n  light\\\nning",
            "RUN echo hello  world  goodnight    moon  lightning",
        ),
        ("RUN echo hello  \\\nworld", "RUN echo hello  world"),
        ("RUN echo hello  \\  \nworld", "RUN echo hello  world"),
        ("RUN echo hi \\\n \\\n world \\\n\\\n good\\\n\\\nnight", "RUN echo hi   world  goodnight"),
        ("RUN echo hello \\\n# a comment\n\n  # another\n\nthis is useful", "RUN echo hello this is useful"),
        // testfiles/continue-at-eof, escapes
        ("RUN something \\", "RUN something"),
        ("RUN foo \\\n\nbar \\\n\nbaz", "RUN foo bar baz"),
        // A doubled escape character continues nothing.
        ("RUN a \\\\\nRUN b", "RUN a \\\\|RUN b"),
        ("RUN a \\\r\n  b\r\nRUN c\r\n", "RUN a   b|RUN c"),
        ("R\\\nUN a", "RUN a"),
        ("\\\nRUN a", "RUN a"),
        ("   RUN a   ", "RUN a"),
        ("RUN a # no comment", "RUN a # no comment"),
        ("# RUN a \\\nRUN b", "RUN b"),
    ] {
        let texts: Vec<_> = stage(source).into_iter().map(|instruction| instruction.text).collect();
        assert_eq!(texts.join("|"), expected, "{source:?}");
    }
}

#[test]
fn directives_stand_at_the_top() {
    let escape = |source: &str| parse(source).escape();
    // testfiles/escape, escape-with-syntax, escape-nonewline, escape-after-comment; directives_test
    assert_eq!(escape("#escape = `\n\nFROM image\nENV GOPATH `\n\\go"), '`');
    assert_eq!(escape("# syntax = docker/dockerfile\n# escape = `\n\nFROM `\n    image\n"), '`');
    assert_eq!(escape("# EScape=`\nFROM image"), '`');
    assert_eq!(escape("# Comment\n# escape = `\nFROM image"), '\\');
    assert_eq!(escape("# key = FOO bar\n# escape=`\nFROM image"), '\\');
    assert_eq!(escape("\n# escape=`\nFROM image"), '\\');
    assert_eq!(escape("FROM image\n# escape=`\n"), '\\');
    assert_eq!(escape("#!/bin/sh\n# escape=`\nFROM image"), '\\');
    assert_eq!(escape("\u{feff}# escape=`\nFROM image"), '`');
    let file = parse("#!/bin/sh\n#  syntax =  docker/dockerfile:1 // opts \n# check=skip=all\nFROM image");
    let [Directive::Syntax(syntax), Directive::Check(check)] = file.directives() else { panic!("{file:?}") };
    assert_eq!(syntax.as_str(), "docker/dockerfile:1 // opts");
    assert_eq!((syntax.span.line, syntax.span.column), (2, 14));
    assert_eq!(check.as_str(), "skip=all");
    assert_eq!(dump(&parse("# escape=`\nFROM a`\nb\n").instructions()[0].command), r#"from "ab""#);
}

#[test]
fn flags_come_first() {
    // testfiles/flags
    let Command::Copy(copy) = one("COPY --chown=me --link --exclude=a --exclude=\"b c\" -- foo /tmp/") else {
        panic!()
    };
    assert_eq!(copy.flags.chown.unwrap().value, "me");
    assert!(copy.flags.link.unwrap().value);
    assert_eq!(copy.flags.exclude.iter().map(Spanned::as_str).collect::<Vec<_>>(), ["a", "b c"]);
    assert_eq!(copy.sources[0].value, "foo");
    let Command::Copy(copy) = one("COPY --link=False --from=0 --chmod= a b") else { panic!() };
    assert!(!copy.flags.link.unwrap().value);
    assert_eq!(copy.flags.from.unwrap().value, "0");
    assert_eq!(copy.flags.chmod, None);
    let Command::Add(add) = one("ADD --checksum=sha256:a --unpack --keep-git-dir=true a b") else { panic!() };
    assert_eq!(add.flags.checksum.unwrap().value, "sha256:a");
    assert!(add.flags.unpack.unwrap().value && add.flags.keep_git_dir.unwrap().value);
    let Command::Run(run) =
        one("RUN --mount=type=cache,target=/a --mount=type=tmpfs,target=/b --network=none make --jobs")
    else {
        panic!()
    };
    assert_eq!(run.flags.mounts.len(), 2);
    assert_eq!(run.flags.network.unwrap().value, "none");
    assert_eq!(run.command, CommandLine::Shell(Spanned::new("make --jobs".into(), Default::default())));
    assert_eq!(dump(&one("CMD -- --help")), r#"cmd shell "--help""#);
    assert_eq!(dump(&one("CMD -- [\"a\"]")), r#"cmd exec "a""#);
}

#[test]
fn healthcheck_options_are_read() {
    let source =
        "HEALTHCHECK --start-period=0s --start-interval=1m1.5s --interval=1h --timeout=250ms --retries=7 CMD x";
    let Command::Healthcheck(Healthcheck::Check(check)) = one(source) else { panic!() };
    assert_eq!(check.start_period, Some(Duration::ZERO));
    assert_eq!(check.start_interval, Some(Duration::from_millis(61_500)));
    assert_eq!(check.interval, Some(Duration::from_secs(3600)));
    assert_eq!(check.timeout, Some(Duration::from_millis(250)));
    assert_eq!(check.retries, Some(7));
    for value in ["1", "s", "-1s", "50ns", "1x", "1s2", ".s", "", "9999999999h", "1 s"] {
        let error = Dockerfile::parse(format!("FROM a\nHEALTHCHECK --interval=\"{value}\" CMD x"));
        assert_eq!(error.is_err(), !value.is_empty(), "{value:?}");
    }
}

#[test]
fn heredocs_of_buildkits_table() {
    // parser_heredoc_test.go
    for (source, name, content, expand, strip_tabs, descriptor) in [
        ("RUN <<EMPTY\nEMPTY", "EMPTY", "", true, false, None),
        ("RUN 3<<EMPTY2\nEMPTY2", "EMPTY2", "", true, false, Some(3)),
        ("RUN <<INDENT\n\tfoo\n\tbar\nINDENT", "INDENT", "\tfoo\n\tbar\n", true, false, None),
        ("RUN <<-UNINDENT\n\tbaz\nUNINDENT", "UNINDENT", "\tbaz\n", true, true, None),
        ("RUN <<-UNINDENT2\n\tbaz\n\tUNINDENT2", "UNINDENT2", "\tbaz\n", true, true, None),
        ("RUN <<-'NOEXPAND'\n\tdon't $NAME\nNOEXPAND", "NOEXPAND", "\tdon't $NAME\n", false, true, None),
        ("RUN <<COMMENT\n# internal\necho\nCOMMENT", "COMMENT", "# internal\necho\n", true, false, None),
        ("RUN --mount=type=cache,target=/foo <<MOUNT\necho\nMOUNT", "MOUNT", "echo\n", true, false, None),
        ("RUN <<COMPLEX python3\nprint('x')\nCOMPLEX", "COMPLEX", "print('x')\n", true, false, None),
        ("COPY <<file.txt /dest\nhello\nfile.txt", "file.txt", "hello\n", true, false, None),
        ("RUN <<eo'f'\necho\neof", "eof", "echo\n", false, false, None),
        ("RUN <<eo\\'f\necho\neo'f", "eo'f", "echo\n", true, false, None),
        ("RUN <<'e'o\\'f\necho\neo'f", "eo'f", "echo\n", false, false, None),
        ("RUN <<'one two'\necho bar\none two", "one two", "echo bar\n", false, false, None),
        ("RUN <<$EOF\n$EOF", "$EOF", "", true, false, None),
        ("RUN <<  EOF\nEOF", "EOF", "", true, false, None),
        ("RUN <<  EOF  > foo\nEOF", "EOF", "", true, false, None),
        ("RUN << -EOF\n-EOF", "-EOF", "", true, false, None),
        ("RUN <<\"EOF\"\nEOF", "EOF", "", false, false, None),
        ("ONBUILD RUN <<EOF\nx\nEOF", "EOF", "x\n", true, false, None),
        // Line ends and lines that look like others belong to the content.
        ("RUN <<EOF\r\na \\\r\n# b\r\n\r\nEOF\r\n", "EOF", "a \\\r\n# b\r\n\r\n", true, false, None),
    ] {
        let instructions = stage(source);
        let [Heredoc { name: n, content: c, expand: e, strip_tabs: s, descriptor: d, .. }] = instructions[0].heredocs()
        else {
            panic!("{source:?}: {instructions:?}")
        };
        assert_eq!((n.as_str(), c.as_str(), *e, *s, *d), (name, content, expand, strip_tabs, descriptor), "{source:?}");
        assert_eq!(instructions.len(), 1, "{source:?}");
    }
    for source in [
        "RUN \"<<NOHEREDOC\"",
        "RUN '<<EOF'",
        "RUN [\"<<EOF\"]",
        "RUN ls",
        "RUN <<",
        "RUN cat <<<EOF",
        "RUN x<<EOF",
        "USER <<INVALID",
        "COPY [\"<<EOF\", \"/x\"]",
    ] {
        assert_eq!(stage(source)[0].heredocs(), [], "{source:?}");
    }
}

#[test]
fn heredocs_follow_one_another() {
    let Command::Copy(copy) = one("COPY a <<FILE1 b <<X /dest\ncontent 1\nX\nFILE1\nX\n") else { panic!() };
    assert_eq!(copy.sources.iter().map(Spanned::as_str).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(copy.destination.value, "/dest");
    let bodies: Vec<_> = copy.heredocs.iter().map(|h| (h.name.as_str(), h.body().into_owned())).collect();
    assert_eq!(bodies, [("FILE1", "content 1\nX\n".to_owned()), ("X", String::new())]);
    let Command::Run(run) = one("RUN <<-A cat 3<<B\n\t\ta\n\tb\t\n\tA\n\tB\nB") else { panic!() };
    assert_eq!(run.heredocs[0].body(), "a\nb\t\n");
    assert_eq!(run.heredocs[1].body(), "\tB\n");
    assert_eq!(run.heredocs[1].descriptor, Some(3));
    let Command::Onbuild(onbuild) = one("ONBUILD COPY <<A <<B /\n1\nA\n2\nB") else { panic!() };
    assert_eq!(onbuild.expression, "COPY <<A <<B /\n1\nA\n2\nB");
    let trigger = Dockerfile::parse_trigger("trigger", &onbuild.expression).unwrap();
    assert_eq!(trigger.instructions(), [*onbuild.trigger]);
}

#[test]
fn errors_name_the_place_and_what_was_meant() {
    for (source, expected) in [
        ("COPY --form=build /a /b", "2:6: unknown flag --form for COPY (did you mean --from?)"),
        (
            "COPY --recursive a b",
            "2:6: unknown flag --recursive for COPY, which has --from, --chown, --chmod, --link, --parents, --exclude",
        ),
        ("COPY --from=a --from=b a b", "2:15: flag --from is given twice"),
        ("COPY --from a b", "2:6: flag --from needs a value"),
        ("COPY --link=maybe a b", "2:6: flag --link is either true or false, not \"maybe\""),
        (
            "ADD --parents a b",
            "2:5: unknown flag --parents for ADD, which has --chown, --chmod, --link, --checksum, --keep-git-dir, --unpack, --exclude",
        ),
        ("CMD --help", "2:5: unknown flag --help for CMD, which has none"),
        ("MAINTAINER --boo joe@example.com", "2:12: unknown flag --boo for MAINTAINER, which has none"),
        (
            "RUN --network=hots x",
            "2:15: invalid value \"hots\" for --network: it is default or host or none (did you mean host?)",
        ),
        ("FROM --platfrom=x y", "2:6: unknown flag --platfrom for FROM (did you mean --platform?)"),
        ("COYP a b", "2:1: unknown instruction COYP (did you mean COPY?)"),
        ("  form x", "2:3: unknown instruction form (did you mean from?)"),
        ("FOO bar", "2:1: unknown instruction FOO"),
        ("COPY a", "2:1: COPY requires at least two arguments, a source and a destination"),
        ("COPY", "2:1: COPY requires at least two arguments, a source and a destination"),
        ("ADD [\"a\"]", "2:1: ADD requires at least two arguments, a source and a destination"),
        ("COPY a <<EOF\nEOF", "2:8: the destination of COPY cannot be a here-document"),
        ("COPY << EOF /a\nEOF", "2:6: the delimiter of a here-document of COPY cannot hold blanks"),
        ("COPY <<../x /a\n../x", "2:6: the delimiter of a here-document of COPY cannot be a path"),
        ("ADD <<A <<.. /a\nA\n..", "2:9: the delimiter of a here-document of ADD cannot be a path"),
        ("WORKDIR", "2:1: WORKDIR requires exactly one argument"),
        ("USER ", "2:1: USER requires exactly one argument"),
        ("STOPSIGNAL", "2:1: STOPSIGNAL requires exactly one argument"),
        ("ENV", "2:1: ENV requires at least one argument"),
        ("ENV foo", "2:5: ENV requires a value: ENV key=value"),
        ("ENV a=b c", "2:9: no = in \"c\": ENV takes key=value"),
        ("LABEL =x", "2:7: the names of LABEL cannot be empty"),
        ("ARG =x", "2:5: an ARG cannot have an empty name"),
        ("EXPOSE", "2:1: EXPOSE requires at least one argument"),
        ("VOLUME []", "2:1: VOLUME requires at least one argument"),
        ("VOLUME [\" \"]", "2:9: the path of a volume cannot be empty"),
        ("SHELL bash -c", "2:7: SHELL requires a JSON array of strings"),
        ("SHELL []", "2:7: SHELL requires at least one argument"),
        ("RUN [\"a\", 42, \"b\"]", "2:11: the elements of a JSON array must be strings"),
        // json_test.go, testfiles-negative
        ("RUN [\"a\",123.456,\"b\"]", "2:10: the elements of a JSON array must be strings"),
        ("RUN [\"a\",{},\"b\"]", "2:10: the elements of a JSON array must be strings"),
        ("RUN [\"a\",[\"c\"],\"b\"]", "2:10: the elements of a JSON array must be strings"),
        ("RUN [\"a\",true,\"b\"]", "2:10: the elements of a JSON array must be strings"),
        ("RUN [\"a\",false,\"b\"]", "2:10: the elements of a JSON array must be strings"),
        ("RUN [\"a\",null,\"b\"]", "2:10: the elements of a JSON array must be strings"),
        ("CMD [ \"echo\", [ \"nested json\" ] ]", "2:15: the elements of a JSON array must be strings"),
        ("ENV PATH", "2:5: ENV requires a value: ENV key=value"),
        ("RUN [\"a\", {\"b\": [\"c\"]}]", "2:11: the elements of a JSON array must be strings"),
        ("ONBUILD", "2:1: ONBUILD requires at least one argument"),
        ("ONBUILD ONBUILD RUN x", "2:9: ONBUILD cannot trigger ONBUILD"),
        ("ONBUILD FROM x", "2:9: ONBUILD cannot trigger FROM"),
        ("ONBUILD COPY --chwon=1 a b", "2:14: unknown flag --chwon for COPY (did you mean --chown?)"),
        ("FROM a b", "2:8: FROM takes one image, or an image, AS and a name"),
        ("FROM a AS", "2:8: FROM takes one image, or an image, AS and a name"),
        ("FROM", "2:1: FROM requires the name of an image"),
        (
            "FROM a AS 1x",
            "2:11: invalid name \"1x\" of a stage: it begins with a letter and holds letters, digits, '-', '_' and '.'",
        ),
        ("HEALTHCHECK", "2:1: HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK CMD", "2:13: HEALTHCHECK CMD requires a command"),
        ("HEALTHCHECK CMD []", "2:13: HEALTHCHECK CMD requires a command"),
        ("HEALTHCHECK NONE x", "2:18: HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK CONNECT TCP 7000", "2:13: unknown kind \"CONNECT\" of HEALTHCHECK: it is CMD or NONE"),
        (
            "HEALTHCHECK --interval=50ns CMD x",
            "2:24: invalid value \"50ns\" for --interval: a duration cannot be less than 1ms",
        ),
        ("HEALTHCHECK --retries=-1 CMD x", "2:23: invalid value \"-1\" for --retries: not a number from 0"),
        ("RUN \\\n  <<EOF\nx", "3:3: here-document is not closed: no line is EOF"),
        ("RUN cat <<EOF | wc\nx\nEOF \n", "2:9: here-document is not closed: no line is EOF"),
        ("\\", "2:1: a continued line without an instruction"),
        ("COPY \\\n  # comment\n  --chwon=1 a b", "4:3: unknown flag --chwon for COPY (did you mean --chown?)"),
        ("\u{1b}[31mRED", "2:1: unknown instruction \\u{1b}[31mRED"),
    ] {
        assert_eq!(
            error(format!("FROM scratch\n{source}")).to_string(),
            format!("Dockerfile:{expected}"),
            "{source:?}"
        );
    }
    for (source, expected) in [
        ("", "1:1: no instruction in the file"),
        ("# comment\n\n", "1:10: no instruction in the file"),
        ("ARG a=1\n", "1:8: no FROM in the file"),
        ("ARG a\nRUN x\nFROM y", "2:1: RUN stands before the first FROM"),
        ("# escape=x\nFROM a", "1:10: the escape character is neither \\ nor `"),
        ("# escape=`\n# Escape=`\nFROM a", "2:1: only one escape directive can be used"),
        ("# check=skpi=all\nFROM a", "1:9: invalid check option \"skpi=all\""),
    ] {
        assert_eq!(error(source).to_string(), format!("Dockerfile:{expected}"), "{source:?}");
    }
    assert_eq!(error(b"FROM a\nRUN \xff").to_string(), "Dockerfile:2:5: the file is not UTF-8 from here");
    assert_eq!(error("FROM a\nRUN \0").to_string(), "Dockerfile:2:5: the file holds a NUL byte");
}

#[test]
fn an_error_is_shown_below_its_line() {
    let rendered = |source: &str| Dockerfile::parse_named("app/Dockerfile", source).unwrap_err().render();
    assert_eq!(
        rendered("FROM a\n\nCOPY --form=build /a /b\n"),
        "app/Dockerfile:3:6: unknown flag --form for COPY (did you mean --from?)\n  |\n3 | COPY --form=build /a /b\n  |      ^^^^^^"
    );
    // Tabs keep the caret in place; characters count, not bytes.
    assert_eq!(
        rendered("FROM a\nLABEL\tä=ö ü"),
        "app/Dockerfile:2:11: no = in \"ü\": LABEL takes key=value\n  |\n2 | LABEL\tä=ö ü\n  |      \t    ^"
    );
    // Control characters do not reach the terminal, and a long line is cut.
    assert!(rendered("FROM a\n\u{1b}[2J").contains("2 | \u{fffd}[2J"));
    let long = rendered(&format!("FROM a\nENV a={} b", "x".repeat(1 << 19)));
    assert!(long.len() < 500, "{long}");
    assert!(long.lines().last().unwrap().ends_with(" ^"), "{long}");
}

#[test]
fn spans_survive_continuations_and_byte_order_marks() {
    let source = "\u{feff}FROM a AS b\r\nCOPY --from=b \\\r\n  # why\r\n  x\\\r\ny \\\r\n  /dst\r\n";
    let file = parse(source);
    let Command::From(from) = &file.instructions()[0].command else { panic!() };
    assert_eq!((from.image.span.line, from.image.span.column), (1, 6));
    assert_eq!(file.original(from.alias.as_ref().unwrap().span), "b");
    let copy = &file.instructions()[1];
    assert_eq!((copy.span.line, copy.span.column), (2, 1));
    assert_eq!(file.original(copy.span), "COPY --from=b \\\r\n  # why\r\n  x\\\r\ny \\\r\n  /dst");
    let Command::Copy(copy) = &copy.command else { panic!() };
    assert_eq!(file.original(copy.flags.from.as_ref().unwrap().span), "b");
    assert_eq!(copy.sources[0].value, "xy");
    assert_eq!(file.original(copy.sources[0].span), "x\\\r\ny");
    assert_eq!((copy.sources[0].span.line, copy.sources[0].span.column), (4, 3));
    assert_eq!((copy.destination.span.line, copy.destination.span.column), (6, 3));
    let file = parse("FROM a\nRUN [\"x\", \"y\"]\nRUN <<A\nb\nA\n");
    let Command::Run(run) = &file.instructions()[1].command else { panic!() };
    let CommandLine::Exec(words) = &run.command else { panic!() };
    assert_eq!(file.original(words[1].span), "\"y\"");
    let run = &file.instructions()[2];
    assert_eq!(file.original(run.span), "RUN <<A\nb\nA");
    assert_eq!(file.original(run.heredocs()[0].content_span), "b\n");
    assert_eq!(run.heredocs()[0].content_span.line, 4);
}

#[test]
fn warnings_are_those_of_build_checks() {
    let warnings = |source: &str| {
        let file = parse(source);
        file.warnings().iter().map(|w| format!("{}:{}", w.span.line, w.rule)).collect::<Vec<_>>().join(" ")
    };
    for (source, expected) in [
        ("FROM a\nRUN x\n", ""),
        ("FROM a\nRUN x \\\n\n  y", "3:NoEmptyContinuation"),
        ("FROM a\nENV a b\nLABEL c d", "2:LegacyKeyValueFormat 3:LegacyKeyValueFormat"),
        ("FROM a as b", "1:FromAsCasing"),
        ("from a as b", ""),
        ("from a AS b", "1:FromAsCasing"),
        ("FROM a AS B", "1:StageNameCasing"),
        ("FROM a AS b\nFROM c AS B", "2:DuplicateStageName 2:StageNameCasing"),
        ("FROM a AS scratch", "1:ReservedStageName"),
        ("FROM a\nrun x\nRUN y\nUser z", "2:ConsistentInstructionCasing 4:ConsistentInstructionCasing"),
        ("from a\nRUN x\nuser z", "2:ConsistentInstructionCasing"),
        ("FROM a\nMAINTAINER me", "2:MaintainerDeprecated"),
        ("FROM a\nCMD x\nENTRYPOINT y", "2:JSONArgsRecommended 3:JSONArgsRecommended"),
        ("FROM a\nSHELL [\"sh\"]\nCMD x", ""),
        ("FROM a\nCMD [\"x\"]\nCMD [\"y\"]\nFROM b\nCMD [\"z\"]", "2:MultipleInstructionsDisallowed"),
        ("FROM a\nHEALTHCHECK NONE\nHEALTHCHECK NONE", "2:MultipleInstructionsDisallowed"),
        (
            "FROM a\nENV GITHUB_TOKEN=x PUBLIC_KEY=y MONKEY=z\nARG api_key",
            "2:SecretsUsedInArgOrEnv 3:SecretsUsedInArgOrEnv",
        ),
        ("FROM --platform=linux/amd64 a", "1:FromPlatformFlagConstDisallowed"),
        ("FROM --platform=$BUILDPLATFORM a", ""),
        ("FROM a\nEXPOSE 80/TCP 127.0.0.1:80:80", "2:ExposeProtoCasing 2:ExposeInvalidFormat"),
        ("# check=skip=MaintainerDeprecated, legacykeyvalueformat;error=true\nFROM a\nENV a b\nMAINTAINER me", ""),
        (
            "FROM a AS b\nWORKDIR x\nWORKDIR y\nFROM B\nWORKDIR z\nFROM c\nWORKDIR z",
            "2:WorkdirRelativePath 7:WorkdirRelativePath",
        ),
        ("FROM a\nWORKDIR \"/x\"\nWORKDIR y\nFROM b\nWORKDIR $x", ""),
        ("# check=skip=all\nFROM a\nENV a b", ""),
        (
            "FROM --platform=$TARGETPLATFORM a\nFROM --platform=${TARGETPLATFORM} b",
            "1:RedundantTargetPlatform 2:RedundantTargetPlatform",
        ),
        ("FROM --platform=$TARGETPLATFORM$X a", ""),
        ("# other words\nARG A=1\n# more\nFROM a AS b", ""),
        (
            "# check=experimental=all\n\n# words\nARG A=1\n# B is described\nARG B\n# x\n\nFROM a AS b\n# C\nARG C D\n# E\nARG F G",
            "4:InvalidDefinitionDescription 13:InvalidDefinitionDescription",
        ),
        (
            "# check=experimental=InvalidDefinitionDescription\n\n# the base\nFROM a AS b",
            "4:InvalidDefinitionDescription",
        ),
    ] {
        assert_eq!(warnings(source), expected, "{source:?}");
    }
    let file = parse("# check=error=true\nFROM a\nENV a b");
    assert!(file.checks().error);
    assert!(file.checks().wants(Rule::UndefinedVar));
    assert_eq!(
        file.warnings()[0].to_string(),
        "3:1: LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format"
    );
}

#[test]
fn triggers_need_no_from() {
    assert_eq!(Dockerfile::parse_trigger("t", "RUN x").unwrap().instructions()[0].text, "RUN x");
    for trigger in ["", "RUN a\nRUN b", "FROM x", "ONBUILD RUN x", "MAINTAINER x", "RNU"] {
        assert!(Dockerfile::parse_trigger("t", trigger).is_err(), "{trigger:?}");
    }
}

#[test]
fn an_unsupported_instruction_is_named_with_its_place() {
    let file = parse("FROM a\nRUN x");
    let error = file.unsupported(file.instructions()[1].keyword.span, "RUN");
    assert!(error.is_unsupported());
    assert_eq!(error.to_string(), "Dockerfile:2:1: RUN is not supported yet");
    assert!(error.render().ends_with("2 | RUN x\n  | ^^^"));
}

#[test]
fn limits_hold_and_time_is_linear() {
    let begin = thread_time();
    assert!(matches!(error(vec![b'#'; (16 << 20) + 1]), Error::LimitExceeded { .. }));
    assert!(parse(&format!("{}\nFROM a", "#".repeat((16 << 20) - 7))).warnings().is_empty());
    // A line may be long, an instruction not too long, whether on one line or on many.
    assert_eq!(stage(&format!("RUN {}", "x".repeat(1 << 19))).len(), 1);
    let long = error(format!("FROM a\nRUN {}", "x".repeat(1 << 20)));
    assert_eq!(long.to_string(), "Dockerfile:2:1: an instruction: larger than the limit of 1048576");
    assert!(matches!(error(format!("FROM a\nRUN x{}", "y \\\n".repeat(1 << 20))), Error::LimitExceeded { .. }));
    // Many continuations, comments, words, heredocs.
    assert_eq!(stage(&format!("RUN x {}y", "\\\n".repeat(1 << 20))).len(), 1);
    assert_eq!(stage(&format!("RUN x \\\n{}y", "# c\n".repeat(1 << 20))).len(), 1);
    assert_eq!(stage(&format!("RUN x \\\n{}y", "\n".repeat(1 << 20))).len(), 1);
    let Command::Copy(copy) = one(&format!("COPY {}/", "ö ".repeat(1 << 18))) else { panic!() };
    assert_eq!(copy.sources.len(), 1 << 18);
    let Command::Env(env) = one(&format!("ENV {}", "a=ö\\\n ".repeat(1 << 17))) else { panic!() };
    assert_eq!(env.pairs.len(), 1 << 17);
    let Command::Run(run) = one(&format!("RUN {}\n{}", "<<E ".repeat(1 << 17), "E\n".repeat(1 << 17))) else {
        panic!()
    };
    assert_eq!(run.heredocs.len(), 1 << 17);
    assert_eq!(stage(&"RUN x\n".repeat(99_999)).len(), 99_999);
    let many = error(format!("FROM a\n{}", "RUN x\n".repeat(100_000)));
    assert_eq!(many.to_string(), "Dockerfile:100001:1: the number of instructions: larger than the limit of 100000");
    let line = format!("ENV {}\n", "a=b ".repeat(200_000));
    let many = error(format!("FROM a\n{}", line.repeat(3)));
    assert_eq!(many.to_string(), "Dockerfile:4:1: the number of words: larger than the limit of 500000");
    // Nesting and quotes are no recursion.
    assert!(matches!(one(&format!("CMD {}", "[".repeat(1 << 19))), Command::Cmd(CommandLine::Shell(_))));
    assert!(error(format!("FROM a\nCMD {}{}", "[".repeat(100), "]".repeat(100))).to_string().contains("strings"));
    assert!(matches!(one(&format!("RUN {}<<A", "'\"".repeat(1 << 18))), Command::Run(_)));
    assert!(thread_time() - begin < Duration::from_secs(60), "{:?}", thread_time() - begin);
}

/// Text in which what a Dockerfile gives a meaning is frequent.
fn arb_soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "FROM", "from", "COPY", "ADD", "RUN", "ENV", "LABEL", "ARG", "CMD", "ONBUILD", "HEALTHCHECK", "VOLUME", "SHELL",
            "EXPOSE", "USER", "WORKDIR", "AS", "NONE", "scratch", "EOF",
        ]).prop_map(str::to_owned),
        6 => prop::sample::select(vec![
            " ", " ", "\t", "\n", "\n", "\r\n", "\\\n", "\\", "\\ \n", "`", "# ", "#escape=`\n", "# check=skip=all\n", "<<EOF", "<<-", "\nEOF\n",
            "--", "--from=", "--chown=1", "=", "a=b", "\"", "'", "[", "]", ",", "$", "${", "}", "\u{a0}", "\u{b}", "\u{feff}", "/",
        ]).prop_map(str::to_owned),
        1 => "[a-zö\u{0}-\u{20}]{1,3}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A Dockerfile that parses, written in many ways.
fn arb_dockerfile() -> impl Strategy<Value = String> {
    let blank = prop::sample::select(vec![" ", "  ", "\t", " \\\n", " \\\n  # comment\n\n", " \\\r\n "]);
    let word = prop::sample::select(vec!["a", "b=c", "$x", "\"q r\"", "'s'", "é", "/d/", "\\\\", "x\\ y", "--z"]);
    let words = prop::collection::vec((blank, word), 1..5)
        .prop_map(|words| words.into_iter().fold(String::new(), |line, (blank, word)| line + blank + word));
    let instruction = (0..14_u8, words, "[A-Z]{1,4}").prop_map(|(kind, words, name)| match kind {
        0 => format!("RUN --mount=type=tmpfs x{words}"),
        1 => format!("COPY --from=b --link -- a{words}"),
        2 => format!("ENV k=v\nENV k {}", words.trim()),
        3 => "FROM --platform=$P x AS Y_1".into(),
        4 => format!("RUN cat <<{name} > f\n\tone \\\n# two\n{name}"),
        5 => format!("COPY <<-'{name}' <<X{name} /d\n\ta\n\t{name}\n{name}\nX{name}"),
        6 => "CMD [\"a\", \"\\u0041\"]\nENTRYPOINT []".into(),
        7 => format!("onbuild add x{words}"),
        8 => format!("ONBUILD RUN <<{name}\nx\n{name}"),
        9 => format!("Expose 80{words}"),
        10 => format!("HEALTHCHECK --interval=3s CMD x{words}"),
        11 => format!("WORKDIR /{words}x\\\u{a0}"),
        12 => format!("LABEL a=1 b=\"2 \\\n 3\"{}", " c=d"),
        _ => format!("ARG {name} {name}=$x"),
    });
    let escape = prop::sample::select(vec!["", "# escape=\\\n", "# syntax=x\n# check=skip=all\n\n"]);
    (escape, prop::collection::vec(instruction, 0..6), prop::sample::select(vec!["", "\n", " \\", "\n# end \\\n"]))
        .prop_map(|(directives, instructions, end)| {
            format!("{directives}FROM a\n{}\nRUN z{end}", instructions.join("\n\n"))
        })
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(source in arb_dockerfile()) {
        let file = Dockerfile::parse(&source);
        prop_assert!(file.is_ok(), "{source:?}: {file:?}");
        let file = file.unwrap();
        let printed = file.to_string();
        let again = Dockerfile::parse(&printed);
        prop_assert!(again.is_ok(), "{printed:?}: {again:?}");
        let again = again.unwrap();
        prop_assert_eq!(&file, &again, "{:?}", &printed);
        prop_assert_eq!(printed, again.to_string());
    }

    #[test]
    fn soup_neither_panics_nor_changes_by_printing(source in arb_soup()) {
        for source in [source.clone(), format!("FROM a\n{source}")] {
            match Dockerfile::parse(&source) {
                Ok(file) => {
                    let printed = file.to_string();
                    prop_assert_eq!(&Dockerfile::parse(&printed).unwrap(), &file, "{:?}", &printed);
                    for instruction in file.instructions() {
                        let original = file.original(instruction.span);
                        prop_assert!(original.starts_with(instruction.keyword.as_str()) || original.contains("\\"));
                    }
                }
                Err(error) => prop_assert!(error.render().contains("Dockerfile:")),
            }
        }
    }

    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Dockerfile::parse(bytes).map(|file| file.to_string()));
    }
}
