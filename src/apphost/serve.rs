//! HTTP/1.1 around a service. Purpose: accept, read within bounds, answer, close.
//! Owner: the app process's only thread, a current-thread runtime. Invariants: at most `APP_CONNECTIONS_MAX`
//! connections; a request head, a body and an idle connection each have a deadline; a body is never larger than the
//! app allows; when the lifeline ends, requests under way are finished and the process ends; requests that are there at the same
//! time are answered together ([`Desk`]), so that they share a write to the disk.
//! Deliberately absent: TLS, compression, HTTP/2: the gateway's.

use super::exchange::{Request, Response};
use super::pace::Paced;
use super::service::Service;
use crate::limits::APP_CONNECTIONS_MAX;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::task::LocalSet;

/// Time for a request head, and for a kept-alive connection to send the next one.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Time for a request body.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Octets of a request head.
const HEAD_MAX: usize = 16 << 10;
/// Header fields of a request.
const HEADERS_MAX: usize = 64;
/// Requests that came together are answered together for this long; those behind them come next.
const TOGETHER_FOR: Duration = Duration::from_millis(2);
/// Time for requests under way when the process is to end.
const DRAIN_WITHIN: Duration = Duration::from_secs(3);

/// Where requests lie that have arrived whole, until they are answered together.
#[derive(Default)]
struct Desk {
    /// At most one of each connection.
    waiting: RefCell<(Vec<Request>, Vec<oneshot::Sender<Response>>)>,
    news: Notify,
}

impl Desk {
    /// The answer to a request; `None`: the desk is closed.
    async fn ask(&self, request: Request) -> Option<Response> {
        let (tell, answer) = oneshot::channel();
        {
            let mut waiting = self.waiting.borrow_mut();
            waiting.0.push(request);
            waiting.1.push(tell);
        }
        self.news.notify_one();
        answer.await.ok()
    }

