//! Codecs, one file each. Purpose: octets ↔ samples. Deliberately absent: packets (that is `rtp`).

pub mod g711;
