//! Ten networks, seeded. A trace is a list of (arrival, packet number); packets are 20 ms, sent from 0 on.

/// One network.
pub struct Trace {
    pub name: &'static str,
    /// (arrival in ns, packet), in order of arrival.
    pub packets: Vec<(u64, u32)>,
    /// Packets sent.
    pub sent: u32,
}

struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// All of them, each `sent` packets long, from one seed.
pub fn all(sent: u32, seed: u64) -> Vec<Trace> {
    let mut traces = Vec::new();
    let mut add = |name, arrival: &mut dyn FnMut(&mut Random, u32, f64) -> Option<f64>| {
        let mut random = Random(seed ^ (traces.len() as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut packets: Vec<(u64, u32)> = (0..sent)
            .filter_map(|n| {
                let due = f64::from(n) * 20.0;
                // Every network has up to 1 ms of noise, and 3 ms between sender and fetcher.
                let noise = random.between(3.0, 4.0);
                arrival(&mut random, n, due).map(|at| (((at + noise) * 1e6) as u64, n))
            })
            .collect();
        packets.sort_unstable();
        traces.push(Trace { name, packets, sent });
    };
    add("clean", &mut |_, _, due| Some(due));
    add("loss 5 %", &mut |r, _, due| (r.unit() >= 0.05).then_some(due));
    let mut bad = false;
    add("bursts 10 %", &mut |r, _, due| {
        // Gilbert: mean burst 2.5 packets, 10 % in the bad state.
        bad = if bad { r.unit() >= 0.4 } else { r.unit() < 0.4 * 0.1 / 0.9 };
        (!bad).then_some(due)
    });
    let mut last = 0.0f64;
    add("jitter 30 ms", &mut |r, _, due| {
        // A queue: packets do not overtake each other.
        last = last.max(due + (60.0 + 30.0 * r.normal()).clamp(0.0, 180.0));
        Some(last)
    });
    let mut spike = 1000.0;
    add("spikes 100 ms", &mut |r, _, due| {
        if due > spike + 100.0 {
            spike = due + r.between(1000.0, 3000.0);
        }
        Some(if due >= spike { spike + 100.0 } else { due })
    });
    add("reorder 5 %", &mut |r, _, due| Some(if r.unit() < 0.05 { due + r.between(25.0, 45.0) } else { due }));
    add("drift +200 ppm", &mut |_, _, due| Some(due * (1.0 - 200e-6)));
    add("drift -200 ppm", &mut |_, _, due| Some(due * (1.0 + 200e-6)));
    let mut gate = 0.0;
    add("wifi bursts", &mut |r, _, due| {
        // The radio sends what has piled up every 10 to 80 ms.
        while gate < due {
            gate += r.between(10.0, 80.0);
        }
        Some(gate)
    });
    add("outage 500 ms", &mut |_, _, due| {
        let at = due % 30_000.0;
        (!(12_000.0..12_500.0).contains(&at)).then_some(due)
    });
    traces
}