    /// Answers what lies here, for ever.
    async fn work(&self, service: &RefCell<Service>) {
        loop {
            self.news.notified().await;
            loop {
                let (mut requests, mut askers) = std::mem::take(&mut *self.waiting.borrow_mut());
                if requests.is_empty() {
                    break;
                }
                let answers = together(service, &requests);
                requests.drain(..answers.len());
                for (asker, answer) in askers.drain(..answers.len()).zip(answers) {
                    // Whoever hung up needs no answer.
                    _ = asker.send(answer);
                }
                // What is left keeps its place before what comes meanwhile.
                *self.waiting.borrow_mut() = (requests, askers);
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Answers the first of the requests and as many more as go with it; a panic is an answer, too.
fn together(service: &RefCell<Service>, requests: &[Request]) -> Vec<Response> {
    let answer = |requests: &[Request]| {
        let answered = catch_unwind(AssertUnwindSafe(|| service.borrow_mut().respond_together(requests, TOGETHER_FOR)));
        answered.map_err(|_| service.borrow().recover()).ok()
    };
    answer(requests).unwrap_or_else(|| {
        let Some(first) = requests.first() else { return Vec::new() };
        // It is not known which of them it was.
        answer(std::slice::from_ref(first)).unwrap_or_else(|| vec![service.borrow().broken(first)])
    })
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Serves until the lifeline ends (for ever, if there is none).
pub(super) fn serve(service: Service, listener: OwnedFd, lifeline: Option<OwnedFd>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, accept(Rc::new(RefCell::new(service)), listener, lifeline))
}

async fn accept(service: Rc<RefCell<Service>>, listener: OwnedFd, lifeline: Option<OwnedFd>) -> io::Result<()> {
    let listener = Listener::new(listener)?;
    let mut lifeline = lifeline.map(pipe::Receiver::from_owned_fd).transpose()?;
    let slots = Arc::new(Semaphore::new(APP_CONNECTIONS_MAX));
    let (ending, _) = watch::channel(());
    let desk = Rc::new(Desk::default());
    let clerk = (Rc::clone(&service), Rc::clone(&desk));
    tokio::task::spawn_local(async move { clerk.1.work(&clerk.0).await });
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|stream| (stream, slot))
        };
        tokio::select! {
            biased;
            () = ended(&mut lifeline) => break,
            connection = next => match connection {
                Ok((stream, slot)) => {
                    let (service, desk, end) = (Rc::clone(&service), Rc::clone(&desk), ending.subscribe());
                    tokio::task::spawn_local(async move {
                        talk(service, desk, stream, end).await;
                        drop(slot);
                    });
                }
                Err(e) => {
                    // Out of descriptors or the like: the peers in the queue wait, the log says why.
                    super::log(&format!("cannot accept: {e}"));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
    drop(ending);
    let all = u32::try_from(APP_CONNECTIONS_MAX).unwrap_or(u32::MAX);
    // Whoever is still talking after this is cut off.
    _ = tokio::time::timeout(DRAIN_WITHIN, slots.acquire_many(all)).await;
    Ok(())
}

/// Returns when the parent is gone; never without a lifeline.
async fn ended(lifeline: &mut Option<pipe::Receiver>) {
    match lifeline {
        Some(pipe) => {
            let mut octet = [0];
            // Nobody writes to it; whatever comes means the end.
            _ = pipe.read(&mut octet).await;
        }
        None => std::future::pending().await,
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

impl Listener {
    /// The socket's family decides.
    fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = std::net::TcpListener::from(socket);
        socket.set_nonblocking(true)?;
        // `local_addr` knows internet addresses only.
        if socket.local_addr().is_ok() {
            TcpListener::from_std(socket).map(Self::Tcp)
        } else {
            UnixListener::from_std(OwnedFd::from(socket).into()).map(Self::Unix)
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Self::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

/// One connection to its end.
async fn talk(service: Rc<RefCell<Service>>, desk: Rc<Desk>, stream: Box<dyn Stream>, mut end: watch::Receiver<()>) {
    let answer = service_fn(|request| {
        let (service, desk) = (Rc::clone(&service), Rc::clone(&desk));
        async move { answer(&service, &desk, request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(Paced::new(stream)), answer);
    tokio::pin!(connection);
    // Errors here are the peer's: it hung up, was too slow or spoke no HTTP; hyper has answered what can be answered.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = end.changed() => connection.as_mut().graceful_shutdown(),
    }
    _ = connection.await;
}

async fn answer(
    service: &RefCell<Service>,
    desk: &Desk,
    request: hyper::Request<Incoming>,
) -> io::Result<hyper::Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |t| t.as_str());
    let mut asked = Request::new(head.method.as_str(), target);
    for name in ["authorization", "content-type", "cookie", "sec-fetch-site", "x-forwarded-for", "x-signature"] {
        if let Some(value) = head.headers.get(name).and_then(|v| v.to_str().ok()) {
            asked.headers.insert(name.to_owned(), value.to_owned());
        }
    }
    let body_max = service.borrow().body_max();
    let read = tokio::time::timeout(BODY_WITHIN, Limited::new(body, body_max).collect()).await;
    let response = match read {
        Ok(Ok(body)) => {
            asked.body = body.to_bytes().into();
            // Without an answer the connection is closed, as the process ends.
            desk.ask(asked).await.ok_or(io::ErrorKind::ConnectionAborted)?
        }
        Ok(Err(e)) if e.is::<LengthLimitError>() => service.borrow().too_large(&asked),
        Ok(Err(_)) | Err(_) => service.borrow().too_slow(&asked),
    };
    Ok(spell(response, head.method == hyper::Method::HEAD))
}

/// As hyper wants it.
fn spell(response: Response, head_only: bool) -> hyper::Response<Full<Bytes>> {
    let mut spelled = hyper::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        spelled = spelled.header(*name, value.as_str());
    }
    if head_only {
        spelled = spelled.header("content-length", response.body.len());
    }
    let body = if head_only { Bytes::new() } else { response.body.into() };
    // Header values are ours; one that HTTP cannot carry (a slug is ASCII, an id a number) would be a defect.
    spelled.body(Full::new(body)).unwrap_or_else(|_| {
        let mut broken = hyper::Response::new(Full::new(Bytes::from_static(b"broken header")));
        *broken.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
        broken
    })
}
