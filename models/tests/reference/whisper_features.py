#!/usr/bin/env python3
"""Makes whisper_features.txt: what the reference implementation makes of signals that the tests make too.

    python3 -m venv v && v/bin/pip install transformers==5.23.0 numpy==2.4.6 && v/bin/python whisper_features.py > whisper_features.txt

The reference is transformers' WhisperFeatureExtractor, called as smart-turn's own inference calls it: at most the last 8 s,
silence in front of less, normalised. Signals are whole numbers throughout, so that they are the same in every language.
"""

import numpy
from transformers import WhisperFeatureExtractor

RATE = 16_000
WINDOW = 8 * RATE
# Samples of each signal: a word, less than a window, a window, more than a window.
LENGTHS = [4_000, 50_001, WINDOW, 163_840]
# Of the 64,000 features of a signal every one of these is kept.
STEP = 131


def signal(length):
    """Sawtooths of rising pitch, loud, very soft or moderate by turns, with a little noise."""
    samples, seed = [], 1
    for n in range(length):
        seed = (seed * 1_664_525 + 1_013_904_223) % 2**32
        noise = (seed >> 22) - 512
        saw = n * (200 + 37 * (n // 8_000)) % RATE - 8_000
        samples.append([saw + noise, noise // 64, saw // 8 + noise][n // 4_000 % 3])
    return numpy.array(samples, dtype=numpy.int16)


def main():
    extractor = WhisperFeatureExtractor(chunk_length=8)
    print(f"# transformers' WhisperFeatureExtractor, every {STEP}th of 80 x 800 features; made by whisper_features.py")
    for length in LENGTHS:
        audio = signal(length).astype(numpy.float32)[-WINDOW:] / 32_768
        audio = numpy.pad(audio, (WINDOW - len(audio), 0))
        made = extractor(
            audio,
            sampling_rate=RATE,
            padding="max_length",
            max_length=WINDOW,
            truncation=True,
            do_normalize=True,
            return_tensors="np",
        )
        features = made.input_features[0]
        assert features.shape == (80, 800), features.shape
        print(length, *(f"{number:.5f}" for number in features.reshape(-1)[::STEP]))


main()
