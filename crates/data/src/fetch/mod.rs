//! Downloads a set's files from its publisher.

mod remote_set;

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use md5::{Digest, Md5};
use ureq::Agent;
use ureq::http::StatusCode;

pub use self::remote_set::{RemoteFile, RemoteSet, remote_set};

/// Maximum number of attempts to resume a broken connection; an attempt that yields no bytes is the last.
const ATTEMPTS: usize = 5;
/// Timeout for a server that sends nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// Why a file could not be downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum FetchError {
    #[error("{url}: {message}; if the file has moved, give a mirror with --from URL")]
    Server { url: String, message: String },
    #[error(
        "{url}: the connection broke after {received} bytes: {message}; repeat the command to resume the download"
    )]
    Broken { url: String, received: u64, message: String },
    #[error(
        "{url}: its MD5 is {found}, expected {expected}: the file differs from the one its authors published and was not kept"
    )]
    Hash { url: String, found: String, expected: String },
    #[error("{}: {source}", .file.display())]
    Io { file: PathBuf, source: std::io::Error },
}

/// The result for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It was already present and verified.
    There,
    /// It was downloaded; contains the number of bytes received now.
    New(u64),
}

/// Called with the number of bytes received so far, and with the total if the server announces it.
pub type Progress<'a> = &'a mut dyn FnMut(u64, Option<u64>);

/// Downloads `file` from `url` into `dir`: it is written to a `.part` file, which is resumed if it already exists, then verified
/// and renamed. Proxies are taken from the usual environment variables.
///
/// # Errors
/// [`FetchError`]; after [`FetchError::Broken`] the received part is kept for the next call.
pub fn fetch(
    file: &RemoteFile,
    url: &str,
    dir: &Path,
    progress: Progress<'_>,
) -> Result<Fetched, FetchError> {
    let to = dir.join(file.name);
    let io = |path: &Path| {
        let file = path.to_path_buf();
        move |source| FetchError::Io { file, source }
    };
    std::fs::create_dir_all(dir).map_err(io(dir))?;
    if to.is_file() && hash(&to).map_err(io(&to))? == file.md5 {
        return Ok(Fetched::There);
    }
    let part_path = dir.join(format!("{}.part", file.name));
    let part = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&part_path);
    let mut part = part.map_err(io(&part_path))?;
    let before = part.seek(SeekFrom::End(0)).map_err(io(&part_path))?;
    let agent = agent();
    let mut attempts = 0;
    loop {
        let start = part.stream_position().map_err(io(&part_path))?;
        match receive(&agent, url, &mut part, progress) {
            Ok(()) => break,
            Err(Stop::Server(message)) => return Err(FetchError::Server { url: url.into(), message }),
            Err(Stop::Disk(source)) => return Err(FetchError::Io { file: part_path, source }),
            Err(Stop::Broken(message)) => {
                let received = part.stream_position().map_err(io(&part_path))?;
                attempts = if received > start { 0 } else { attempts + 1 };
                if attempts >= ATTEMPTS || received == start {
                    return Err(FetchError::Broken { url: url.into(), received, message });
                }
            }
        }
    }
    part.sync_all().map_err(io(&part_path))?;
    let received = part.metadata().map_err(io(&part_path))?.len();
    let found = hash(&part_path).map_err(io(&part_path))?;
    if found != file.md5 {
        std::fs::remove_file(&part_path).map_err(io(&part_path))?;
        return Err(FetchError::Hash { url: url.into(), found, expected: file.md5.into() });
    }
    std::fs::rename(&part_path, &to).map_err(io(&to))?;
    Ok(Fetched::New(received.saturating_sub(before)))
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(SILENCE))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .user_agent(concat!("sgdwalk/", env!("CARGO_PKG_VERSION")));
    config.build().new_agent()
}

/// Why the download ended early.
enum Stop {
    Server(String),
    Broken(String),
    Disk(std::io::Error),
}

/// Requests the rest of the file after the bytes in `part` and appends it; starts over if the server sends the whole file.
fn receive(agent: &Agent, url: &str, part: &mut File, progress: Progress<'_>) -> Result<(), Stop> {
    let mut at = part.seek(SeekFrom::End(0)).map_err(Stop::Disk)?;
    let mut request = agent.get(url);
    if at > 0 {
        request = request.header("Range", format!("bytes={at}-"));
    }
    let mut response = request.call().map_err(|error| match error {
        ureq::Error::Io(error) => Stop::Broken(error.to_string()),
        error => Stop::Server(error.to_string()),
    })?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {}
        // the part is complete or too long; the hash will show which
        StatusCode::RANGE_NOT_SATISFIABLE if at > 0 => return Ok(()),
        status if status.is_success() => {
            part.set_len(0).and_then(|()| part.rewind()).map_err(Stop::Disk)?;
            at = 0;
        }
        status => return Err(Stop::Server(format!("the server responded with {status}"))),
    }
    let length =
        response.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let total = length.map(|length| at + length);
    let mut reader = response.body_mut().with_config().limit(u64::MAX).reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        progress(at, total);
        let n = reader.read(&mut buffer).map_err(|error| Stop::Broken(error.to_string()))?;
        if n == 0 {
            break;
        }
        part.write_all(&buffer[..n]).map_err(Stop::Disk)?;
        at += n as u64;
    }
    match total {
        Some(total) if at < total => Err(Stop::Broken(format!("{total} bytes were announced"))),
        _ => Ok(()),
    }
}

/// The MD5 of a file, in hexadecimal.
fn hash(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Md5::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("{:x}", hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests;
