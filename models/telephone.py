#!/usr/bin/env python3
"""Finds what the telephone does to the embedded recogniser's acoustic model: writes src/speech/telephone.mllr.

The model was made from wideband speech. Here the same sentences go to its own front end twice: as they were synthesised at
16 kHz, and through a telephone line (300-3400 Hz or 4 kHz, G.711, noise 20-30 dB below, level +-4 dB). A linear regression of
the cepstra of the line on those of the studio is then the transform of the model's means (identity variances); the mean of
the line's cepstra is what a call starts from (TELEPHONE_MEAN of src/speech/search.rs; printed). Deltas get their own.

The voices are kal16 of Flite and two of espeak-ng: none that a test or benchmark speaks with.
Needs flite, espeak-ng, numpy, scipy, soundfile, and native/ of `make setup`. Takes about two minutes.
Usage: models/telephone.py NATIVE OUTPUT
"""
import ctypes as C
import os
import subprocess
import sys
import tempfile

import numpy as np
import soundfile
from scipy.signal import firwin, resample_poly, upfirdn

VOICES = ["flite:kal16", "espeak:en-us+m3", "espeak:en-us+f2"]
SNR_DB = (30, 25, 20)
LEVEL_DBFS = -20
BAND = firwin(161, [300, 3400], pass_zero=False, fs=16000)
# As `callwright_dsp::resample::half_band`: what it leaves above 4 kHz counts.
HALF_BAND = 2 * firwin(31, 0.5, window=("kaiser", 3.6))
BAND_8K = firwin(81, [300, 3400], pass_zero=False, fs=8000)


def synthesise(voice, text, directory):
    engine, name = voice.split(":")
    path = os.path.join(directory, "said.wav")
    command = ["flite", "-voice", name, "-t", text, "-o", path] if engine == "flite" else ["espeak-ng", "-v", name, "-w", path, text]
    subprocess.run(command, check=True)
    samples, rate = soundfile.read(path)
    samples = resample_poly(samples * 32768, 16000, rate) if rate != 16000 else samples * 32768
    return np.concatenate([np.zeros(4800), samples, np.zeros(4800)])


def loudness(samples):
    return np.sqrt(np.mean(samples[np.abs(samples) > 0.03 * np.abs(samples).max()] ** 2))


def ulaw(samples):
    """G.711 and back."""
    magnitude = np.minimum(np.abs(samples.astype(np.int32)), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(int) - 7
    mantissa = (magnitude >> (exponent + 3)) & 15
    value = (((mantissa << 3) + 132) << exponent) - 132
    return np.where(samples < 0, -value, value)


def line(samples, snr, random, narrow):
    """16 kHz in, 16 kHz out with next to nothing above 4 kHz."""
    telephone = np.convolve(samples, BAND, "same")[::2] if narrow else resample_poly(samples, 1, 2)
    level = LEVEL_DBFS + 4 * (2 * random.random() - 1)
    telephone *= 10 ** (level / 20) * 32768 / loudness(telephone)
    if narrow:
        spectrum = np.fft.rfft(random.normal(size=len(telephone)))
        noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), len(telephone))
        noise = np.convolve(noise, BAND_8K, "same")
    else:
        noise = random.normal(size=len(telephone))
    telephone += noise / np.sqrt(np.mean(noise**2)) * 10 ** ((level - snr) / 20) * 32768
    return upfirdn(HALF_BAND, ulaw(np.clip(np.round(telephone), -32768, 32767)), up=2)[15:-15]


