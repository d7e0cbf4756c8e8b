//! The outside of an Opus packet, RFC 6716 section 3. Purpose: how long it lasts, in how many frames, and whether it carries
//! the one before, without decoding. Pure; borrows the packet; any octets are accepted, none panics. Invariants: what
//! `Packet::parse` lets through keeps all of the rules R1–R7 of section 3.4. Deliberately absent: the self-delimiting framing
//! of appendix B (RTP states the length), the range coder.

/// Longest packet, samples at 48 kHz (R5: 120 ms).
const SAMPLES_48K_MAX: u32 = 5_760;
/// Longest frame, octets (R2).
const FRAME_OCTETS_MAX: usize = 1_275;
/// Most frames: 48 of 2.5 ms are 120 ms.
const FRAMES_MAX: usize = 48;

/// What the frames are coded with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Linear prediction: speech, up to 8 kHz of audio; may carry redundancy for the packet before.
    Silk,
    /// Both: speech above 8 kHz.
    Hybrid,
    /// Transform: music, or low delay.
    Celt,
}

/// Audio bandwidth of the frames (table 1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Bandwidth {
    /// 4 kHz.
    Narrow,
    /// 6 kHz.
    Medium,
    /// 8 kHz.
    Wide,
    /// 12 kHz.
    SuperWide,
    /// 20 kHz.
    Full,
}

/// Why octets are no Opus packet. The sender's fault in every case: count it, treat the packet as lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// R1: no octet at all.
    Empty,
    /// R2, R4, R6, R7: a length points behind the end, or says more than a frame may have.
    Length,
    /// R3: two equal frames, or R6: equal frames, in octets that cannot be shared evenly.
    Uneven,
    /// R5: no frame, or more than 120 ms.
    Duration,
}

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty Opus packet",
            Self::Length => "an Opus frame is longer than its packet",
            Self::Uneven => "equal Opus frames in a packet that they do not fill",
            Self::Duration => "an Opus packet of no or more than 120 ms",
        })
    }
}

impl core::error::Error for Malformed {}

/// A well-formed packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    toc: u8,
    frames: u8,
    first: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads the table of contents and every length.
    ///
    /// # Errors
    /// [`Malformed`], by the rule that is broken.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Malformed> {
        let (toc, rest) = octets.split_first().ok_or(Malformed::Empty)?;
        let (frames, first) = match toc & 3 {
            0 => (1, rest),
            1 => {
                if rest.len() % 2 != 0 {
                    return Err(Malformed::Uneven);
                }
                (2, &rest[..rest.len() / 2])
            }
            2 => {
                let (first, second) = framed(rest)?;
                if second.len() > FRAME_OCTETS_MAX {
                    return Err(Malformed::Length);
                }
                (2, first)
            }
            _ => many(rest)?,
        };
        if first.len() > FRAME_OCTETS_MAX {
            return Err(Malformed::Length);
        }
        if frames == 0 || frames > FRAMES_MAX || frames as u32 * frame_samples_48k(*toc) > SAMPLES_48K_MAX {
            return Err(Malformed::Duration);
        }
        // At most FRAMES_MAX.
        Ok(Self { toc: *toc, frames: frames as u8, first })
    }

    /// How many frames.
    #[must_use]
    pub const fn frames(&self) -> usize {
        self.frames as usize
    }

    /// Length of each frame, samples at 48 kHz: 120 (2.5 ms) to 2880 (60 ms).
    #[must_use]
    pub const fn frame_samples_48k(&self) -> u32 {
        frame_samples_48k(self.toc)
    }

    /// Length of the packet, samples at 48 kHz, which is also what its RTP timestamp advances by (RFC 7587 section 4.1).
    #[must_use]
    pub const fn samples_48k(&self) -> u32 {
        self.frame_samples_48k() * self.frames as u32
    }

    /// What it is coded with.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        match self.toc >> 3 {
            0..12 => Mode::Silk,
            12..16 => Mode::Hybrid,
            _ => Mode::Celt,
        }
    }

    /// How much of the spectrum it holds.
    #[must_use]
    pub const fn bandwidth(&self) -> Bandwidth {
        match self.toc >> 3 {
            0..4 | 16..20 => Bandwidth::Narrow,
            4..8 => Bandwidth::Medium,
            8..12 | 20..24 => Bandwidth::Wide,
            12..14 | 24..28 => Bandwidth::SuperWide,
            _ => Bandwidth::Full,
        }
    }

    /// Whether two channels are coded (the decoder mixes them down to one).
    #[must_use]
    pub const fn is_stereo(&self) -> bool {
        self.toc & 4 != 0
    }

    /// Whether the sender left out the audio (DTX, or a lost packet re-sent empty): a decoder conceals it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.frames == 1 && self.first.is_empty()
    }

    /// Whether it carries a lower-rate copy of the packet before (LBRR, RFC 6716 section 4.2.3 and .4). The flags are the
    /// first bits of the first frame, and as they are coded with even odds, they stand there in plain: one bit of voice
    /// activity for each 20 ms, then LBRR, then the same for a second channel.
    #[must_use]
    pub fn has_redundancy(&self) -> bool {
        if self.mode() == Mode::Celt {
            return false;
        }
        let Some(flags) = self.first.first() else { return false };
        // 10 and 20 ms have one SILK frame, 60 ms three.
        let silk_frames = self.frame_samples_48k().div_ceil(960);
        let one = flags << silk_frames & 0x80 != 0;
        let other = self.is_stereo() && flags << (2 * silk_frames + 1) & 0x80 != 0;
        one || other
    }
}

