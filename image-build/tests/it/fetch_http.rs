//! Files that ADD gets by HTTP, from servers that the tests start on the loopback interface.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use image_build::{
    Error, Fetcher,
    fetch::{Download, HttpFetcher, HttpOptions},
};
use image_core::{CancelToken, Ctx, Digest, Timestamp};

use crate::build_fixture::{Fixture, chain};

/// Answers a request for a path.
type Answer = dyn Fn(&str, &mut TcpStream) + Send + Sync;

/// A server that answers one request for each connection.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn new(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, stop) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (seen, stopped, answer) =
            (Arc::clone(&requests), Arc::clone(&stop), Arc::<Answer>::from(Box::new(answer) as Box<Answer>));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (mut stream, seen, answer) = (stream.unwrap(), Arc::clone(&seen), Arc::clone(&answer));
                // One that is silent does not keep others from being answered.
                std::thread::spawn(move || {
                    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                    let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                    let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)).map(String::from) else {
                        return;
                    };
                    seen.lock().unwrap().push(head.join("\n"));
                    answer(&path, &mut stream);
                });
            }
        });
        Self { address, requests, stop, thread: Some(thread) }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Sends what a client that went away need not take.
fn send(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) -> bool {
    stream.write_all(bytes.as_ref()).is_ok()
}

fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    let _ = send(stream, head) && send(stream, body);
}

fn get(options: &HttpOptions, url: &str) -> Result<(Vec<u8>, Download), Error> {
    let mut bytes = Vec::new();
    let download = HttpFetcher::new(options).unwrap().download(url, &mut bytes, &Ctx::default())?;
    Ok((bytes, download))
}

fn error(options: &HttpOptions, url: &str) -> String {
    match get(options, url) {
        Ok((bytes, _)) => panic!("{url}: got {} bytes", bytes.len()),
        Err(error) => chain(&error),
    }
}

