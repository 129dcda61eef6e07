//! A fetcher of files by HTTP.

use std::{
    io::{Read, Write},
    path::Path,
    time::Duration,
};

use image_core::Ctx;
use ureq::{Agent, Proxy, ResponseExt, http::Uri};

use super::{Checkout, Download, Fetcher, Repository, http_date};
use crate::error::{Error, Result, excerpt};

/// How many bytes are read at a time, between which the build may be cancelled.
const PIECE: usize = 64 << 10;

/// Gets files by `http` and `https`, for [`Builder::with_fetcher`](crate::Builder::with_fetcher).
///
/// No other protocol is spoken, also where a server redirects to one; nor does a redirection lead from `https` to `http`.
/// Servers are believed by the roots of trust that are compiled in. What is downloaded is what the server has, byte for
/// byte: no compression is asked for. Nothing is taken from the environment: a proxy is given by
/// [`HttpOptions::with_proxy`].
///
/// Every address that a Dockerfile names is reached, those of this machine and its neighbours too: who builds Dockerfiles of
/// strangers gives the builder a fetcher that asks first.
///
/// Repositories are refused: reaching them takes git, which is no part of this crate.
#[derive(Debug, Clone)]
pub struct HttpFetcher {
    agent: Agent,
    max_size: u64,
}

/// What a caller chooses about downloads.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// How large a file may be, in bytes.
    pub max_size: u64,
    /// How long a connection may take to be there, its handshake included.
    pub connect_timeout: Duration,
    /// How long a server may be silent. A build that is cancelled ends that much later at most.
    pub idle_timeout: Duration,
    /// How many redirections are followed.
    pub max_redirects: u32,
    /// The proxy that is asked, as `http://host:port`.
    pub proxy: Option<String>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            max_size: 16 << 30,
            connect_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
            max_redirects: 10,
            proxy: None,
        }
    }
}

impl HttpOptions {
    /// With files of at most this size, in bytes.
    #[must_use]
    pub fn with_max_size(self, max_size: u64) -> Self {
        Self { max_size, ..self }
    }

    /// With so much time for a connection to be there.
    #[must_use]
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// With so much time for which a server may be silent.
    #[must_use]
    pub fn with_idle_timeout(self, idle_timeout: Duration) -> Self {
        Self { idle_timeout, ..self }
    }

    /// With at most so many redirections.
    #[must_use]
    pub fn with_max_redirects(self, max_redirects: u32) -> Self {
        Self { max_redirects, ..self }
    }

    /// By a proxy, as `http://host:port`.
    #[must_use]
    pub fn with_proxy(self, proxy: impl Into<String>) -> Self {
        Self { proxy: Some(proxy.into()), ..self }
    }
}

impl HttpFetcher {
    /// A fetcher by these options.
    ///
    /// # Errors
    /// A proxy whose address is none.
    pub fn new(options: &HttpOptions) -> Result<Self> {
        let proxy = options.proxy.as_deref().map(Proxy::new).transpose();
        let proxy = proxy.map_err(|error| Error::external("cannot use the proxy", error))?;
        let config = Agent::config_builder()
            .proxy(proxy)
            .timeout_resolve(Some(options.connect_timeout))
            .timeout_connect(Some(options.connect_timeout))
            .timeout_per_read(Some(options.idle_timeout))
            .timeout_per_write(Some(options.idle_timeout))
            .max_redirects(options.max_redirects)
            .save_redirect_history(true)
            .user_agent(concat!("image-build/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.new_agent(), max_size: options.max_size })
    }
}

impl Fetcher for HttpFetcher {
    /// # Spec
    /// RFC 9110, § 15.4 Redirection and § 8.8.2 Last-Modified.
    fn download(&self, url: &str, to: &mut dyn Write, ctx: &Ctx) -> Result<Download> {
        ctx.check()?;
        let named = |source| Error::Fetched { address: excerpt(url, 256), source: Box::new(source) };
        let failed = |error| match error {
            ureq::Error::Io(source) => named(Error::stream("reach the server", source)),
            error => named(Error::external("the server does not give it", error)),
        };
        if !is_http(url) {
            return Err(Error::cannot_fetch(url, "its protocol is neither http nor https"));
        }
        let response = self.agent.get(url).call().map_err(failed)?;
        let mut ways = response.get_redirect_history().into_iter().flatten().chain([response.get_uri()]);
        let is_secure = ways.all(|uri: &Uri| uri.scheme_str() == Some("https"));
        drop(ways);
        if url.starts_with("https:") && !is_secure {
            return Err(Error::cannot_fetch(url, "the server redirects from https to http"));
        }
        let too_large = || named(image_core::Error::limit("the file", self.max_size).into());
        let stated = response.body().content_length();
        if stated.is_some_and(|size| size > self.max_size) {
            return Err(too_large());
        }
        let modified = response.headers().get("last-modified").and_then(|value| value.to_str().ok());
        let modified = modified.and_then(http_date::parse);
        let mut body = response.into_body().into_reader();
        let (mut buffer, mut size) = (vec![0; PIECE], 0);
        loop {
            ctx.check()?;
            let n = body.read(&mut buffer).map_err(|e| named(Error::stream("read what the server sends", e)))?;
            if n == 0 {
                break;
            }
            size += n as u64;
            if size > self.max_size {
                return Err(too_large());
            }
            to.write_all(buffer.get(..n).unwrap_or_default()).map_err(|e| Error::stream("write the download", e))?;
        }
        if stated.is_some_and(|stated| stated != size) {
            return Err(named(Error::stream("read what the server sends", std::io::ErrorKind::UnexpectedEof.into())));
        }
        Ok(Download::modified(modified))
    }

    fn checkout(&self, repository: &Repository, _: &Path, _: &Ctx) -> Result<Checkout> {
        let reason = "it is a git repository, and only files are downloaded here: check it out into a named context";
        Err(Error::cannot_fetch(&repository.remote, reason))
    }
}

fn is_http(url: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
}
