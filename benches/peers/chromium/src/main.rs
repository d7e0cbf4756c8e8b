//! `callwright-bench-chromium SPEECH.wav DIRECTORY`: plays the traces that `callwright-bench-neteq` left in DIRECTORY at headless
//! Chromium, all at once and in real time, as μ-law over SRTP on loopback; leaves `TRACE--chromium.RATE.raw` and
//! `TRACE--chromium.json` (the inbound-rtp figures of getStats, from the first packet to the last).

use callwright_dsp::codec::g711;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use str0m::change::SdpOffer;
use str0m::media::Mid;
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, SeqNo};
use str0m::{Candidate, Event, Input, Output, Rtc};

const FRAME: usize = 160;
/// μ-law's static payload type.
const PCMU: u8 = 0;
/// From the connection to the first packet.
const PAUSE: Duration = Duration::from_millis(1500);

/// One trace on its way to one connection of the page.
struct Leg {
    rtc: Rtc,
    socket: UdpSocket,
    address: SocketAddr,
    number: usize,
    mid: Option<Mid>,
    begins: Option<Instant>,
    sent: usize,
}

struct Shared {
    traces: Vec<(String, Vec<(u64, u32)>)>,
    speech: Vec<i16>,
    directory: String,
    /// Legs that the page has just made.
    made: Mutex<Vec<Leg>>,
    over: Mutex<Vec<bool>>,
    changed: Condvar,
    ended: Mutex<bool>,
}

fn payload(speech: &[i16], number: u32) -> Vec<u8> {
    let start = number as usize * FRAME;
    let frame: Vec<i16> = (start..start + FRAME).map(|n| speech[n % speech.len()]).collect();
    let mut octets = vec![0; FRAME];
    g711::encode_ulaw(&frame, &mut octets);
    octets
}

type Failure = Box<dyn std::error::Error>;

/// Moves all legs on; true when the last packet of one has just left.
fn step(leg: &mut Leg, trace: &[(u64, u32)], speech: &[i16]) -> Result<bool, Failure> {
    let mut octets = [0; 2000];
    while let Ok((length, source)) = leg.socket.recv_from(&mut octets) {
        let contents = octets[..length].try_into()?;
        let received = Receive { proto: Protocol::Udp, source, destination: leg.address, contents };
        leg.rtc.handle_input(Input::Receive(Instant::now(), received))?;
        drain(leg)?;
    }
    let before = leg.sent;
    if let (Some(mid), Some(begins)) = (leg.mid, leg.begins) {
        while let Some((at, number)) = trace.get(leg.sent) {
            if begins + Duration::from_nanos(*at) > Instant::now() {
                break;
            }
            leg.sent += 1;
            if let Some(stream) = leg.rtc.direct_api().stream_tx_by_mid(mid, None) {
                let octets: Arc<[u8]> = payload(speech, *number).into();
                let sequence = SeqNo::from(u64::from(*number) + 1000);
                let timestamp = number.wrapping_mul(FRAME as u32);
                stream.write_rtp(RtpWrite::new(PCMU.into(), sequence, timestamp, Instant::now(), octets));
            }
            leg.rtc.handle_input(Input::Timeout(Instant::now()))?;
            drain(leg)?;
        }
    }
    leg.rtc.handle_input(Input::Timeout(Instant::now()))?;
    drain(leg)?;
    Ok(leg.sent == trace.len() && before < leg.sent)
}

fn drain(leg: &mut Leg) -> Result<(), Failure> {
    loop {
        match leg.rtc.poll_output()? {
            Output::Timeout(at) if at <= Instant::now() => leg.rtc.handle_input(Input::Timeout(Instant::now()))?,
            Output::Timeout(_) => return Ok(()),
            Output::Transmit(datagram) => {
                leg.socket.send_to(&datagram.contents, datagram.destination)?;
            }
            Output::Event(Event::MediaAdded(media)) => leg.mid = Some(media.mid),
            Output::Event(Event::Connected) => leg.begins = Some(Instant::now() + PAUSE),
            Output::Event(_) => {}
        }
    }
}

