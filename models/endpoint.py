#!/usr/bin/env python3
"""Checks the constants of the end-of-turn scorer that words alone do not make (src/turn/endpoint/weights.rs, said.rs).

Each weight begins as a prior, set by hand from what people do, and is moved by silences in speech that is synthesised here
(maximum a posteriori logistic regression): callers who hesitate between the parts of sentences of this script, and callers who
have finished. Sentences and voices (Flite rms and slt, five of espeak-ng) are none that benches/turns speaks with. A third
of the hesitations end as a voice ends a sentence, so that no synthesiser's melody is learnt; the weight of the end-of-turn
model, which was trained on people, is held near its prior for the same reason, and that of the melody stays what it is.
What words say is made by endpoint_words.py, beside this. Seeded: the same numbers on every run with the same tools.

Needs flite, espeak-ng, sox, numpy, scipy, onnxruntime and native/ of `make setup`; about three minutes of one core.
Usage: models/endpoint.py NATIVE [DIRECTORY OF A PERSON'S PROMPTS, *.gsm or *.wav]
With prompts (Debian's asterisk-core-sounds-en-gsm) it also tells what the end-of-turn model makes of a person: whole prompts
against prompts cut off in the middle, asked after 100, 128 and 200 ms.
"""
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
import endpoint_words
from scipy.signal import resample_poly

SEED = 4711
TURNS = 420
ASKED_AFTER_MS = 128


def weight(name):
    """As it stands in the table: what is printed is how these sentences would move it."""
    return float(re.search(rf"\n    {name}: (-?[0-9.]+),", endpoint_words.read("src/turn/endpoint/weights.rs").split("WEIGHTS: Weights =")[1]).group(1))


# Weight: prior, its standard deviation. By what was asked (how often people finish is nothing that made-up callers can teach);
# how the words end; the model's log odds.
PRIORS = {
    **{name: (weight(name), 0.05) for name in ("open", "yes_no", "name")},
    "nothing": (-0.6, 0.1), "answer": (1.3, 0.2), "words": (weight("words"), 0.1), "sounded": (weight("sounded"), 0.02),
}
# As in endpoint.rs.
SOUNDED = (-2, 2)
WORDS_WIN = 1.0
VOICES = ["flite:rms", "flite:slt", "espeak:en-us+m7", "espeak:en-us+f4", "espeak:en-gb", "espeak:en-gb-scotland", "espeak:en-gb-x-rp+f3"]

# A "|" is where a caller may hesitate.
OPEN = [
    "good morning | this is about | the order from {day}", "we would like to | book a table | for {few} people",
    "i wonder whether | you could send | the invoice | again", "please move my appointment | to {day}",
    "the delivery | never arrived | at our office", "is there | a branch | near the {place}",
    "uh | can i speak to | somebody in accounts", "it says | the password | is not valid",
    "there is a problem with | the {thing} | you sold me", "do you open | on {day}", "i forgot to mention | the {thing}",
    "my name is on the list | but | nobody called me", "what happens if | the {thing} breaks",
    "you can reach me | at the {place} | until {day}", "change the address | to the {place}",
    "er | i think | it was {day} | or {day}", "we ordered {number} | boxes", "cancel it", "that will do | for today",
    "nothing else | thanks", "show me | the {thing} | and the price", "because | the {thing} was broken",
    "hello | i am calling about | an insurance claim", "how much | would that be | for {few} months",
]
YES_NO = [
    "yes", "no", "yeah", "sure | why not", "yes | but the {thing} is wrong", "no | the other one", "yes go ahead",
    "right", "no thank you", "okay | and then", "yes it is", "um | no", "absolutely", "that's correct",
]
NAME = ["{first}", "{first} | {last}", "this is {first} | {last}", "{last}", "the name is {last}", "it's | {first}"]
FILL = {
    "day": ["monday", "friday", "the fourth of june", "next week"], "few": ["three", "five", "seven"],
    "place": ["station", "river", "old market", "airport"], "thing": ["printer", "heater", "blue lamp", "contract"],
    "number": ["thirty | six", "two hundred", "eighty", "one hundred | and five"],
    "first": ["alice", "david", "sophie", "robert"], "last": ["miller", "jansen", "cooper", "fraser"],
}


WORDS = endpoint_words.fit(endpoint_words.rows())
ANSWER = set(re.findall(r'"([^"]+)"', endpoint_words.read("src/turn/endpoint/said.rs").split("const ANSWER:")[1].split("];")[0]))


