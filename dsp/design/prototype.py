#!/usr/bin/env python3
"""Designs the low-pass filters of `dsp::resample` and prints `dsp/src/resample/prototype.rs`.

    python3 dsp/design/prototype.py > dsp/src/resample/prototype.rs      (numpy and scipy; then `cargo fmt`)
    python3 dsp/design/prototype.py --compare                            (the table that the choice was made from)

Every pair of rates shares the filter of its lower rate, which runs at the smallest common multiple of both. What is
free is the length (delay), the ripple and the stopband; the edges are given:

* lower rate 8 kHz: telephone speech to 3.4 kHz passes; what would fold onto it, from 4.6 kHz on, is stopped;
* lower rate 16 kHz: wideband speech to 7 kHz passes, from 9 kHz on is stopped;
* lower rate 24 kHz: 11 kHz passes, from 13 kHz on is stopped.

Linear phase, least maximum error (Parks and McClellan 1972). Lengths are odd, so that the delay is a whole number of
samples of the common rate, and under 1 ms. Minimum phase of the same length would halve the delay (8 and 16 kHz: 0.14 ms
at 1 kHz, 0.48 ms at 3.4 kHz), but no longer a constant: speech brought up to 16 kHz and down again then differs from
itself by 14 dB instead of 26 dB, and no shift takes that out. With linear phase recordings, word times and correlations
stay exact, so that is what we pay 0.5 ms for.
"""

import sys

import numpy as np
from scipy.signal import freqz, group_delay, minimum_phase, remez

# name, common rate Hz, passband edge Hz, stopband edge Hz, taps, weight of the stopband
FILTERS = [
    ("TELEPHONE_AT_16K", 16_000, 3_400, 4_600, 31, 10),
    ("TELEPHONE_AT_24K", 24_000, 3_400, 4_600, 45, 10),
    ("TELEPHONE_AT_48K", 48_000, 3_400, 4_600, 91, 10),
    ("WIDEBAND_AT_48K", 48_000, 7_000, 9_000, 63, 12),
    ("SUPERWIDEBAND_AT_48K", 48_000, 11_000, 13_000, 63, 12),
]


def design(rate, passed, stopped, taps, weight):
    h = remez(taps, [0, passed, stopped, rate / 2], [1, 0], weight=[1, weight], fs=rate, maxiter=200)
    h = (h + h[::-1]) / 2
    return h / h.sum()


def measure(h, rate, passed, stopped):
    """Ripple (largest deviation from 0 dB in the passband) and attenuation (least in the stopband), dB."""
    w, response = freqz(h, worN=16_384, fs=rate)
    level = 20 * np.log10(np.abs(response) + 1e-9)
    return np.abs(level[w <= passed]).max(), -level[w >= stopped].max()


def delays(h, rate, passed):
    """Group delay at 1 kHz and its largest in the passband, ms."""
    w, delay = group_delay((h, 1), w=4096, fs=rate)
    band = delay[(w >= 100) & (w <= passed)]
    return np.interp(1_000, w, delay) / rate * 1e3, band.max() / rate * 1e3


def compare():
    print("| filter | taps | phase | delay at 1 kHz, ms | largest, ms | ripple, dB | stopband, dB |\n|---|---|---|---|---|---|---|")
    for name, rate, passed, stopped, chosen, weight in FILTERS:
        for share in (0.6, 0.8, 1.0):
            taps = int(chosen * share) | 1
            h = design(rate, passed, stopped, taps, weight)
            shown = [("linear", h)]
            # `minimum_phase` halves the taps and takes the root of the response: a root of the stopband's error, hardly a
            # change of the passband's, hence the weight.
            long = remez(2 * taps - 1, [0, passed, stopped, rate / 2], [1, 0], weight=[1, 8_000], fs=rate, maxiter=400)
            m = minimum_phase(long, method="homomorphic", n_fft=1 << 16)
            shown.append(("minimum", m / m.sum()))
            for phase, f in shown:
                at, most = delays(f, rate, passed)
                ripple, stop = measure(f, rate, passed, stopped)
                print(f"| {name} | {len(f)} | {phase} | {at:.3f} | {most:.3f} | {ripple:.2f} | {stop:.1f} |")


def main():
    print("//! Low-pass filters of the resampler, one for each lower rate and common rate. Purpose: numbers only; printed by")
    print("//! `dsp/design/prototype.py`, which says how they were made. Linear phase: first half and middle of a symmetric")
    print("//! impulse response whose taps sum to 1.")
    for name, rate, passed, stopped, taps, weight in FILTERS:
        h = design(rate, passed, stopped, taps, weight)
        ripple, stop = measure(h, rate, passed, stopped)
        print(f"\n/// {taps} taps at {rate} Hz: to {passed} Hz within {ripple:.2f} dB, from {stopped} Hz on {stop:.1f} dB down;")
        print(f"/// {(taps - 1) / 2 / rate * 1e3:.4f} ms.")
        print(f"pub(super) const {name}: [f64; {(taps + 1) // 2}] = [")
        print("".join(f"    {tap:.9f},\n" for tap in h[: (taps + 1) // 2]) + "];")


if __name__ == "__main__":
    compare() if "--compare" in sys.argv else main()
