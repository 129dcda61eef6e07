//! Commands that a program gives run as those of a Dockerfile do.

use image_build::{CommandMount, CommandOptions, ImageSteps, exec::Secret};

use crate::{
    build_fixture::chain,
    build_run_fixture::{allow, for_each_runtime, made},
};

#[test]
fn commands_of_steps_are_run() {
    for_each_runtime(|fixture| {
        fixture.write("given", "given");
        let secret = "a,b\"c=d";
        allow(fixture, |run| run.with_secret(secret, Secret::new(*b"hush")));
        let text = fixture.build(
            "FROM base\nWORKDIR /w\nRUN [\"/bin/sh\", \"-c\", \"echo $FROM_BASE > exec\"]\n\
             RUN --mount=type=bind,source=given,target=/in cat /in > bound\n",
        );
        let steps = ImageSteps::from_image("base")
            .workdir("/w")
            .run(["/bin/sh", "-c", "echo $FROM_BASE > exec"])
            .run_shell_with(
                "cat /in > bound",
                CommandOptions::default().with_mount(CommandMount::bind("given", "/in")),
            );
        let built = fixture.try_build_of(&steps.clone().finish().unwrap());
        let built = built.unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(built.done(), [""; 0], "a command is the same command, however it was given");
        assert_eq!(built.image.manifest, text.image.manifest);
        let expected = ["d 0755 0:0 /w", "f 0644 0:0 /w/bound given", "f 0644 0:0 /w/exec 1\n"];
        assert_eq!(made(&built), expected);

        let options = CommandOptions::default()
            .with_mount(CommandMount::secret(secret).with_env("KEY"))
            .with_mount(CommandMount::tmpfs("/one, \"two\""))
            .with_mount(CommandMount::cache("/cache"));
        let script = "[ \"$KEY\" = hush ] && echo x > '/one, \"two\"/file' && echo y > /cache/file && echo z > third";
        let steps = steps.run_with(["/bin/sh", "-c", script], options);
        let built = fixture.try_build_of(&steps.clone().finish().unwrap());
        let built = built.unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(made(&built), [&expected[..], &["f 0644 0:0 /w/third z\n"]].concat());

        let steps = steps.run(["/bin/sh", "-c", "echo why; exit 3"]);
        let error = fixture.try_build_of(&steps.finish().unwrap()).err().unwrap();
        let told = chain(&error);
        assert!(
            told.starts_with("steps:6:1: cannot carry out RUN [\"/bin/sh\", \"-c\", \"echo why; exit 3\"]: "),
            "{told}"
        );
        assert!(told.contains("exit status 3") && told.contains("why"), "{told}");
    });
}
