//! The networks of runs.

use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, TcpListener, UdpSocket},
    os::unix::fs::symlink,
    thread,
};

use image_build::exec::{Executor, Network, OciOptions, OciRuntime};
use image_core::Ctx;
use test_support::{require_tool, skip, temp_dir, tool};

use crate::run_fixture::{Machine, chain, for_each_runtime};

/// The names of the interfaces that this process sees.
const INTERFACES: &str = "sed -n 's/ *\\([a-z0-9@.-]*\\):.*/\\1/p' /proc/net/dev | sort";

/// What a run needs besides a way out.
const TOOLS: [&str; 14] = [
    "sh", "setpriv", "unshare", "mount", "head", "mkdir", "chmod", "chown", "true", "cat", "rm", "mv", "mkfifo", "runc",
];

#[test]
fn none_and_the_machines_own() {
    for_each_runtime(|machine| {
        let here = tool::run(std::process::Command::new("sh").args(["-c", INTERFACES]));
        let script =
            format!("{INTERFACES}; cat /etc/resolv.conf; ping -c 1 -W 1 127.0.0.1 >/dev/null && echo lo is up");
        assert_eq!(machine.run(&machine.spec(&script)), "lo\nlo is up\n");
        let resolv_conf = tool::run(std::process::Command::new("cat").arg("/etc/resolv.conf"));
        let output = machine.run(&machine.spec(&script).with_network(Network::Host));
        assert_eq!(output, format!("{here}{resolv_conf}lo is up\n"));
        let (exit, _) = machine.run_to_end(&machine.spec("exit 1").with_network(Network::Host));
        assert!(!exit.into_result().unwrap_err().to_string().contains("network"));
        machine.assert_clean();
    });
}

/// An address of this machine that is not of its loopback interface.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Answers whoever connects.
fn serve(address: &str) -> u16 {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            drop(stream.write_all(b"served\n"));
            drop(stream.shutdown(std::net::Shutdown::Write));
            drop(stream.read(&mut [0; 16]));
        }
    });
    port
}

#[test]
fn a_way_out_without_privilege() {
    let Some(machine) = Machine::new("runc") else { return };
    let Some(address) = own_address() else { return skip("no network") };
    let (open, closed) = (serve("0.0.0.0"), serve("127.0.0.1"));
    for way in ["slirp4netns", "pasta"] {
        if !require_tool(way) {
            continue;
        }
        let before = machine.tree();
        let tools = temp_dir();
        for name in TOOLS.iter().chain([&way]) {
            symlink(tool::find(name).unwrap(), tools.path().join(name)).unwrap();
        }
        let runtime =
            OciRuntime::open(machine.path("state"), &OciOptions::default().with_search([tools.path()])).unwrap();
        let script = format!(
            "awk '$2 == \"00000000\" {{ print \"a way out\" }}' /proc/net/route; cat /etc/resolv.conf; \
             for gateway in 10.0.2.2 $(ip route | awk '/default/ {{ print $3 }}') 127.0.0.1; do \
             nc -w 2 $gateway {closed} </dev/null 2>/dev/null; done; nc -w 5 {address} {open} </dev/null 2>&1; exit 3"
        );
        let spec = machine.spec(&script).with_network(Network::User);
        let mut output = Vec::new();
        let ended = runtime.run(&spec, &mut |line| output.extend_from_slice(line), &Ctx::default());
        let exit = ended.unwrap_or_else(|error| panic!("{way}: {}", chain(&error)));
        let output = String::from_utf8(output).unwrap();
        assert_eq!(exit.status, 3, "{output}");
        assert!(output.starts_with("a way out\nnameserver "), "{way}: {output}");
        // With pasta the run has the machine's own address, which then leads to the run itself.
        let served = output.lines().filter(|line| *line == "served").count();
        assert_eq!(served, usize::from(way == "slirp4netns"), "{way}: {output}");
        before.assert_same(&machine.tree());
        machine.assert_clean();
    }
}

#[test]
fn without_a_program_for_it_the_error_names_one() {
    let Some(machine) = Machine::new("runc") else { return };
    let tools = temp_dir();
    for name in TOOLS {
        symlink(tool::find(name).unwrap(), tools.path().join(name)).unwrap();
    }
    let runtime = OciRuntime::open(machine.path("state"), &OciOptions::default().with_search([tools.path()])).unwrap();
    let error =
        runtime.run(&machine.spec("true").with_network(Network::User), &mut |_| {}, &Ctx::default()).unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("pasta or slirp4netns"), "{error}");
    // One that does not work says why.
    fs::write(tools.path().join("slirp4netns"), "#!/bin/sh\necho 'no tap for you' >&2; exit 1\n").unwrap();
    tool::run(std::process::Command::new("chmod").arg("755").arg(tools.path().join("slirp4netns")));
    let error =
        runtime.run(&machine.spec("true").with_network(Network::User), &mut |_| {}, &Ctx::default()).unwrap_err();
    assert!(error.to_string().contains("no tap for you"), "{error}");
    machine.assert_clean();
}
