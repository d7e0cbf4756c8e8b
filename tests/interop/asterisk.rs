//! Asterisk with a registrar, a dialplan of a dozen numbers, and nothing else.

use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A line of the daemon at the PBX.
pub(crate) struct Line {
    pub(crate) user: &'static str,
    pub(crate) transport: &'static str,
    /// As Asterisk names it.
    allow: &'static str,
    pub(crate) codec: &'static str,
    pub(crate) what: &'static str,
    /// Further lines of its endpoint.
    more: &'static str,
    /// What answers its calls at the daemon.
    pub(crate) app: &'static str,
}

impl Line {
    const fn of(user: &'static str, what: &'static str) -> Self {
        Self { user, transport: "udp", allow: "ulaw", codec: "PCMU", what, more: "", app: "echo" }
    }

    /// Whether calls by it are tried both ways.
    pub(crate) fn is_echo(&self) -> bool {
        !self.what.is_empty()
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.more.contains("media_encryption=sdes")
    }
}

pub(crate) const LINES: &[Line] = &[
    Line::of("200", "UDP, G.711"),
    Line { more: "moh_passthrough=yes\n", ..Line::of("201", "") },
    Line { allow: "g722", codec: "G722", ..Line::of("202", "G.722") },
    Line { allow: "opus", codec: "opus", ..Line::of("203", "Opus") },
    Line { more: "media_encryption=sdes\n", ..Line::of("204", "SRTP by SDES") },
    Line { transport: "tcp", ..Line::of("205", "TCP") },
    Line { more: "timers=always\ntimers_min_se=90\ntimers_sess_expires=90\n", ..Line::of("206", "") },
    Line { app: "manual", ..Line::of("207", "") },
    Line { app: "manual", more: "dtmf_mode=info\n", ..Line::of("208", "") },
    Line { more: "direct_media=yes\n", ..Line::of("209", "") },
    Line { more: "direct_media=yes\n", ..Line::of("210", "") },
    Line { transport: "tls", more: "media_encryption=sdes\n", ..Line::of("211", "TLS and SRTP") },
    Line { app: "tone:450", ..Line::of("212", "") },
];

const MODULES: &[&str] = &[
    "pbx_config",
    "res_timing_timerfd",
    "res_sorcery_config",
    "res_sorcery_memory",
    "res_sorcery_astdb",
    "res_statsd",
    "res_pjproject",
    "res_rtp_asterisk",
    "res_srtp",
    "res_crypto",
    "res_http_websocket",
    "res_pjsip",
    "res_pjsip_pubsub",
    "res_pjsip_session",
    "res_pjsip_sdp_rtp",
    "res_pjsip_authenticator_digest",
    "res_pjsip_outbound_authenticator_digest",
    "res_pjsip_registrar",
    "res_pjsip_refer",
    "res_pjsip_caller_id",
    "res_pjsip_diversion",
    "res_pjsip_endpoint_identifier_user",
    "res_pjsip_rfc3326",
    "res_pjsip_dtmf_info",
    "res_pjsip_nat",
    "res_pjsip_path",
    "chan_pjsip",
    "bridge_simple",
    "bridge_native_rtp",
    "bridge_softmix",
    "bridge_builtin_features",
    "res_clioriginate",
    "app_echo",
    "app_dial",
    "app_read",
    "app_senddtmf",
    "app_playtones",
    "app_milliwatt",
    "app_mixmonitor",
    "format_wav",
    "format_pcm",
    "codec_ulaw",
    "codec_alaw",
    "codec_g722",
    "codec_opus_open_source",
    "codec_resample",
    "res_format_attr_opus",
    "func_callerid",
    "func_global",
    "func_periodic_hook",
    "func_cut",
    "func_groupcount",
    "func_uri",
    "app_chanspy",
];

pub(crate) struct Asterisk {
    child: Child,
    tree: Option<PathBuf>,
    /// Its files, as the machine sees them.
    dir: PathBuf,
    /// The same as it sees them.
    inside: PathBuf,
    /// UDP and TCP.
    pub(crate) sip: SocketAddr,
    pub(crate) tls: SocketAddr,
    /// SHA-256 of its certificate.
    pub(crate) fingerprint: Option<String>,
}

/// A port that is free for UDP and for TCP.
pub(crate) fn free_port() -> std::io::Result<SocketAddr> {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = udp.local_addr()?;
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
}

