//! A caller who orders a shop by voice, step by step, with `callwright dial`.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;

/// What the agent may say besides what is expected, so that the caller's ear has a choice.
const PHRASES: &str = include_str!("../phone_types/shop.toml");
/// What it says of orders that were put away, of changes to what is there, and of questions of builds.
const MORE: &[&str] = &[
    "should the line drop shall i call you when it is live",
    "your build goes on shall i call you when it is live",
    "i will call you when it is live",
    "all right euros",
    "all right pounds",
    "i am changing it now",
    "we were talking about your online shop",
    "shall we go on",
    "i need a clear yes or no",
    "shall i bring back the version before of your online shop",
    "please key in your pin and end with pound",
    "one moment",
    "the version before of your online shop is live again",
    "i leave it as it is",
    "the crm is deployed but does not answer at the moment",
    "a crm with contacts and deals",
    "a crm with contacts",
    "a website with pages and a blog",
    "what shall i change",
    "say for example without deals or add notes",
    "one moment i am still on it",
    "your crm is live",
    "that pin is not right",
];

/// The first words of the agent, and the order.
pub const ORDER: [&str; 2] = [
    "label = \"greeting\"\nexpect = [\"what shall i build for you\"]\ntimeout = 60",
    "label = \"order\"\nsay = \"Good afternoon, I'd like you to set up an online shop for our candles.\"",
];
/// Its read-back.
pub const READ_BACK: [&str; 1] = ["label = \"read-back\"\nexpect = [\"shop\", \"shall i build it\"]\ntimeout = 60"];
/// And the yes to it.
pub const APPROVAL: [&str; 1] = ["label = \"approval\"\nsay = \"Yes.\""];
/// Then: it is live, asks for its currency, and is live again with the answer.
pub const IN_EUROS: [&str; 6] = [
    "label = \"live\"\nexpect = [\"is live\", \"one question\", \"currency\"]\ntimeout = 120",
    "label = \"answer\"\nsay = \"Euros, please.\"",
    "label = \"taken\"\nexpect = [\"euros\", \"changing it now\"]\ntimeout = 60",
    "label = \"live again\"\nexpect = [\"is live\"]\ntimeout = 120",
    "label = \"thanks\"\nsay = \"Thank you, goodbye.\"",
    "hang_up = true",
];

/// One scripted call to its end; what was said, where the script could not be followed.
pub fn call(to: SocketAddr, number: &str, from: &str, steps: &[&str]) -> Result<(), String> {
    let (phrases, _) = PHRASES.split_once("[[step]]").expect("a head and steps");
    let more = MORE.iter().fold(String::new(), |all, phrase| all + &format!("{phrase:?}, "));
    let mut text = phrases.replacen("phrases = [", &format!("phrases = [{more}"), 1);
    for step in steps {
        write!(text, "\n[[step]]\n{step}\n").expect("a text grows");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let script = dir.path().join("caller.toml");
    std::fs::write(&script, text).expect("a script");
    let output = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .arg("dial")
        .arg(format!("sip:{number}@{to}"))
        .args(["--from", &format!("<sip:{from}@127.0.0.1>"), "--script"])
        .arg(script)
        .env("CALLWRIGHT_NATIVE", super::native())
        .output()
        .expect("the binary starts");
    let shown = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(shown) }
}

/// What a caller says, at 8 kHz.
pub fn speech(text: &str) -> Vec<i16> {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("said.wav");
    let said = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .args(["say", "--voice", "rms", "--output"])
        .arg(&file)
        .arg(text)
        .env("CALLWRIGHT_NATIVE", super::native())
        .env("CALLWRIGHT_OFFLINE", "1")
        .output()
        .expect("the binary starts");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let mut reader = hound::WavReader::open(&file).expect("speech");
    assert_eq!(reader.spec().sample_rate, 8_000);
    reader.samples::<i16>().map(|sample| sample.expect("a sample")).collect()
}