/// Table 2: a configuration's frame size, samples at 48 kHz.
const fn frame_samples_48k(toc: u8) -> u32 {
    let (configuration, size) = (toc >> 3, toc >> 3 & 3);
    match configuration {
        0..12 => [480, 960, 1920, 2880][size as usize],
        12..16 => 480 << (size & 1),
        _ => 120 << size,
    }
}

/// A length (section 3.2.1: one octet up to 251, else two) and the frame and the rest that it tells apart.
fn framed(octets: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (length, rest) = length(octets)?;
    rest.split_at_checked(length).ok_or(Malformed::Length)
}

fn length(octets: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    match octets {
        [first @ 0..=251, rest @ ..] => Ok((usize::from(*first), rest)),
        [first, second, rest @ ..] => Ok((usize::from(*first) + 4 * usize::from(*second), rest)),
        _ => Err(Malformed::Length),
    }
}

/// Code 3 (section 3.2.5): any number of frames, perhaps padded. The number, and the first of them.
fn many(octets: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    let (count, mut rest) = octets.split_first().ok_or(Malformed::Length)?;
    let (variable, padded, frames) = (count & 0x80 != 0, count & 0x40 != 0, usize::from(count & 0x3f));
    if frames == 0 || frames > FRAMES_MAX {
        return Err(Malformed::Duration);
    }
    if padded {
        // 255 stands for 254 octets and another number behind it.
        let mut padding = 0;
        loop {
            let (octet, behind) = rest.split_first().ok_or(Malformed::Length)?;
            rest = behind;
            if *octet != 255 {
                padding += usize::from(*octet);
                break;
            }
            padding += 254;
        }
        let kept = rest.len().checked_sub(padding).ok_or(Malformed::Length)?;
        rest = &rest[..kept];
    }
    if !variable {
        if rest.len() % frames != 0 {
            return Err(Malformed::Uneven);
        }
        return Ok((frames, &rest[..rest.len() / frames]));
    }
    // All lengths but the last stand in front of all frames.
    let (mut first, mut sum) = (None, 0);
    for _ in 1..frames {
        let (octets, behind) = length(rest)?;
        rest = behind;
        first.get_or_insert(octets);
        sum += octets;
    }
    let last = rest.len().checked_sub(sum).ok_or(Malformed::Length)?;
    if last > FRAME_OCTETS_MAX {
        return Err(Malformed::Length);
    }
    let first = first.unwrap_or(last);
    Ok((frames, rest.get(..first).ok_or(Malformed::Length)?))
}

/// Body of the fuzz target and of a property test: nothing panics, and what is let through is within the rules.
pub fn fuzz(octets: &[u8]) {
    let Ok(packet) = Packet::parse(octets) else { return };
    assert!((1..=FRAMES_MAX).contains(&packet.frames()));
    assert!((120..=SAMPLES_48K_MAX).contains(&packet.samples_48k()));
    assert_eq!(packet.samples_48k() % 120, 0);
    assert!(packet.first.len() < octets.len());
    assert!(!(packet.has_redundancy() && packet.mode() == Mode::Celt));
    assert!(packet.bandwidth() <= Bandwidth::Wide || packet.mode() != Mode::Silk);
}
