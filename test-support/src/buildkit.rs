//! BuildKit, as the engine of [`Docker`] has it.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::{Docker, temp_dir};

impl Docker {
    /// Builds the Dockerfile in a directory by BuildKit, and gives the result a name.
    ///
    /// # Panics
    /// Where the build fails, with what the engine said.
    pub fn build_with_buildkit(&self, context: &Path, name: &str) {
        let built = self.build_archive(&archive(&[context]), name, &[]);
        assert!(built.is_ok(), "{built:?}");
    }

    /// Builds a Dockerfile with the files of a directory and with arguments by BuildKit, and gives the result a name.
    ///
    /// # Errors
    /// Why the engine does not build it.
    ///
    /// # Panics
    /// Where the engine does not answer.
    pub fn try_build_with_buildkit(
        &self,
        context: &Path,
        dockerfile: &str,
        name: &str,
        arguments: &[(&str, &str)],
    ) -> Result<(), String> {
        let directory = temp_dir();
        std::fs::write(directory.path().join("Dockerfile"), dockerfile).expect("a new file");
        self.build_archive(&archive(&[context, directory.path()]), name, arguments)
    }

    /// The engine's client does so only with a plugin that Debian does not have, so the engine itself is asked; it fetches
    /// the context from the loopback interface.
    fn build_archive(&self, archive: &[u8], name: &str, arguments: &[(&str, &str)]) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its number");
        let is_over = AtomicBool::new(false);
        let said = thread::scope(|scope| {
            scope.spawn(|| {
                while let Ok((client, _)) = listener.accept()
                    && !is_over.load(Ordering::Acquire)
                {
                    // Whoever asks and goes away is not to keep the next from being answered.
                    drop(answer(client, archive));
                }
            });
            let remote = format!("http://{address}/context.tar");
            let arguments: serde_json::Map<_, _> =
                arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
            // The engine has no network to give to commands.
            let said = post(
                &self.socket(),
                &format!(
                    "/build?version=2&dockerfile=Dockerfile&networkmode=none&remote={}&t={}&buildargs={}",
                    escaped(&remote),
                    escaped(name),
                    escaped(&serde_json::Value::from(arguments).to_string())
                ),
            );
            is_over.store(true, Ordering::Release);
            drop(TcpStream::connect(address));
            said
        });
        let said = said.expect("the engine answers");
        if said.contains("Successfully tagged") { Ok(()) } else { Err(reason(&said)) }
    }
}

/// What an engine says of an error, or all that it said.
fn reason(said: &str) -> String {
    let message =
        |line: &str| Some(serde_json::from_str::<serde_json::Value>(line).ok()?["error"].as_str()?.to_owned());
    said.lines().find_map(message).unwrap_or_else(|| said.to_owned())
}

/// What is in some directories, the last of several files of one name.
fn archive(directories: &[&Path]) -> Vec<u8> {
    let mut command = Command::new("tar");
    command.args(["-cf", "-"]);
    for directory in directories {
        command.arg("-C").arg(directory).arg(".");
    }
    let output = command.output().expect("tar runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A text as a part of an address.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02X}") })
        .collect()
}

/// Answers one request, whatever it asks for.
fn answer(mut client: TcpStream, body: &[u8]) -> io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && client.read(&mut byte)? > 0 {
        request.extend(byte);
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes())?;
    if request.starts_with(b"GET ") { client.write_all(body) } else { Ok(()) }
}

/// What a service says to a request without a body, headers and all.
fn post(socket: &Path, target: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    let head = format!("POST {target} HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut said = Vec::new();
    stream.read_to_end(&mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}