fn send(shared: &Shared) {
    let mut legs: Vec<Leg> = Vec::new();
    let begun = Instant::now();
    while !*shared.ended.lock().expect("no thread panics") && begun.elapsed() < Duration::from_secs(400) {
        legs.append(&mut shared.made.lock().expect("no thread panics"));
        for leg in &mut legs {
            match step(leg, &shared.traces[leg.number].1, &shared.speech) {
                Ok(true) => {
                    shared.over.lock().expect("no thread panics")[leg.number] = true;
                    shared.changed.notify_all();
                }
                Ok(false) => {}
                Err(why) => eprintln!("{}: {why}", shared.traces[leg.number].0),
            }
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

fn offer(shared: &Shared, number: usize, sdp: &str) -> Result<String, Failure> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    let mut rtc = Rtc::builder()
        .clear_codecs()
        .enable_pcmu(true, false)
        .set_ice_lite(true)
        .set_rtp_mode(true)
        .build(Instant::now());
    rtc.add_local_candidate(Candidate::host(address, "udp")?);
    let answer = rtc.sdp_api().accept_offer(SdpOffer::from_sdp_string(sdp)?)?.to_sdp_string();
    let mut leg = Leg { rtc, socket, address, number, mid: None, begins: None, sent: 0 };
    drain(&mut leg)?;
    shared.made.lock().expect("no thread panics").push(leg);
    Ok(answer)
}

fn serve(shared: &Shared, stream: TcpStream) -> Result<(), Failure> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? <= 2 {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut parts = path.trim_start_matches('/').split('/');
    let what = parts.next().unwrap_or_default();
    let number: usize = parts.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let name = shared.traces.get(number).map(|t| t.0.as_str()).unwrap_or_default();
    let reply = match what {
        "" => include_str!("page.html").to_owned(),
        "count" => shared.traces.len().to_string(),
        "offer" => offer(shared, number, std::str::from_utf8(&body)?)?,
        "wait" => {
            let over = shared.over.lock().expect("no thread panics");
            let _over = shared.changed.wait_while(over, |over| !over[number]).expect("no thread panics");
            String::new()
        }
        "figures" => {
            std::fs::write(format!("{}/{name}--chromium.json", shared.directory), &body)?;
            String::new()
        }
        "audio" => {
            let rate = parts.next().unwrap_or("0");
            std::fs::write(format!("{}/{name}--chromium.{rate}.raw", shared.directory), &body)?;
            String::new()
        }
        "end" => {
            *shared.ended.lock().expect("no thread panics") = true;
            String::new()
        }
        _ => String::new(),
    };
    let kind = if what.is_empty() { "text/html" } else { "text/plain" };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{reply}",
        reply.len()
    )?;
    Ok(())
}

fn traces(directory: &str) -> Result<Vec<(String, Vec<(u64, u32)>)>, Failure> {
    let mut traces = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "trace") {
            let packets = std::fs::read_to_string(&path)?
                .lines()
                .filter_map(|line| line.split_once('\t'))
                .map(|(at, number)| Ok((at.parse()?, number.parse()?)))
                .collect::<Result<_, std::num::ParseIntError>>()?;
            traces.push((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), packets));
        }
    }
    traces.sort();
    Ok(traces)
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, speech, directory] = &arguments[..] else {
        return Err("usage: callwright-bench-chromium SPEECH.wav DIRECTORY".into());
    };
    str0m::crypto::from_feature_flags().install_process_default();
    // 16-bit samples behind a header of 44 octets.
    let speech = std::fs::read(speech)?[44..].chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]])).collect();
    let traces = traces(directory)?;
    let shared = Arc::new(Shared {
        over: Mutex::new(vec![false; traces.len()]),
        traces,
        speech,
        directory: directory.clone(),
        made: Mutex::default(),
        changed: Condvar::new(),
        ended: Mutex::new(false),
    });
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = shared.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shared = server.clone();
            std::thread::spawn(move || {
                if let Err(why) = serve(&shared, stream) {
                    eprintln!("request: {why}");
                }
            });
        }
    });
    let profile = format!("{directory}/profile");
    let mut browser = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"])
        .args(["--disable-features=WebRtcHideLocalIpsWithMdns", "--disable-background-timer-throttling"])
        .args(["--disable-renderer-backgrounding", "--disable-dev-shm-usage", "--no-first-run"])
        .arg(format!("--user-data-dir={profile}"))
        .arg(format!("http://{address}/"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    send(&shared);
    browser.kill()?;
    browser.wait()?;
    let _ = std::fs::remove_dir_all(profile);
    Ok(())
}