#[test]
fn files_come_byte_for_byte_with_their_time() {
    let compressed = test_support::layout::gzip(b"plain");
    let body = compressed.clone();
    let server = Server::new(move |path, stream| match path {
        "/dir/a%20b.gz?x=1" => {
            let headers = "Content-Encoding: gzip\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
            respond(stream, "200 OK", headers, &body);
        }
        "/chunked" => {
            let _ =
                send(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
        }
        "/until-closed" => {
            let _ = send(stream, "HTTP/1.0 200 OK\r\nLast-Modified: yesterday\r\n\r\nto the end");
        }
        "/empty" => respond(stream, "200 OK", "", b""),
        _ => respond(stream, "404 Not Found", "", b"not found"),
    });
    let options = HttpOptions::default();
    let (bytes, download) = get(&options, &server.url("/dir/a%20b.gz?x=1#fragment")).unwrap();
    assert_eq!((bytes, download.modified), (compressed, Some(Timestamp::from_seconds(784_111_777))));
    assert_eq!(get(&options, &server.url("/chunked")).unwrap(), (b"abcde".to_vec(), Download::default()));
    assert_eq!(get(&options, &server.url("/until-closed")).unwrap(), (b"to the end".to_vec(), Download::default()));
    assert_eq!(get(&options, &server.url("/empty")).unwrap(), (Vec::new(), Download::default()));
    let refused = error(&options, &server.url("/none"));
    assert!(
        refused.starts_with(&format!("cannot fetch {}: ", server.url("/none"))) && refused.contains("404"),
        "{refused}"
    );
    let requests = server.requests.lock().unwrap();
    let first = requests[0].to_ascii_lowercase();
    assert!(first.starts_with("get /dir/a%20b.gz?x=1 http/1.1\n"), "{first}");
    assert!(first.contains("user-agent: image-build/"), "{first}");
    assert!(
        !first.contains("gzip, ") && !first.contains("accept-encoding: gzip"),
        "no compression is asked for: {first}"
    );
}

#[test]
fn add_downloads_into_the_image() {
    let server = Server::new(|path, stream| match path {
        "/moved" => respond(stream, "302 Found", "Location: /files/app.txt\r\n", b"elsewhere"),
        _ => respond(stream, "200 OK", "Last-Modified: Thu, 01 Jan 1970 00:01:40 GMT\r\n", b"content"),
    });
    let mut fixture = Fixture::new();
    fixture.fetcher = Some(Box::new(HttpFetcher::new(&HttpOptions::default()).unwrap()));
    let (moved, digest) = (server.url("/moved"), Digest::sha256_of(b"content"));
    let text = format!("FROM scratch\nADD --checksum={digest} {moved} /x/");
    let built = fixture.build(&text);
    // The name is that of the address, not of where it leads.
    assert_eq!(built.listing(), ["d 0755 0:0 /x", "f 0600 0:0 /x/moved content"]);
    let tree = built.tree();
    let node = tree.lookup(b"/x/moved", image_overlay::Follow::NotLast).unwrap().unwrap();
    assert_eq!(node.metadata().mtime, Timestamp::from_seconds(100));
    assert_eq!(fixture.build(&text).done(), [""; 0]);
    let wrong = Digest::sha256_of(b"other");
    let error = fixture.error(&format!("FROM scratch\nADD --checksum={wrong} {moved} /x/"));
    assert!(error.contains(&format!("cannot fetch {moved}: ")) && error.contains(&wrong.to_string()), "{error}");
    let error = fixture.try_build("FROM scratch\nADD https://example.invalid/a.git#main /x").err().unwrap();
    assert!(error.is_unsupported(), "{}", chain(&error));
    assert!(
        chain(&error).contains("https://example.invalid/a.git cannot be fetched: it is a git repository"),
        "{}",
        chain(&error)
    );
}

#[test]
fn redirections_are_bounded_and_stay_with_http() {
    let server = Server::new(|path, stream| {
        let to = match path {
            "/to-file" => "file:///etc/passwd".into(),
            "/to-ftp" => "ftp://127.0.0.1/x".into(),
            "/to-nothing" => "http://".into(),
            "/3" => "/2".into(),
            "/2" => "/1".into(),
            "/1" => "/end".into(),
            "/end" => return respond(stream, "200 OK", "", b"end"),
            path => format!("{path}x"),
        };
        respond(stream, "301 Moved Permanently", &format!("Location: {to}\r\n"), b"");
    });
    let options = HttpOptions::default();
    for path in ["/to-file", "/to-ftp", "/to-nothing", "/forever"] {
        let refused = error(&options, &server.url(path));
        assert!(refused.starts_with("cannot fetch http://127.0.0.1:"), "{refused}");
    }
    let asked = server.requests.lock().unwrap().iter().filter(|request| request.contains("/forever")).count();
    assert_eq!(asked, 11, "one request, and ten redirections");
    assert_eq!(get(&options.clone().with_max_redirects(3), &server.url("/3")).unwrap().0, b"end");
    let refused = error(&options.with_max_redirects(2), &server.url("/3"));
    assert!(refused.starts_with("cannot fetch "), "{refused}");
}

#[test]
fn other_protocols_are_not_spoken() {
    for url in ["file:///etc/passwd", "ftp://127.0.0.1/x", "/etc/passwd", "HTTP", "", "data:,x"] {
        let error = get(&HttpOptions::default(), url).unwrap_err();
        assert!(error.is_unsupported(), "{}", chain(&error));
        assert!(error.to_string().contains("neither http nor https"), "{error}");
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let server = Server::new(|path, stream| match path {
        // Says so, and sends nothing.
        "/stated" => {
            let _ = send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\n");
        }
        // Never ends.
        _ => {
            let chunk = [b"10000\r\n", &[b'x'; 0x10000][..], b"\r\n"].concat();
            let _ = send(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            while send(stream, &chunk) {}
        }
    });
    let options = HttpOptions::default().with_max_size(1_000_000);
    for path in ["/stated", "/endless"] {
        let refused = error(&options, &server.url(path));
        assert!(refused.contains("cannot fetch") && refused.contains("1000000"), "{refused}");
    }
}

#[test]
fn what_is_cut_short_is_refused() {
    let server = Server::new(|path, stream| {
        let _ = send(
            stream,
            match path {
                "/length" => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
                "/chunked" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nshort",
                "/head" => "HTTP/1.1 200 OK\r\nContent-Le",
                _ => "what is this?\r\n\r\n",
            },
        );
    });
    for path in ["/length", "/chunked", "/head", "/other"] {
        let refused = error(&HttpOptions::default(), &server.url(path));
        assert!(refused.starts_with("cannot fetch http://127.0.0.1:"), "{path}: {refused}");
    }
}

#[test]
fn a_server_that_is_silent_is_left() {
    let (send_end, end) = std::sync::mpsc::channel::<()>();
    let end = Mutex::new(end);
    let server = Server::new(move |path, stream| {
        if path == "/body" {
            let _ = send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin");
        }
        // Nothing more until the test is over.
        let _ = end.lock().unwrap().recv();
    });
    let options = HttpOptions::default().with_idle_timeout(Duration::from_millis(100));
    for path in ["/body", "/head"] {
        let refused = error(&options, &server.url(path));
        assert!(refused.starts_with("cannot fetch http://127.0.0.1:"), "{refused}");
    }
    drop(send_end);
}

#[test]
fn a_download_can_be_cancelled() {
    /// Cancels with the first bytes.
    struct Cancelling(CancelToken);
    impl Write for Cancelling {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.cancel();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let server = Server::new(|_, stream| {
        let _ = send(stream, "HTTP/1.1 200 OK\r\n\r\n");
        while send(stream, [b'x'; 0x10000]) {}
    });
    let cancel = CancelToken::default();
    let ctx = Ctx::default().with_cancel(cancel.clone());
    let fetcher = HttpFetcher::new(&HttpOptions::default()).unwrap();
    let error = fetcher.download(&server.url("/"), &mut Cancelling(cancel.clone()), &ctx).unwrap_err();
    assert!(error.is_cancelled(), "{}", chain(&error));
    let asked = server.requests.lock().unwrap().len();
    assert!(fetcher.download(&server.url("/"), &mut Cancelling(cancel), &ctx).unwrap_err().is_cancelled());
    assert_eq!(server.requests.lock().unwrap().len(), asked, "nothing is asked for after that");
}

#[test]
fn a_proxy_is_asked_where_one_is_given() {
    let server = Server::new(|_, stream| respond(stream, "403 Forbidden", "", b""));
    let options = HttpOptions::default().with_proxy(format!("http://{}", server.address));
    let refused = error(&options, "http://example.invalid/x");
    assert!(refused.starts_with("cannot fetch http://example.invalid/x: "), "{refused}");
    let requests = server.requests.lock().unwrap();
    assert!(requests[0].contains("example.invalid"), "{requests:?}");
    assert!(HttpFetcher::new(&HttpOptions::default().with_proxy("no address")).is_err());
}
