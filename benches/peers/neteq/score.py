"""Scores what the buffers made of the traces: PESQ (narrow band) against the speech that was sent, and the delay that the
audio itself shows. usage: score.py SPEECH.wav DIRECTORY [OUT.json]"""

import json
import pathlib
import sys
from glob import escape as glob_escape

import numpy as np
import soundfile
from pesq import pesq
from scipy.signal import resample_poly

RATE = 8000
MS = RATE // 1000


def tiles(degraded, speech, delay):
    """The speech is sent again and again: one PESQ for each time, shifted by the mean delay."""
    n = len(speech)
    scores = []
    for start in range(0, len(degraded) - n - int(delay * MS), n):
        part = degraded[start + int(delay * MS) :][:n]
        scores.append(pesq(RATE, speech, part, "nb"))
    return float(np.mean(scores))


def heard_delay(degraded, speech):
    """Mean lag of the audio, ms: windows of 400 ms are looked for up to 600 ms later."""
    window, lags, found = 400 * MS, 600 * MS, []
    sent = np.tile(speech, len(degraded) // len(speech) + 1).astype(np.float64)
    degraded = degraded.astype(np.float64)
    for start in range(RATE, len(degraded) - window - lags - RATE, 500 * MS):
        pattern = sent[start : start + window]
        searched = degraded[start : start + window + lags]
        if np.sqrt(np.mean(pattern**2)) < 300:
            continue
        size = 1 << int(np.ceil(np.log2(len(searched) + window)))
        spectrum = np.fft.rfft(searched, size) * np.conj(np.fft.rfft(pattern, size))
        cross = np.fft.irfft(spectrum, size)[: lags + 1]
        energy = np.concatenate([[0], np.cumsum(searched**2)])
        energy = energy[window : window + lags + 1] - energy[: lags + 1]
        likeness = cross / np.sqrt(np.maximum(energy, 1) * np.sum(pattern**2))
        if likeness.max() > 0.6:
            found.append(np.argmax(likeness) / MS)
    return float(np.mean(found)) if found else float("nan")


def place(degraded, speech):
    """Where the first 4 s of speech are found in a recording that begins with silence."""
    sound = int(np.argmax(np.abs(degraded.astype(np.int32)) > 200))
    begin = max(sound - 2 * RATE, 0)
    pattern, searched = speech[: 4 * RATE].astype(np.float64), degraded[begin : begin + 7 * RATE].astype(np.float64)
    size = 1 << int(np.ceil(np.log2(len(searched) + len(pattern))))
    cross = np.fft.irfft(np.fft.rfft(searched, size) * np.conj(np.fft.rfft(pattern, size)), size)
    return begin + int(np.argmax(cross[: len(searched) - len(pattern)]))


def main():
    speech, _ = soundfile.read(sys.argv[1], dtype="int16")
    directory = pathlib.Path(sys.argv[2])
    rows = {}
    for line in (directory / "figures.tsv").read_text().splitlines():
        name, peer, concealed, wait, cpu = line.split("\t")
        degraded = np.fromfile(directory / f"{name}--{peer}.raw", dtype="int16")
        heard = heard_delay(degraded, speech)
        rows[name, peer] = {
            "concealed": 100 * float(concealed),
            "wait": float(wait),
            "heard": heard,
            "pesq": tiles(degraded, speech, heard),
            "cpu": float(cpu) / 1000,
        }
    for figures in sorted(directory.glob("*--chromium.json")):
        name = figures.name.removesuffix("--chromium.json")
        f = json.loads(figures.read_text())
        audio = next(directory.glob(glob_escape(name) + "--chromium.*.raw"))
        rate = int(audio.name.split(".")[-2])
        degraded = np.fromfile(audio, dtype="int16")
        if rate != RATE:
            degraded = resample_poly(degraded.astype(np.float64), RATE, rate)
            degraded = np.clip(degraded, -32768, 32767).astype(np.int16)
        # The recording has no common clock with the sender: it is cut 300 ms before its best place.
        start = max(place(degraded, speech) - 300 * MS, 0)
        degraded = degraded[start:]
        rows[name, "chromium"] = {
            "concealed": 100 * f["concealedSamples"] / f["totalSamplesReceived"],
            "wait": 1000 * f["jitterBufferDelay"] / f["jitterBufferEmittedCount"],
            "heard": float("nan"),
            "pesq": tiles(degraded, speech, heard_delay(degraded, speech)),
            "cpu": float("nan"),
        }
    names = list(dict.fromkeys(name for name, _ in rows))
    peers = list(dict.fromkeys(peer for _, peer in rows))
    print(f"{'trace':16}" + "".join(f"{peer:^43}" for peer in peers))
    print(" " * 16 + f"{'wait ms  heard ms  conc. %   PESQ  us/10ms':>43}" * len(peers))
    for name in names:
        cells = ""
        for peer in peers:
            r = rows.get((name, peer))
            cells += (
                f"{r['wait']:9.1f} {r['heard']:9.1f} {r['concealed']:8.2f} {r['pesq']:6.2f} {r['cpu']:7.1f}" if r else ""
            )
        print(f"{name:16}{cells}")
    if len(sys.argv) > 3:
        flat = {f"{n}/{p}/{k}": v for (n, p), r in rows.items() for k, v in r.items() if v == v}
        pathlib.Path(sys.argv[3]).write_text(json.dumps(flat, indent=1))


main()
