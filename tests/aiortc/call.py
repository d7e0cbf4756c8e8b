"""A call by aiortc, a WebRTC client that other people wrote: offers by WHIP, says one tone after the other and listens.

Usage: call.py URL HERTZ...   Prints JSON: the codec, for each tone how much of the sound that came back is that tone
(0 to 1), and aiortc's own figures. Ends the call by DELETE, as WHIP has it (RFC 9725 section 4.2).
"""

import asyncio
import fractions
import json
import math
import sys
import urllib.request
from urllib.parse import urljoin

from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame
from av.audio.resampler import AudioResampler

RATE = 8000
FRAME = RATE // 50
# A machine that stands still is no failure.
LONG_S = 60
# One second is judged, once the tone before it is surely over.
JUDGED = RATE
ENOUGH = 0.9


class Tone(MediaStreamTrack):
    """A sine in real time; `hertz` may change at any time."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self.hertz = 0.0
        self.phase = 0.0
        self.sent = 0
        self.began = None

    async def recv(self):
        loop = asyncio.get_running_loop()
        self.began = self.began or loop.time()
        await asyncio.sleep(max(0.0, self.began + self.sent / RATE - loop.time()))
        samples = bytearray()
        for _ in range(FRAME):
            self.phase += math.tau * self.hertz / RATE
            samples += int(8000 * math.sin(self.phase)).to_bytes(2, "little", signed=True)
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.planes[0].update(bytes(samples))
        frame.sample_rate = RATE
        frame.pts = self.sent
        frame.time_base = fractions.Fraction(1, RATE)
        self.sent += FRAME
        return frame


def share(samples, hertz):
    """How much of the energy of these samples is at this frequency."""
    total = sum(sample * sample for sample in samples)
    if not total:
        return 0.0
    turn = math.tau * hertz / RATE
    real = sum(sample * math.cos(turn * n) for n, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(turn * n) for n, sample in enumerate(samples))
    return 2 * (real * real + imaginary * imaginary) / (len(samples) * total)


async def listen(track, heard):
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
    while True:
        for frame in resampler.resample(await track.recv()):
            octets = bytes(frame.planes[0])[: 2 * frame.samples]
            heard.extend(memoryview(octets).cast("h"))


def request(method, url, body=None):
    headers = {"Content-Type": "application/sdp", "Accept": "application/sdp"}
    asked = urllib.request.Request(url, body, headers, method=method)
    with urllib.request.urlopen(asked, timeout=LONG_S) as answer:
        return answer.headers, answer.read().decode()


async def main(url, tones):
    peer, tone, heard, ears = RTCPeerConnection(), Tone(), [], []
    connected = asyncio.Event()

    @peer.on("track")
    def on_track(track):
        ears.append(asyncio.ensure_future(listen(track, heard)))

    @peer.on("connectionstatechange")
    def on_state():
        if peer.connectionState == "connected":
            connected.set()

    peer.addTrack(tone)
    await peer.setLocalDescription(await peer.createOffer())
    body = peer.localDescription.sdp.encode()
    headers, sdp = await asyncio.to_thread(request, "POST", url, body)
    await peer.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
    await asyncio.wait_for(connected.wait(), LONG_S)

    shares = {}
    for hertz in tones:
        tone.hertz = float(hertz)
        deadline = asyncio.get_running_loop().time() + LONG_S
        while asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.2)
            shares[hertz] = share(heard[-JUDGED:], float(hertz)) if len(heard) >= JUDGED else 0.0
            if shares[hertz] > ENOUGH:
                break
    stats = {}
    for report in (await peer.getStats()).values():
        wanted = ("packetsReceived", "packetsLost", "jitter", "packetsSent", "roundTripTime")
        stats[report.type] = {name: getattr(report, name) for name in wanted if hasattr(report, name)}
    codec = next((line.split(" ", 1)[1] for line in sdp.splitlines() if line.startswith("a=rtpmap:")), "")
    await asyncio.to_thread(request, "DELETE", urljoin(url, headers["Location"]))
    for ear in ears:
        ear.cancel()
    await peer.close()
    print(json.dumps({"call": headers["Location"].rsplit("/", 1)[1], "codec": codec, "shares": shares, "stats": stats}))


asyncio.run(main(sys.argv[1], sys.argv[2:]))
