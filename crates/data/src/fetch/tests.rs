//! Tests with a local server; no network access.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};

use super::*;

const BODY: &[u8] = b"twenty bytes of data";

fn file() -> RemoteFile {
    RemoteFile { name: "file.bin", md5: "6a0cbe62c7a2d8ce7d2be1af1f1ed3a3" }
}

/// Answers requests one after the other with what `answer` writes, given the path and the first byte asked for.
fn serve(answer: impl Fn(usize, &str, Option<usize>, &mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (count, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let range = headers.iter().find_map(|line| {
                let line = line.to_ascii_lowercase();
                line.strip_prefix("range: bytes=")?.trim_end_matches('-').parse().ok()
            });
            answer(count, &path, range, &mut stream);
        }
    });
    format!("http://{address}")
}

/// The body from `start` on, of which `sent` bytes are sent before the connection closes.
fn body(stream: &mut TcpStream, start: usize, sent: usize) {
    let status = if start > 0 { "206 Partial Content" } else { "200 OK" };
    let length = BODY.len() - start;
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n").unwrap();
    stream.write_all(&BODY[start..][..sent.min(length)]).unwrap();
}

fn digest() -> &'static str {
    // computed, so that the body may change
    Box::leak(format!("{:x}", Md5::digest(BODY)).into_boxed_str())
}

fn get(url: &str, dir: &Path) -> Result<Fetched, FetchError> {
    let file = RemoteFile { md5: digest(), ..file() };
    fetch(&file, &format!("{url}/file.bin"), dir, &mut |_, _| {})
}

#[test]
fn a_good_file_is_fetched_checked_and_not_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("deep/er");
    let url = serve(|count, path, range, stream| {
        assert_eq!((count, path, range), (0, "/file.bin", None));
        body(stream, 0, usize::MAX);
    });
    assert_eq!(get(&url, &to).unwrap(), Fetched::New(20));
    assert_eq!(std::fs::read(to.join("file.bin")).unwrap(), BODY);
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), 1);
    assert_eq!(get(&url, &to).unwrap(), Fetched::There);
}

#[test]
fn a_wrong_hash_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let url = serve(|_, _, _, stream| body(stream, 0, usize::MAX));
    let text =
        fetch(&file(), &format!("{url}/file.bin"), dir.path(), &mut |_, _| {}).unwrap_err().to_string();
    assert!(text.contains(digest()) && text.contains("was not kept"), "{text}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_cut_connection_is_taken_up_where_it_broke() {
    let dir = tempfile::tempdir().unwrap();
    let url = serve(|count, _, range, stream| {
        assert_eq!(range, [None, Some(7), Some(9)][count]);
        body(stream, range.unwrap_or(0), [7, 2, usize::MAX][count]);
    });
    let mut seen = vec![];
    let file = RemoteFile { md5: digest(), ..file() };
    let result =
        fetch(&file, &format!("{url}/file.bin"), dir.path(), &mut |at, total| seen.push((at, total)));
    assert_eq!(result.unwrap(), Fetched::New(20));
    assert_eq!(seen.first(), Some(&(0, Some(20))));
    assert_eq!(seen.last(), Some(&(20, Some(20))));
}

#[test]
fn what_was_received_stays_for_the_next_call() {
    let dir = tempfile::tempdir().unwrap();
    let url = serve(|count, _, range, stream| match count {
        0 => body(stream, 0, 12),
        1 => body(stream, range.unwrap(), 0),
        _ => {
            assert_eq!(range, Some(12));
            body(stream, 12, usize::MAX);
        }
    });
    assert!(matches!(get(&url, dir.path()), Err(FetchError::Broken { received: 12, .. })));
    assert_eq!(std::fs::read(dir.path().join("file.bin.part")).unwrap(), BODY[..12]);
    assert_eq!(get(&url, dir.path()).unwrap(), Fetched::New(8));
}

#[test]
fn a_server_that_knows_no_ranges_starts_anew_and_a_complete_part_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file.bin.part"), b"garbage").unwrap();
    let url = serve(|_, _, _, stream| body(stream, 0, usize::MAX));
    assert!(get(&url, dir.path()).is_ok());
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file.bin.part"), BODY).unwrap();
    let url = serve(|_, _, _, stream| {
        write!(stream, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    assert_eq!(get(&url, dir.path()).unwrap(), Fetched::New(0));
}

#[test]
fn a_missing_file_and_a_redirect() {
    let dir = tempfile::tempdir().unwrap();
    let url = serve(|_, _, _, stream| {
        write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    });
    let text = get(&url, dir.path()).unwrap_err().to_string();
    assert!(text.contains("404 Not Found") && text.contains("--from URL"), "{text}");
    let url = serve(|_, path, _, stream| match path {
        "/file.bin" => {
            write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
        }
        _ => body(stream, 0, usize::MAX),
    });
    assert_eq!(get(&url, dir.path()).unwrap(), Fetched::New(20));
    // no server is listening
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let other = tempfile::tempdir().unwrap();
    assert!(get(&format!("http://{nobody}"), other.path()).is_err());
}