impl Asterisk {
    pub(crate) fn start() -> Result<Self, String> {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let peers =
            std::env::var_os("CALLWRIGHT_PEERS").map_or_else(|| home.join(".cache/callwright-peers"), PathBuf::from);
        let tree = Some(peers.join("sid")).filter(|tree| tree.join("usr/sbin/asterisk").exists());
        if tree.is_none() && !Path::new("/usr/sbin/asterisk").exists() {
            return Err(format!(
                "Asterisk is neither in {} nor in the system: install it, or name a tree that holds it in CALLWRIGHT_PEERS",
                peers.join("sid").display()
            ));
        }
        Self::run(tree).map_err(|error| format!("Asterisk does not start: {error}"))
    }

    fn run(tree: Option<PathBuf>) -> std::io::Result<Self> {
        let temporary = tree.as_ref().map_or_else(std::env::temp_dir, |tree| tree.join("tmp"));
        let dir = temporary.join(format!("interop-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let inside = match &tree {
            Some(tree) => Path::new("/").join(dir.strip_prefix(tree).map_err(std::io::Error::other)?),
            None => dir.clone(),
        };
        let (sip, tls) = (free_port()?, free_port()?);
        let fingerprint = certificate(&dir);
        for (file, text) in files(&inside, sip, tls, fingerprint.is_some()) {
            std::fs::write(dir.join(file), text)?;
        }
        let mut command = program(tree.as_deref());
        let log = std::fs::File::create(dir.join("log"))?;
        let child = command
            .arg("-C")
            .arg(inside.join("asterisk.conf"))
            .args(["-f", "-n"])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let asterisk = Self { child, tree, dir, inside, sip, tls, fingerprint };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !asterisk.cli("core waitfullybooted").contains("fully booted") {
            if Instant::now() > deadline {
                return Err(std::io::Error::other(asterisk.log()));
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        Ok(asterisk)
    }

    /// What a command on its console says.
    pub(crate) fn cli(&self, line: &str) -> String {
        let output = program(self.tree.as_deref())
            .arg("-C")
            .arg(self.inside.join("asterisk.conf"))
            .args(["-rx", line])
            .current_dir("/")
            .output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    }

    pub(crate) fn version(&self) -> String {
        let text = self.cli("core show version");
        text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    /// Calls a line; who answers is connected to `number`.
    pub(crate) fn originate(&self, user: &str, number: &str) {
        self.cli(&format!("channel originate PJSIP/{user} extension {number}@default"));
    }

    /// A variable of the dialplan that has been set.
    pub(crate) fn global(&self, name: &str) -> Option<String> {
        let text = self.cli("dialplan show globals");
        let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}="))?.to_owned().into());
        line.filter(|value: &String| !value.is_empty())
    }

    /// Share of the energy of what was recorded that is at `hz`, and how many seconds that was.
    pub(crate) fn purity(&self, recording: &str, hz: f64) -> Option<(f64, f64)> {
        let octets = std::fs::read(self.dir.join(format!("{recording}.wav"))).ok()?;
        let pcm: Vec<f64> =
            octets.get(44..)?.chunks_exact(2).map(|s| f64::from(i16::from_le_bytes([s[0], s[1]]))).collect();
        // What is silent before the first sound, and the first moments of a codec, say nothing.
        let first = pcm.iter().position(|s| s.abs() > 500.0)? + 1600;
        let mut best = 0.0_f64;
        for part in pcm.get(first..)?.chunks_exact(4000) {
            let (mut re, mut im, mut energy) = (0.0, 0.0, 0.0);
            for (n, sample) in part.iter().enumerate() {
                let phase = TAU * hz * n as f64 / 8000.0;
                re += sample * phase.cos();
                im += sample * phase.sin();
                energy += sample * sample;
            }
            best = best.max(2.0 * (re * re + im * im) / (energy * part.len() as f64).max(1.0));
        }
        Some((best, (pcm.len() - first) as f64 / 8000.0))
    }

    pub(crate) fn log(&self) -> String {
        let read = |file: &str| std::fs::read_to_string(self.dir.join(file)).unwrap_or_default();
        format!("{}{}", read("log"), read("messages"))
    }
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn program(tree: Option<&Path>) -> Command {
    match tree {
        Some(tree) => {
            let mut command = Command::new("chroot");
            command.arg(tree).arg("asterisk");
            command
        }
        None => Command::new("asterisk"),
    }
}

/// Makes a certificate; gives its fingerprint, or nothing where there is no `openssl`.
fn certificate(dir: &Path) -> Option<String> {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=pbx", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    if !made.status.success() {
        return None;
    }
    let told = Command::new("openssl")
        .args(["x509", "-in", "cert.pem", "-noout", "-fingerprint", "-sha256"])
        .current_dir(dir)
        .output()
        .ok()?;
    String::from_utf8(told.stdout).ok()?.trim().split_once('=').map(|(_, print)| print.to_owned())
}

fn files(at: &Path, sip: SocketAddr, tls: SocketAddr, has_certificate: bool) -> Vec<(&'static str, String)> {
    let (at, modules) = (at.display(), "/usr/lib/x86_64-linux-gnu/asterisk/modules");
    let modules = if cfg!(target_arch = "aarch64") { modules.replace("x86_64", "aarch64") } else { modules.to_owned() };
    let load: String = MODULES.iter().map(|module| format!("load={module}.so\n")).collect();
    let mut pjsip = format!(
        "[global]\ntype=global\nendpoint_identifier_order=auth_username,username\n[system]\ntype=system\n\
         [udp]\ntype=transport\nprotocol=udp\nbind={sip}\n[tcp]\ntype=transport\nprotocol=tcp\nbind={sip}\n"
    );
    if has_certificate {
        let _ = write!(
            pjsip,
            "[tls]\ntype=transport\nprotocol=tls\nbind={tls}\ncert_file={at}/cert.pem\npriv_key_file={at}/key.pem\nmethod=tlsv1_2\n"
        );
    }
    for line in LINES {
        let user = line.user;
        let direct = if line.more.contains("direct_media") { "" } else { "direct_media=no\n" };
        let _ = write!(
            pjsip,
            "[{user}]\ntype=endpoint\ncontext=default\ntransport={}\nallow=!all,{}\nauth={user}\naors={user}\nrewrite_contact=yes\n{direct}{}\
             [{user}]\ntype=auth\nauth_type=userpass\nusername={user}\npassword=secret-{user}\n\
             [{user}]\ntype=aor\nmax_contacts=1\nremove_existing=yes\nqualify_frequency=5\n",
            line.transport, line.allow, line.more
        );
    }
    let dialplan = format!(
        "[default]\n\
         exten => _2XX,1,Dial(PJSIP/${{EXTEN}},20)\n\
         exten => _rec-.,1,Answer()\n same => n,MixMonitor({at}/all-${{EXTEN}}.wav,r({at}/${{EXTEN}}.wav))\n same => n,Milliwatt()\n\
         exten => _keysX,1,Answer()\n same => n,Read(D,,4,,1,8)\n same => n,Set(GLOBAL(K${{EXTEN:4}})=${{D}})\n same => n,Wait(5)\n\
         exten => press,1,Answer()\n same => n,Wait(1)\n same => n,SendDTMF(4711#,250,120)\n same => n,Wait(1)\n same => n,Hangup()\n\
         exten => early,1,Progress()\n same => n,Playtones(440)\n same => n,Wait(2)\n same => n,StopPlaytones()\n same => n,Answer()\n same => n,Echo()\n\
         exten => busy,1,Busy(3)\n\
         exten => ring,1,Ringing()\n same => n,Wait(15)\n\
         exten => short,1,Answer()\n same => n,Wait(1)\n same => n,Hangup()\n"
    );
    let empty = [
        "acl.conf",
        "ccss.conf",
        "cdr.conf",
        "cel.conf",
        "features.conf",
        "indications.conf",
        "pjproject.conf",
        "stasis.conf",
        "udptl.conf",
        "codecs.conf",
    ];
    let mut files = vec![
        (
            "asterisk.conf",
            format!(
                "[directories]\nastetcdir => {at}\nastmoddir => {modules}\nastvarlibdir => /var/lib/asterisk\nastdbdir => {at}\nastkeydir => /var/lib/asterisk\n\
                 astdatadir => /usr/share/asterisk\nastagidir => /usr/share/asterisk/agi-bin\nastspooldir => {at}\nastrundir => {at}\nastlogdir => {at}\n\
                 [options]\nverbose = 0\ndebug = 0\ntransmit_silence = no\n"
            ),
        ),
        ("modules.conf", format!("[modules]\nautoload=no\n{load}")),
        ("logger.conf", "[general]\n[logfiles]\nmessages => warning,error,notice\n".to_owned()),
        ("rtp.conf", "[general]\nrtpstart=26000\nrtpend=26999\nstrictrtp=no\nicesupport=no\n".to_owned()),
        ("extensions.conf", dialplan),
        ("pjsip.conf", pjsip),
    ];
    files.extend(empty.map(|file| (file, String::new())));
    files
}