class FrontEnd:
    """The recogniser's own: it writes the cepstra of what it hears."""

    def __init__(self, native, directory):
        self.library = C.CDLL(os.path.join(native, "lib", "libpocketsphinx.so"))
        self.directory = os.path.join(directory, "cepstra")
        os.makedirs(self.directory)
        for name in ("ps_config_init", "ps_init", "ps_config_set_str"):
            getattr(self.library, name).restype = C.c_void_p
        model = os.path.join(native, "model", "en-us", "en-us")
        words = os.path.join(directory, "words")
        with open(words, "w", encoding="ascii") as file:
            file.write("yes Y EH S\n")
        config = C.c_void_p(self.library.ps_config_init(None))
        for name, value in {"hmm": model, "dict": words, "loglevel": "FATAL", "mfclogdir": self.directory}.items():
            self.library.ps_config_set_str(config, name.encode(), value.encode())
        self.decoder = C.c_void_p(self.library.ps_init(config))
        grammar = b"#JSGF V1.0;\ngrammar g;\npublic <g> = yes;\n"
        self.library.ps_add_jsgf_string(self.decoder, b"g", grammar)
        self.library.ps_activate_search(self.decoder, b"g")

    def cepstra(self, samples):
        pcm = np.ascontiguousarray(np.clip(np.round(samples), -32768, 32767), np.int16)
        self.library.ps_start_stream(self.decoder)
        self.library.ps_start_utt(self.decoder)
        self.library.ps_process_raw(self.decoder, pcm.ctypes.data_as(C.c_void_p), C.c_size_t(len(pcm)), 0, 0)
        self.library.ps_end_utt(self.decoder)
        (name,) = os.listdir(self.directory)
        path = os.path.join(self.directory, name)
        with open(path, "rb") as file:
            values = np.frombuffer(file.read()[4:], ">f4")
        os.remove(path)
        return values.reshape(-1, 13).astype(np.float64)


def dynamics(cepstra):
    """1s_c_d_dd: differences over 4 frames, and of those over 2."""
    padded = np.pad(cepstra, ((3, 3), (0, 0)), "edge")
    at = lambda offset: padded[3 + offset : 3 + offset + len(cepstra)]
    return at(2) - at(-2), (at(3) - at(-1)) - (at(1) - at(-3))


def aligned(studio, phone):
    """The line delays by a part of a frame: the studio's frames meet the line's, or those one later, whichever are louder together."""
    count = min(len(studio), len(phone)) - 1
    loud = lambda cepstra: cepstra[:, 0] - cepstra[:, 0].mean()
    off = lambda late: np.mean((loud(studio[:count]) - loud(phone[late : count + late])) ** 2)
    late = min((0, 1), key=off)
    return studio[:count], phone[late : count + late]


def main(native, output):
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "..", "src", "conversation", "everyday.txt"), encoding="utf-8") as file:
        sentences = [sentence.strip() for sentence in file][::12]
    studio, phone, means = ([], [], []), ([], [], []), []
    with tempfile.TemporaryDirectory() as directory:
        front_end = FrontEnd(native, directory)
        for number, sentence in enumerate(sentences):
            for nth, voice in enumerate(VOICES):
                random = np.random.default_rng(number)
                wide = synthesise(voice, sentence, directory)
                heard = line(wide, SNR_DB[number % 3], random, (number + nth) % 2 == 0)
                wide *= 10 ** (LEVEL_DBFS / 20) * 32768 / loudness(wide)
                a, b = front_end.cepstra(wide), front_end.cepstra(heard)
                a, b = aligned(a, b)
                means.append(b.mean(0))
                a, b = a - a.mean(0), b - b.mean(0)
                for stream, (x, y) in enumerate(zip((a, *dynamics(a)), (b, *dynamics(b)))):
                    studio[stream].append(x)
                    phone[stream].append(y)
    with open(output, "w", encoding="ascii") as file:
        file.write("1\n3\n")
        for stream in range(3):
            x, y = np.vstack(studio[stream]), np.vstack(phone[stream])
            found, *_ = np.linalg.lstsq(np.hstack([x, np.ones((len(x), 1))]), y, rcond=None)
            file.write("13\n")
            for row in (*found[:13].T, found[13], np.ones(13)):
                file.write(" ".join(f"{value:.6f}" for value in row) + "\n")
    print("TELEPHONE_MEAN:", ",".join(f"{value:.3f}" for value in np.mean(means, 0)))


if __name__ == "__main__":
    main(*sys.argv[1:3])