def complete(words):
    """Kind and log odds of the words, about as `said::completeness`: names count as other words here."""
    if not words:
        return "nothing", 0.0
    if len(words) <= 4 and all(word in ANSWER for word in words) and words[-1] not in ("not", "is", "that", "that's"):
        return "answer", 0.0
    return "words", float(np.clip(endpoint_words.judge(WORDS, words), -2.4, 3.0))


class Judge:
    """smart-turn with Whisper's features, as `models::eot` asks it."""

    def __init__(self, native):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(f"{native}/smart-turn-v3.2-cpu.onnx", options)
        hertz = lambda mel: mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)
        top = 15 + 27 * np.log(8) / np.log(6.4)
        point = [hertz(top * n / 81) for n in range(82)]
        lines = np.arange(201) * 40.0
        self.bands = np.stack([
            np.maximum(0, np.minimum((lines - low) / (mid - low), (high - lines) / (high - mid))) * 2 / (high - low)
            for low, mid, high in zip(point, point[1:], point[2:])])
        self.hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)

    def log_odds(self, line):
        """Of 8 kHz samples."""
        wide = resample_poly(line / 32768, 2, 1)[-128000:]
        wide = np.pad(wide, (128000 - len(wide), 0))
        wide = np.pad((wide - wide.mean()) / np.sqrt(wide.var() + 1e-7), 200, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(wide, 400)[::160][:800] * self.hann
        levels = np.log10(np.maximum(np.abs(np.fft.rfft(frames)) ** 2 @ self.bands.T, 1e-10))
        levels = (np.maximum(levels, levels.max() - 8) + 4) / 4
        answer = self.session.run(None, {"input_features": levels.T[None].astype(np.float32)})[0][0, 0]
        answer = np.clip(answer, 1e-3, 1 - 1e-3)
        return float(np.log(answer / (1 - answer)))


def ulaw(samples):
    """G.711 and back."""
    magnitude = np.minimum(np.abs(samples.astype(np.int32)), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(int) - 7
    mantissa = (magnitude >> (exponent + 3)) & 15
    value = (((mantissa << 3) + 132) << exponent) - 132
    return np.where(samples < 0, -value, value)


def read(command):
    """Runs sox to raw 8 kHz samples, -20 dBFS, without the silence around them."""
    raw = subprocess.run(command + ["-t", "raw", "-r", "8000", "-c", "1", "-e", "signed", "-b", "16", "-"], check=True, capture_output=True).stdout
    samples = np.frombuffer(raw, "<i2").astype(float)
    frames = samples[: len(samples) // 80 * 80].reshape(-1, 80)
    level = 10 * np.log10((frames**2).mean(1) + 1)
    loud = np.flatnonzero(level > level.max() - 38)
    samples = samples[loud[0] * 80 : (loud[-1] + 1) * 80]
    return samples * 3277 / max(1.0, np.sqrt((samples**2).mean()))


def say(voice, text, directory):
    engine, name = voice.split(":")
    path = f"{directory}/said.wav"
    command = ["flite", "-voice", name, "-t", text, "-o", path] if engine == "flite" else ["espeak-ng", "-v", name, "-w", path, text]
    subprocess.run(command, check=True)
    return read(["sox", path])


def heard(speech, quiet_ms, noise):
    silence = np.zeros
    line = np.concatenate([silence(2400), speech, silence(quiet_ms * 8)])
    return ulaw((line + noise.uniform(-100, 100, len(line))).astype(np.int32))


def fill(text, pick):
    while slot := re.search(r"\{(\w+)\}", text):
        text = text.replace(slot.group(0), pick.choice(FILL[slot.group(1)]), 1)
    return text


def examples(judge):
    """(asked, (kind of words, log odds), log odds of the model, over) of each silence."""
    pick, noise = random.Random(SEED), np.random.default_rng(SEED)
    made = []
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(TURNS):
            asked, templates = pick.choice([("open", OPEN)] * 4 + [("yes_no", YES_NO)] + [("name", NAME)])
            parts = [part.strip() for part in fill(pick.choice(templates), pick).split("|")]
            voice, stop = pick.choice(VOICES), pick.randrange(len(parts))
            over = stop == len(parts) - 1
            words = " ".join(parts[: stop + 1])
            # A voice that goes on says a comma; one hesitation in three sounds like an end, as people's sometimes do.
            goes_on = not over and pick.random() > 1 / 3
            speech = say(voice, words + (", and then" if goes_on else "."), directory)
            if goes_on:
                tail_of = say(voice, "and then", directory)
                speech = speech[: max(2000, len(speech) - len(tail_of))]
                loud = np.flatnonzero(np.abs(speech) > 500)
                speech = speech[: loud[-1] + 1 if len(loud) else len(speech)]
            # What the recogniser gets wrong: the last word is lost now and then.
            shown = words.split()
            if len(shown) > 1 and pick.random() < 0.08:
                shown.pop()
            made.append((asked, complete(shown), judge.log_odds(heard(speech, ASKED_AFTER_MS, noise)), over))
    return made


def fit(made):
    names = list(PRIORS)
    rows = np.zeros((len(made), len(names)))
    for row, (asked, end, odds, _) in zip(rows, made):
        row[names.index(asked)] = 1
        kind, strength = end
        row[names.index(kind)] = strength if kind == "words" else 1
        strength = strength if kind == "words" else PRIORS[kind][0]
        row[names.index("sounded")] = np.clip(odds, *SOUNDED) / (1 + (strength / WORDS_WIN) ** 2)
    over = np.array([float(one[3]) for one in made])
    prior, spread = np.array(list(PRIORS.values())).T
    weights = prior.copy()
    for _ in range(30):
        chance = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (over - chance) - (weights - prior) / spread**2
        curve = (rows * (chance * (1 - chance))[:, None]).T @ rows + np.diag(1 / spread**2)
        weights += np.linalg.solve(curve, slope)
    loss = lambda w: float(-np.mean(np.log(np.where(over > 0, 1 / (1 + np.exp(-rows @ w)), 1 - 1 / (1 + np.exp(-rows @ w))))))
    free = weights.copy()
    for _ in range(200):
        chance = 1 / (1 + np.exp(-rows @ free))
        curve = (rows * (chance * (1 - chance))[:, None]).T @ rows + 0.05 * np.eye(len(free))
        free += 0.5 * np.linalg.solve(curve, rows.T @ (over - chance) - 0.05 * free)
    return names, prior, weights, free, (loss(prior), loss(weights), loss(free))


def person(judge, directory):
    """What the model makes of a person on the telephone."""
    noise, whole, cut = np.random.default_rng(SEED), {}, {}
    files = sorted(p for p in pathlib.Path(directory).iterdir() if p.suffix in (".gsm", ".wav"))
    for n, file in enumerate(files[::3]):
        speech = read(["sox", str(file)])
        for quiet in (100, 128, 200):
            if len(speech) > 8000:
                whole.setdefault(quiet, []).append(judge.log_odds(heard(speech, quiet, noise)))
                part = speech[: int(len(speech) * (0.4 + 0.1 * (n % 4)))]
                cut.setdefault(quiet, []).append(judge.log_odds(heard(part, quiet, noise)))
    for quiet in whole:
        odds, over = np.array(whole[quiet] + cut[quiet]), np.array([1.0] * len(whole[quiet]) + [0.0] * len(cut[quiet]))
        weight = bias = 0.0
        for _ in range(2000):
            error = over - 1 / (1 + np.exp(-(weight * odds + bias)))
            weight, bias = weight + 0.05 * (error * odds).mean(), bias + 0.05 * error.mean()
        share = lambda values: f"{100 * np.mean(np.array(values) > 0):.0f} %"
        print(f"// a person, {quiet} ms: {len(whole[quiet])} whole, held for over {share(whole[quiet])}; cut off {share(cut[quiet])}; weight {weight:.2f}, bias {bias:+.2f}")


def main():
    judge = Judge(sys.argv[1])
    if len(sys.argv) > 2:
        person(judge, sys.argv[2])
    made = examples(judge)
    names, prior, weights, free, losses = fit(made)
    print(f"// {len(made)} silences, {sum(one[3] for one in made)} of them ends; log loss with the priors {losses[0]:.3f}, fitted {losses[1]:.3f}, without priors {losses[2]:.3f}")
    for name, before, now, alone in zip(names, prior, weights, free):
        print(f"    {name}: {now:.2f}, // prior {before:.2f}, without priors {alone:.2f}")
    print(f"    fell: {weight('fell'):.2f},")


main()
