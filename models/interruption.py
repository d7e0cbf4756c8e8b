#!/usr/bin/env python3
"""Tells what constants of src/turn/interruption.rs make of sounds over the agent's voice.

Reads what `cargo bench --profile dev --bench turns -- 0 260 0 rehearsal trace` wrote (target/bench/sounds-rehearsed.jsonl):
texts, voices and speeds that benches/turns does not measure. Follows each sound to the moment of the verdict as
`TurnMachine` does, and prints for several constants which share of interruptions is stopped for and when, and which share of
backchannels, side talk and noise. Word lists are read from the Rust file. Then: what a logistic regression on the same
evidence gives, each text judged by a fit that has not seen it: it shows what could be gained by weighing instead of asking.

Needs numpy. Usage: models/interruption.py [FILE]
"""
import json
import pathlib
import re
import sys

import numpy as np

ROOT = pathlib.Path(__file__).parent.parent
SOURCE = (ROOT / "src/turn/interruption.rs").read_text()
VOICE_PITCHED, SPOKEN_VOICE, CERTAIN_VOICE, ENDED, FALLEN_DB = 60, 220, 250, 128, 20
LOUD_DB, DARK_DB = 8, -21
CHUNK, PER_MS = 32, 8


def words(name):
    return re.findall(r'"([^"]+)"', SOURCE.split(f"const {name}:")[1].split("];")[0])


def phrases():
    body = SOURCE.split("const BACKCHANNEL_PHRASES:")[1].split("\n];")[0].split("= &[")[1]
    return [re.findall(r'"([^"]+)"', phrase) for phrase in re.findall(r"&\[([^\[\]]+)\]", body)]


INTERRUPTING, BACKCHANNEL, PHRASES = words("INTERRUPTING"), words("BACKCHANNEL"), phrases()


def kind(text):
    """What words say, as `judge` asks."""
    said = re.findall(r"[a-z0-9']+", text.lower())
    if not said:
        return "none"
    if any(word in INTERRUPTING for word in said):
        return "interrupting"
    rest = said
    while rest:
        phrase = next((phrase for phrase in PHRASES if rest[: len(phrase)] == phrase), None)
        if phrase is None and rest[0] not in BACKCHANNEL:
            return {1: "one", 2: "two"}.get(len(said), "several")
        rest = rest[len(phrase or rest[:1]) :]
    return "backchannel"


def evidence(sound):
    """(ms since the onset as the bench counts, evidence) at each judgement."""
    onset, voiced, pitched, last, peak, fallen, text, chunks = None, 0, 0.0, 0.0, -99.0, 0, "", []
    since = lambda at: (at - sound["onset"]) / PER_MS
    for what, fed, *event in sound["heard"]:
        ms = now = since(fed)
        if ms <= 0:
            continue
        if onset is None and (what == "stirs" or what == "voice" and (event[1] or event[4])):
            onset = since(event[0]) - (0 if what == "stirs" else CHUNK)
            last = ms
        if onset is None:
            continue
        if what == "words":
            text = event[0]
        if what == "voice":
            at, is_voiced, last_voiced, dbfs, _, pitch, bright = event
            now, peak = since(at), max(peak, dbfs)
            fallen = fallen + CHUNK if dbfs < peak - FALLEN_DB else 0
            chunks.append((dbfs, bright))
            if is_voiced:
                voiced += CHUNK
                pitched += CHUNK * min(1, max(0, pitch))
                last = max(last, since(last_voiced))
        loud = [bright for dbfs, bright in chunks[-16:] if dbfs >= max(chunks[-16:])[0] - LOUD_DB]
        murmur = len(chunks) >= 8 and sum(bright > DARK_DB for bright in loud) <= 1
        yield ms, dict(elapsed=now - onset, voiced=voiced, pitched=pitched, quiet=now - last, fallen=fallen, peak=peak, murmur=murmur, kind=kind(text))


def verdict(sound, decide_after, fallen_ms):
    """When it is stopped for; none: never."""
    for ms, heard in evidence(sound):
        is_voice = heard["pitched"] >= VOICE_PITCHED
        spoken = is_voice and heard["voiced"] >= SPOKEN_VOICE
        if is_voice and heard["kind"] == "interrupting" or spoken and heard["kind"] == "several":
            return ms
        if heard["elapsed"] >= decide_after:
            ended = heard["fallen"] >= fallen_ms or heard["quiet"] >= ENDED
            long = heard["pitched"] * 3 >= heard["voiced"] >= CERTAIN_VOICE
            murmured = heard["murmur"] and heard["kind"] == "none" and heard["pitched"] >= 0.6 * heard["voiced"]
            goes_on = long and not ended and not murmured and heard["kind"] != "backchannel" and heard["peak"] > -33
            return ms if goes_on or spoken and heard["kind"] == "two" else None
    return None


def weighed(sounds, decide_after):
    """Shares kept of backchannels where so many interruptions are stopped for."""
    rows, meant, texts = [], [], []
    for sound in sounds:
        heard = next((heard for _, heard in evidence(sound) if heard["elapsed"] >= decide_after), None)
        if heard and sound["kind"] in ("interruption", "backchannel"):
            kinds = ("none", "one", "two", "several", "interrupting", "backchannel")
            rows.append([1, heard["fallen"] / 100, heard["quiet"] / 100, heard["voiced"] / 400, heard["murmur"], *(heard["kind"] == name for name in kinds)])
            meant.append(sound["kind"] == "interruption")
            texts.append(sound["text"])
    rows, meant, texts = np.array(rows, float), np.array(meant, float), np.array(texts)
    odds = np.zeros(len(rows))
    for text in set(texts):
        seen, weights = texts != text, np.zeros(rows.shape[1])
        for _ in range(30):
            chance = 1 / (1 + np.exp(-rows[seen] @ weights))
            curve = (rows[seen].T * (chance * (1 - chance))) @ rows[seen] + np.eye(rows.shape[1])
            weights += np.linalg.solve(curve, rows[seen].T @ (meant[seen] - chance) - weights)
        odds[~seen] = rows[~seen] @ weights
    for share in (0.97, 0.95, 0.9):
        least = np.quantile(odds[meant == 1], 1 - share)
        yield share, np.mean(odds[meant == 0] < least)


def main():
    file = sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/bench/sounds-rehearsed.jsonl"
    sounds = [json.loads(line) for line in open(file)]
    for decide_after in (416, 432, 448):
        for fallen_ms in (32, 64, 96):
            line = f"decided after {decide_after} ms, fallen for {fallen_ms} ms:"
            for name in ("interruption", "backchannel", "side talk", "noise"):
                of = [verdict(sound, decide_after, fallen_ms) for sound in sounds if sound["kind"] == name]
                stopped = [ms for ms in of if ms is not None]
                line += f" {name} {len(stopped) / max(1, len(of)):.2f}"
                if name == "interruption":
                    line += f" (p95 {np.percentile(stopped, 95):.0f} ms)"
            print(line)
    for share, kept in weighed(sounds, 432):
        print(f"weighed, where {share:.0%} of interruptions are stopped for: {kept:.2f} of backchannels kept")


main()
