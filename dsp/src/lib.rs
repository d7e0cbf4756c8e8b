//! Everything that touches audio samples. Purpose: codecs, levels, tones, rates, concealment. Safe on a pinned media
//! thread: no function here allocates, locks or makes a system call. Invariants: 16-bit linear mono PCM unless a name
//! says otherwise; any input is accepted, none panics. Deliberately absent: tokio, serde, sockets, clocks, files.

pub mod beep;
pub mod brightness;
pub mod cng;
pub mod codec;
pub mod correlation;
pub mod dtmf;
pub mod echo_guard;
pub mod gain;
pub mod jitter;
pub mod kernel;
pub mod level;
pub mod limiter;
pub mod lpc;
pub mod mix;
mod pitch;
pub mod plc;
pub mod prosody;
pub mod resample;
pub mod tone;
pub mod widen;
