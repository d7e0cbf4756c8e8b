//! The gateway over real sockets: what it passes on, what it refuses, what it measures.

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::routing::{any, get};
use callwright::limits::GATEWAY_REQUESTS_MAX;
use callwright::pipeline::deploy::{Gateway, Health, Upstream};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Stage {
    gateway: Gateway,
    address: SocketAddr,
    health: watch::Sender<Health>,
    /// Lets the requests to `/hold` go.
    release: watch::Sender<bool>,
    app: JoinHandle<()>,
    _dir: TempDir,
}

/// An app that says what it was asked, behind a gateway.
async fn stage() -> Stage {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("app.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let echo = async |request: Request| {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        let headers: Vec<_> = head.headers.iter().map(|(k, v)| format!("{k}: {}", v.to_str().unwrap())).collect();
        format!("{} {}\n{}\n{} octets", head.method, head.uri, headers.join("\n"), body.len())
    };
    let (release, held) = watch::channel(false);
    let hold = async move || _ = held.clone().wait_for(|go| *go).await;
    let router = Router::new()
        .route("/hold", get(hold))
        .route("/slow", get(async || tokio::time::sleep(Duration::from_millis(120)).await))
        .route("/broken", get(async || (axum::http::StatusCode::INTERNAL_SERVER_ERROR, "oops")))
        .route("/answer", get(async || ([("connection", "x-inner"), ("x-inner", "1"), ("x-outer", "2")], "ok")))
        .route("/large", get(async || Bytes::from(vec![b'x'; 3_000_000])))
        .route("/missing", get(async || axum::http::StatusCode::NOT_FOUND))
        .fallback(any(echo));
    let app = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let (health, watcher) = watch::channel(Health::Ready);
    let free = TcpListener::bind((LOCAL, 0)).await.unwrap().local_addr().unwrap().port();
    let gateway = Gateway::new(LOCAL, free..=free.saturating_add(20));
    let port = gateway.put("crm", "CRM <1>", Upstream { socket, health: watcher }, None, &[]).await.unwrap();
    Stage { gateway, address: (LOCAL, port).into(), health, release, app, _dir: dir }
}

