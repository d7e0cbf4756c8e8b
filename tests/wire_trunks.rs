//! Registrations and passwords over real sockets: one daemon is the PBX of another, and Kamailio, which other people wrote,
//! is registrar and Record-Routing proxy of both sorts of calls. What is said is heard at the other end.

mod rig;

use callwright::rtp::Codec;
use callwright::sip::agent::{LineConfig, SipEvent};
use callwright::sip::auth::{Login, Password};
use callwright::sip::hop::Hop;
use rig::ua::{Ua, purity};
use rig::{Daemon, eventually, free_udp};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const OWN: f64 = 700.0;
const OTHER: f64 = 1300.0;

/// A trunk entry that registers as 200 at `registrar`.
fn trunk(name: &str, registrar: SocketAddr, password: &str) -> String {
    format!(
        "[[trunks]]\nname = \"{name}\"\nhost = \"127.0.0.1\"\nport = {}\nregister = true\nregister_s = 60\nusername = \"200\"\n\
         from_user = \"200\"\npassword = \"{password}\"\n",
        registrar.port()
    )
}

fn wait_for(daemon: &Daemon, what: &str) {
    assert!(eventually(Duration::from_secs(10), || daemon.log().contains(what)), "no {what:?} in\n{}", daemon.log());
}

/// The caller hears its own tone come back.
async fn echoes(caller: &Ua) {
    let heard = caller.talk(OWN, 900, None).await;
    assert!(heard.pcm.len() >= 30 * 160, "{} samples", heard.pcm.len());
    let alike = purity(&heard.pcm, OWN);
    assert!(alike > 0.8, "{alike:.3} of what it hears is what it said");
}

