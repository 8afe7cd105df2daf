//! A server that says exactly the bytes it is told to, be they HTTP or not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A server on a loopback port, until it is dropped. One request per connection.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
    closing: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Answers each request with the bytes of `answer`, which is told the request's number, from
    /// 1, and its text.
    pub(crate) fn start(answer: impl Fn(usize, &str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let closing = Arc::new(AtomicBool::new(false));
        let (log, closed) = (Arc::clone(&requests), Arc::clone(&closing));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                let request = read_request(&mut stream);
                let number = {
                    let mut log = log.lock().unwrap();
                    log.push(request.clone());
                    log.len()
                };
                // A client that hangs up early is one of the things tested.
                let _gone = stream.write_all(answer(number, &request).as_bytes());
            }
        });
        Self {
            url,
            requests,
            closing,
            thread: Some(thread),
        }
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        let address = self.url.trim_start_matches("http://");
        let _woken = TcpStream::connect(address);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// An HTTP/1.1 answer.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!(
        "HTTP/1.1 {status} Status\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A request with its body; what is not HTTP is read up to its first line.
fn read_request(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    let mut length = 0;
    loop {
        let start = head.len();
        let count = reader.read_until(b'\n', &mut head).unwrap_or(0);
        let line = String::from_utf8_lossy(&head[start..]).to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if count <= 2 || head.first() == Some(&0x16) {
            break;
        }
    }
    let mut body = vec![0; length];
    let _short = reader.read_exact(&mut body);
    head.extend(body);
    String::from_utf8_lossy(&head).into_owned()
}