/// Sends `request` as it is and returns all that comes until the connection is closed.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn fetch(address: SocketAddr, path: &str) -> String {
    raw(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")).await
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_pass_with_our_word_on_the_client_and_without_hop_by_hop_fields() {
    let stage = stage().await;
    let request = format!(
        "POST http://{0}/contacts/17?x=1 HTTP/1.1\r\nHost: {0}\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\n\
         X-Forwarded-For: 8.8.8.8\r\nUpgrade: websocket\r\nTE: trailers\r\nX-Kept: yes\r\nContent-Length: 5\r\n\r\nhello",
        stage.address
    );
    let answer = raw(stage.address, &request).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.contains("POST /contacts/17?x=1"), "{answer}");
    assert!(answer.contains("5 octets") && answer.contains("x-kept: yes"), "{answer}");
    assert!(answer.contains("x-forwarded-for: 127.0.0.1") && !answer.contains("8.8.8.8"), "{answer}");
    for gone in ["x-secret", "upgrade:", "te: trailers"] {
        assert!(!answer.contains(gone), "{gone} in {answer}");
    }
    let answer = fetch(stage.address, "/answer").await;
    assert!(answer.contains("x-outer: 2") && !answer.contains("x-inner: 1"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn inner_paths_foreign_names_and_odd_methods_are_refused() {
    let stage = stage().await;
    for path in ["/_/meta", "/%5f/meta", "//_/meta", "/./_/meta"] {
        assert_eq!(status(&fetch(stage.address, path).await), 404, "{path}");
    }
    assert_eq!(status(&fetch(stage.address, "/a/../_/meta").await), 400);
    let foreign = raw(stage.address, "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&foreign), 421);
    let trace = raw(stage.address, "TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&trace), 405);
    assert_eq!(status(&raw(stage.address, "\u{16}\u{3}\u{1}\r\n\r\n").await), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_stream_within_bounds() {
    let stage = stage().await;
    let answer = fetch(stage.address, "/large").await;
    assert_eq!(answer.len() - answer.find("\r\n\r\n").unwrap() - 4, 3_000_000);
    let announced = raw(
        stage.address,
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2000000\r\n\r\n",
    )
    .await;
    assert_eq!(status(&announced), 413);
    let chunk = format!("80000\r\n{}\r\n", "x".repeat(0x80000));
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}{chunk}0\r\n\r\n"
    );
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    // The gateway may close before all is sent.
    let _ = stream.write_all(chunked.as_bytes()).await;
    let mut answer = vec![0; 64];
    let read = stream.read(&mut answer).await.unwrap_or(0);
    assert!(String::from_utf8_lossy(&answer[..read]).starts_with("HTTP/1.1 413"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_down_gets_a_page_or_a_problem_and_is_waited_for_a_little() {
    let mut stage = stage().await;
    stage.health.send_replace(Health::Down("it crashed".into()));
    let page = fetch(stage.address, "/").await;
    assert_eq!(status(&page), 502);
    assert!(page.contains("CRM &lt;1&gt;") && page.contains("text/html") && !page.contains("it crashed"), "{page}");
    let problem = fetch(stage.address, "/api/contacts").await;
    assert!(problem.contains("application/problem+json") && problem.contains("\"status\":502"), "{problem}");

    // A machine that stands still for longer than the gateway waits is no fault of the gateway.
    let mut answers = Vec::new();
    while !answers.contains(&200) {
        assert!(answers.len() < 20, "{answers:?}");
        stage.health.send_replace(Health::Down("it crashed".into()));
        let address = stage.address;
        let waiting = tokio::spawn(async move { fetch(address, "/").await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        stage.health.send_replace(Health::Ready);
        answers.push(status(&waiting.await.unwrap()));
    }

    // The process is gone but nobody noticed yet.
    stage.app.abort();
    assert!((&mut stage.app).await.unwrap_err().is_cancelled());
    assert_eq!(status(&fetch(stage.address, "/").await), 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_measured_under_its_template() {
    let stage = stage().await;
    for path in ["/contacts/1", "/contacts/2", "/contacts/300", "/contacts", "/broken", "/missing", "/_/meta", "/slow"]
    {
        fetch(stage.address, path).await;
    }
    let traffic = stage.gateway.traffic("crm").unwrap();
    assert_eq!((traffic.requests, traffic.server_errors), (8, 1));
    assert_eq!(traffic.requests_per_minute, 8.0);
    let of = |route: &str| traffic.routes.iter().find(|r| r.route == route).unwrap();
    assert_eq!(of("/contacts/{id}").by_class, [0, 3, 0, 0, 0]);
    assert_eq!(of("unmatched").by_class, [0, 0, 0, 2, 0]);
    assert!(of("/slow").p50_ms >= 120.0);
    assert!(stage.gateway.traffic("shop").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_keeps_its_port_and_a_taken_one_is_passed_over() {
    let stage = stage().await;
    let upstream = stage.gateway.upstream("crm").unwrap();
    let port = stage.address.port();
    assert_eq!(stage.gateway.put("crm", "CRM", upstream.clone(), Some(1), &[]).await.unwrap(), port);
    let other = stage.gateway.put("shop", "Shop", upstream.clone(), Some(port), &[port + 1]).await.unwrap();
    assert!(other > port + 1);
    stage.gateway.remove("crm");
    // Its listener is closed by a task, whenever that runs.
    let begun = std::time::Instant::now();
    while stage.gateway.put("crm", "CRM", upstream.clone(), Some(port), &[]).await.unwrap() != port {
        assert!(begun.elapsed() < Duration::from_secs(60));
        stage.gateway.remove("crm");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let full = Gateway::new(LOCAL, port..=port);
    assert!(full.put("x", "X", upstream, None, &[]).await.unwrap_err().to_string().contains("ports"));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_at_once_are_refused_not_queued() {
    let stage = stage().await;
    let mut all = JoinSet::new();
    for _ in 0..GATEWAY_REQUESTS_MAX + 7 {
        let address = stage.address;
        all.spawn(async move { status(&fetch(address, "/hold").await) });
    }
    // The app holds as many as it is given; the others are answered meanwhile.
    for _ in 0..7 {
        assert_eq!(all.join_next().await.unwrap().unwrap(), 503);
    }
    stage.release.send_replace(true);
    for _ in 0..GATEWAY_REQUESTS_MAX {
        assert_eq!(all.join_next().await.unwrap().unwrap(), 200);
    }
    assert_eq!(status(&fetch(stage.address, "/").await), 200);
}

/// An app on a socket of its own that counts its connections and says `name`; it closes them all when it is told to.
fn counting(socket: &std::path::Path, name: &'static str) -> (watch::Receiver<usize>, watch::Sender<u32>) {
    let listener = UnixListener::bind(socket).unwrap();
    let (count, counted) = watch::channel(0);
    let (close, closing) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            count.send_modify(|count| *count += 1);
            let mut closing = closing.clone();
            tokio::spawn(async move {
                let mut asked = Vec::new();
                closing.mark_unchanged();
                loop {
                    let mut piece = [0; 4096];
                    let read = tokio::select! {
                        read = stream.read(&mut piece) => read.unwrap_or(0),
                        _ = closing.changed() => 0,
                    };
                    if read == 0 {
                        return;
                    }
                    asked.extend_from_slice(&piece[..read]);
                    if asked.ends_with(b"\r\n\r\n") {
                        asked.clear();
                        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            });
        }
    });
    (counted, close)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_an_app_serve_again_until_it_or_another_version_closes_them() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first.sock"), dir.path().join("second.sock"));
    let (counted, close) = counting(&first, "the first");
    let (of_second, _close) = counting(&second, "the second");
    let (_health, health) = watch::channel(Health::Ready);
    let free = TcpListener::bind((LOCAL, 0)).await.unwrap().local_addr().unwrap().port();
    let gateway = Gateway::new(LOCAL, free..=free.saturating_add(20));
    let upstream = |socket: &std::path::Path| Upstream { socket: socket.to_owned(), health: health.clone() };
    let port = gateway.put("crm", "CRM", upstream(&first), None, &[]).await.unwrap();
    let address = (LOCAL, port).into();
    let ask = async |said: &str| {
        let answer = fetch(address, "/").await;
        assert!(status(&answer) == 200 && answer.ends_with(said), "{answer}");
    };
    // One that has just ended may not be ready yet: sooner or later one serves again.
    let serves_again = async |counted: &watch::Receiver<usize>, said: &str| {
        for _ in 0..100 {
            let before = *counted.borrow();
            ask(said).await;
            if *counted.borrow() == before {
                return;
            }
        }
        panic!("each request has a connection of its own");
    };
    serves_again(&counted, "the first").await;
    // The app closes what waits, and serves on over others; what is sent at that very moment may be lost.
    close.send_replace(1);
    let mut tries = 0;
    while status(&fetch(address, "/").await) != 200 {
        tries += 1;
        assert!(tries < 100, "a dead connection is asked again and again");
    }
    serves_again(&counted, "the first").await;
    gateway.put("crm", "CRM", upstream(&second), None, &[]).await.unwrap();
    let before = *counted.borrow();
    serves_again(&of_second, "the second").await;
    assert_eq!(*counted.borrow(), before, "the other version hears nothing more");
}
