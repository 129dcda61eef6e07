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

use crate::Docker;

impl Docker {
    /// Builds the Dockerfile in a directory by BuildKit, and gives the result a name.
    ///
    /// The engine's client does so only with a plugin that Debian does not have, so the engine itself is asked; it fetches
    /// the directory from the loopback interface.
    ///
    /// # Panics
    /// Where the build fails, with what the engine said.
    pub fn build_with_buildkit(&self, context: &Path, name: &str) {
        let output = Command::new("tar").arg("-C").arg(context).args(["-cf", "-", "."]).output().expect("tar runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its number");
        let is_over = AtomicBool::new(false);
        let said = thread::scope(|scope| {
            scope.spawn(|| {
                while let Ok((client, _)) = listener.accept()
                    && !is_over.load(Ordering::Acquire)
                {
                    // Whoever asks and goes away is not to keep the next from being answered.
                    drop(answer(client, &output.stdout));
                }
            });
            let remote = format!("http%3A%2F%2F{}%3A{}%2Fcontext.tar", address.ip(), address.port());
            let said =
                post(&self.socket(), &format!("/build?version=2&dockerfile=Dockerfile&remote={remote}&t={name}"));
            is_over.store(true, Ordering::Release);
            drop(TcpStream::connect(address));
            said
        });
        let said = said.expect("the engine answers");
        assert!(said.contains("Successfully tagged"), "{said}");
    }
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