async fn both_are_heard(one: &Ua, other: &Ua) {
    let (at_one, at_other) = tokio::join!(one.talk(OWN, 900, None), other.talk(OTHER, 900, None));
    for (heard, hz) in [(&at_one, OTHER), (&at_other, OWN)] {
        let alike = purity(&heard.pcm, hz);
        assert!(heard.pcm.len() >= 30 * 160 && alike > 0.8, "{} samples, {alike:.3}", heard.pcm.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_is_the_pbx_of_another_which_is_called_and_calls() {
    let pbx = Daemon::start_with(
        "[[extensions]]\nnumber = \"200\"\npassword = \"s3cret\"\n[[routes]]\nmatch = \"echo\"\napp = \"echo\"",
    );
    let routes =
        "[[routes]]\nmatch = \"200\"\napp = \"echo\"\n[[routes]]\nmatch = \"9\"\napp = \"bridge:trunk:pbx:echo\"\n";
    let mut branch = Daemon::start_with(&format!("{routes}{}", trunk("pbx", pbx.sip, "s3cret")));
    wait_for(&branch, "registered: calls reach us");
    // In: the PBX calls its extension, which is the other daemon.
    let mut caller = Ua::new(&[Codec::Pcmu]);
    caller.invite(pbx.sip, "200").await;
    caller.accepted().await;
    echoes(&caller).await;
    caller.hang_up().await;
    caller.ended().await;
    // Out: the other daemon calls as its extension, and has to prove it.
    let mut caller = Ua::new(&[Codec::Pcmu]);
    caller.invite(branch.sip, "9").await;
    caller.accepted().await;
    echoes(&caller).await;
    caller.hang_up().await;
    caller.ended().await;
    for daemon in [&pbx, &branch] {
        assert!(!daemon.log().contains("s3cret"), "no password in a log");
    }
    // Once it has gone, its number is not there any more.
    assert!(branch.terminate());
    let mut caller = Ua::new(&[Codec::Pcmu]);
    caller.invite(pbx.sip, "200").await;
    let code = caller
        .until("refusal", |e| match e {
            SipEvent::Refused { code, .. } => Some(*code),
            _ => None,
        })
        .await;
    assert_eq!(code, 480, "{}", pbx.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_that_has_proved_itself_needs_no_pin_where_it_is_trusted_and_strangers_do() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("pin");
    std::fs::write(&file, "47114711").expect("the file is written");
    let agent = |name: &str, trusts: bool| {
        format!("[[agents]]\nname = \"{name}\"\npin_file = {file:?}\ntrust_extensions = {trusts}\n")
    };
    let pbx = Daemon::start_with(&format!(
        "[[extensions]]\nnumber = \"200\"\npassword = \"s3cret\"\n\
         [[routes]]\nmatch = \"31\"\napp = \"agent:vault\"\n[[routes]]\nmatch = \"32\"\napp = \"agent:strict\"\n{}{}",
        agent("vault", true),
        agent("strict", false)
    ));
    let routes = ["31", "32"].map(|to| format!("[[routes]]\nmatch = \"9{to}\"\napp = \"bridge:trunk:pbx:{to}\"\n"));
    let branch = Daemon::start_with(&format!("{}{}", routes.concat(), trunk("pbx", pbx.sip, "s3cret")));
    wait_for(&branch, "registered: calls reach us");
    let asked = || pbx.log().matches("key in your PIN").count();
    for (to, number, pins) in [(branch.sip, "931", 0), (branch.sip, "932", 1), (pbx.sip, "31", 1)] {
        let (before, greetings) = (asked(), pbx.log().matches("who=Agent text=Hello").count());
        let mut caller = Ua::new(&[Codec::Pcmu]);
        caller.invite(to, number).await;
        caller.accepted().await;
        let greeted = || pbx.log().matches("who=Agent text=Hello").count() > greetings;
        for _ in 0..20 {
            caller.talk(OWN, 500, None).await;
            if greeted() {
                break;
            }
        }
        assert!(greeted(), "{number}: {}", pbx.log());
        assert_eq!(asked() - before, pins, "{number}: {}", pbx.log());
        caller.hang_up().await;
        caller.ended().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_telephones_of_an_extension_ring_and_the_first_to_answer_has_the_call() {
    let daemon = Daemon::start_with(
        "[[extensions]]\nnumber = \"200\"\npassword = \"s3cret\"\n[[routes]]\nmatch = \"200\"\napp = \"bridge:extension:200\"",
    );
    let mut desk = registered_phone(daemon.sip, "200").await;
    let mut wall = registered_phone(daemon.sip, "200").await;
    let mut caller = Ua::new(&[Codec::Pcmu]);
    caller.invite(daemon.sip, "200").await;
    for phone in [&mut desk, &mut wall] {
        phone.ringing().await;
        phone.sip.ring(phone.leg).await.expect("it rings");
    }
    caller.until("ringing", |e| matches!(e, SipEvent::Progress { code: 180, .. }).then_some(())).await;
    wall.accept().await;
    caller.accepted().await;
    desk.until("CANCEL", |e| matches!(e, SipEvent::Cancelled { .. }).then_some(())).await;
    both_are_heard(&caller, &wall).await;
    wall.hang_up().await;
    caller.ended().await;
    // One of them is busy, and the other has the call all the same.
    caller.invite(daemon.sip, "200").await;
    desk.ringing().await;
    wall.ringing().await;
    wall.sip.reject(wall.leg, 486, "", &[]).await.expect("it rings");
    desk.accept().await;
    caller.accepted().await;
    caller.hang_up().await;
    desk.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_of_trunks_drops_neither_a_call_nor_a_registration_that_stays() {
    let pbx = Daemon::start_with(
        "[[extensions]]\nnumber = \"200\"\npassword = \"s3cret\"\n[[extensions]]\nnumber = \"201\"\npassword = \"other-s3cret\"\n\
         [[routes]]\nmatch = \"echo\"\napp = \"echo\"",
    );
    let route = "[[routes]]\nmatch = \"9\"\napp = \"bridge:trunk:pbx:echo\"\n";
    let branch = Daemon::start_with(&format!("{route}{}", trunk("pbx", pbx.sip, "s3cret")));
    wait_for(&branch, "registered: calls reach us");
    let mut caller = Ua::new(&[Codec::Pcmu]);
    caller.invite(branch.sip, "9").await;
    caller.accepted().await;
    let file = branch.data.parent().expect("its directory").join("callwright.toml");
    let before = std::fs::read_to_string(&file).expect("its configuration");
    let reload = |configuration: &str| {
        std::fs::write(&file, configuration).expect("written");
        let (status, body) =
            rig::request(branch.http, "POST", "/v1/reload", "application/json", "{}").expect("answered");
        assert_eq!(status, 200, "{body}");
    };
    // Another one beside it, and the first may carry less.
    let second = trunk("second", pbx.sip, "other-s3cret").replace("\"200\"", "\"201\"");
    reload(&format!("{}\n{second}", before.replace("name = \"pbx\"", "name = \"pbx\"\nmax_calls = 1")));
    assert!(
        eventually(Duration::from_secs(10), || branch.log().matches("registered: calls reach us").count() == 2),
        "{}",
        branch.log()
    );
    echoes(&caller).await;
    assert!(!branch.log().contains("unregistered"), "the first has stayed");
    // Both go, and so does the route; who talks goes on talking.
    reload(&before[..before.find("[[routes]]").expect("a route")]);
    assert!(
        eventually(Duration::from_secs(10), || branch.log().matches("unregistered").count() == 2),
        "{}",
        branch.log()
    );
    echoes(&caller).await;
    caller.hang_up().await;
    caller.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_neither_registers_nor_calls() {
    let pbx = Daemon::start_with("[[extensions]]\nnumber = \"200\"\npassword = \"s3cret\"\n");
    let routes = "[[routes]]\nmatch = \"9\"\napp = \"bridge:trunk:pbx:echo\"\n";
    let branch = Daemon::start_with(&format!("{routes}{}", trunk("pbx", pbx.sip, "guessed")));
    wait_for(&branch, "not registered");
    assert!(branch.log().contains("correct username, auth_username or password"), "{}", branch.log());
    let mut caller = Ua::new(&[Codec::Pcmu]);
    caller.invite(branch.sip, "9").await;
    caller.until("refusal", |e| matches!(e, SipEvent::Refused { .. }).then_some(())).await;
    assert!(!pbx.log().contains("call offered"), "{}", pbx.log());
}

#[test]
fn a_daemon_without_a_password_that_it_needs_says_which() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("c.toml");
    let text = "[[trunks]]\nname = \"carrier\"\nhost = \"127.0.0.1\"\nregister = true\nusername = \"1\"\npassword_env = \"CARRIER_PASSWORD\"\n";
    std::fs::write(&file, text).expect("written");
    let check = |password: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callwright"));
        command.arg("check").arg(&file).env("CALLWRIGHT_NATIVE", rig::native()).env_remove("CARRIER_PASSWORD");
        let output = command.envs(password.map(|p| ("CARRIER_PASSWORD", p))).output().expect("it runs");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    };
    let (good, text) = check(None);
    assert!(!good && text.contains("trunk carrier") && text.contains("CARRIER_PASSWORD"), "{text}");
    let (good, text) = check(Some("hunter2"));
    assert!(good && !text.contains("hunter2"), "{text}");
}

/// Kamailio as registrar with digest and as proxy that stays in the way.
struct Kamailio {
    child: Child,
    address: SocketAddr,
    dir: tempfile::TempDir,
}

impl Kamailio {
    /// `None`, and a message that nobody overlooks, where it is not installed: `make setup-test` installs it.
    #[expect(clippy::print_stderr, reason = "a test that did not test must say so")]
    fn start() -> Option<Self> {
        let program =
            ["/usr/sbin/kamailio", "/usr/local/sbin/kamailio"].into_iter().find(|p| std::path::Path::new(p).exists());
        let Some(program) = program else {
            eprintln!("\n*** NOT TESTED: Kamailio is not installed here; `make setup-test` installs it ***\n");
            return None;
        };
        let modules = [
            "/usr/lib/x86_64-linux-gnu/kamailio/modules",
            "/usr/lib/aarch64-linux-gnu/kamailio/modules",
            "/usr/lib64/kamailio/modules",
        ];
        let modules = modules.into_iter().find(|p| std::path::Path::new(p).exists()).expect("Kamailio's modules");
        let (address, dir) = (free_udp(), tempfile::tempdir().expect("a directory"));
        let config = format!(
            r#"#!KAMAILIO
debug=2
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
listen=udp:{address}
mpath="{modules}/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 60)
modparam("auth", "nonce_count", 1)
modparam("auth", "qop", "auth")
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
        sl_send_reply("404", "Not Here");
        exit;
    }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("kamailio", "s3cret", "0")) {{ www_challenge("kamailio", "1"); exit; }}
        save("location");
        exit;
    }}
    if (is_method("INVITE")) {{
        if ($fU == "200") {{
            if (!pv_proxy_authenticate("kamailio", "s3cret", "0")) {{ proxy_challenge("kamailio", "1"); exit; }}
            consume_credentials();
        }}
        record_route();
        if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
        t_relay();
        exit;
    }}
    sl_send_reply("200", "OK");
}}
"#
        );
        let file = dir.path().join("kamailio.cfg");
        std::fs::write(&file, config).expect("Kamailio's configuration");
        let log = std::fs::File::create(dir.path().join("log")).expect("a log");
        let child = Command::new(program)
            .args(["-DD", "-E", "-m", "32", "-M", "8", "-f"])
            .arg(&file)
            .arg("-w")
            .arg(dir.path())
            .arg("-Y")
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log twice"))
            .stderr(log)
            .spawn()
            .expect("Kamailio starts");
        let kamailio = Self { child, address, dir };
        assert!(eventually(Duration::from_secs(10), || kamailio.answers()), "Kamailio answers\n{}", kamailio.log());
        Some(kamailio)
    }

    fn answers(&self) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let me = socket.local_addr().expect("bound");
        let options = format!(
            "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKup;rport\r\nFrom: <sip:t@{me}>;tag=1\r\nTo: <sip:{to}>\r\n\
             Call-ID: up\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
            to = self.address
        );
        let mut buffer = [0; 2000];
        socket.send_to(options.as_bytes(), self.address).is_ok() && socket.recv(&mut buffer).is_ok()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        rig::signal(self.child.id(), "TERM");
        if !eventually(Duration::from_secs(5), || matches!(self.child.try_wait(), Ok(Some(_)))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A phone of ours that registers as this number.
async fn registered_phone(registrar: SocketAddr, number: &str) -> Ua {
    let mut phone = Ua::new(&[Codec::Pcmu]);
    let line = LineConfig {
        account: "registrar".into(),
        registrar: format!("sip:{registrar}"),
        aor: format!("sip:{number}@{registrar}"),
        contact_user: number.to_owned(),
        expires: Duration::from_secs(60),
        public: None,
    };
    let login = Login { username: number.to_owned(), password: Password::new("s3cret"), realm: None };
    let begin = move |agent: &mut callwright::sip::agent::Agent, now| {
        agent.set_account("registrar", Some(login), vec![]);
        agent.set_lines(now, vec![line]);
        agent.set_trunk_hops(now, "registrar", vec![Hop::udp(registrar)]);
    };
    phone.sip.with(begin).await.expect("SIP runs");
    let registered = |e: &SipEvent| match e {
        SipEvent::Line(line) if line.bound_until.is_some() => Some(()),
        _ => None,
    };
    phone.until("registration", registered).await;
    phone
}

#[tokio::test(flavor = "multi_thread")]
async fn kamailio_as_registrar_with_digest_and_as_record_routing_proxy() {
    let Some(kamailio) = Kamailio::start() else { return };
    let routes =
        "[[routes]]\nmatch = \"200\"\napp = \"echo\"\n[[routes]]\nmatch = \"9\"\napp = \"bridge:trunk:kamailio:201\"\n";
    let daemon = Daemon::start_with(&format!("{routes}{}", trunk("kamailio", kamailio.address, "s3cret")));
    wait_for(&daemon, "registered: calls reach us");
    // In, by way of the proxy.
    let mut caller = Ua::new(&[Codec::Pcmu]);
    caller.invite(kamailio.address, "200").await;
    caller.accepted().await;
    echoes(&caller).await;
    caller.hang_up().await;
    caller.ended().await;
    // Out, by way of the proxy, which asks for the password, to a phone that is registered there.
    let mut callee = registered_phone(kamailio.address, "201").await;
    let mut caller = Ua::new(&[Codec::Pcmu]);
    caller.invite(daemon.sip, "9").await;
    let (from, _) = callee.ringing().await;
    assert!(from.contains("sip:200@"), "as the trunk wants it: {from}");
    callee.accept().await;
    caller.accepted().await;
    both_are_heard(&caller, &callee).await;
    // BYE from the far end takes the recorded route back.
    callee.hang_up().await;
    caller.ended().await;
    assert!(!daemon.log().contains("s3cret"));
}
