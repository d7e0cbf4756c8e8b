//! Teachers for the upper half of the band. Purpose: the installed voices say all the sounds once, at 16 kHz and as they
//! come off the telephone, so that `callwright_dsp::widen` can estimate what a call cuts off. Owner: the command, before
//! it dials. Deliberately absent: the estimate itself.

use std::ops::ControlFlow;

use callwright_dsp::codec::g711;
use callwright_dsp::widen::Examples;
use callwright_models::Assets;
use callwright_models::tts::Flite;

use super::wave;

/// Voices that teach, as far as they are installed.
const TEACHERS: [&str; 3] = ["slt", "rms", "awb"];
/// All sounds of English, and the words that matter most.
const LESSON: [&str; 5] = [
    "Zero, one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve.",
    "Thirteen, fourteen, fifteen, sixteen, seventeen, eighteen, nineteen, twenty six records.",
    "Six, sixteen, sixty six, fifty five, eighty eight, forty four, thirty three.",
    "Shall I build it? Say yes or press one. This is a sixth thick fish, and both voices judge each church.",
    "Please check the path of those other young boys who sing a song about hot coffee and a cool view.",
];

/// Lets the installed voices speak, all at once: 0.5–2 s. Without any voice there are no examples.
pub fn learn(assets: &Assets) -> Examples {
    let mut all = Examples::default();
    std::thread::scope(|scope| {
        let lessons: Vec<_> = TEACHERS.map(|name| scope.spawn(|| lesson(assets, name))).into_iter().collect();
        // A teacher that fails teaches nothing; the others suffice.
        lessons.into_iter().filter_map(|l| l.join().ok()).for_each(|examples| all.append(examples));
    });
    all
}

fn lesson(assets: &Assets, name: &str) -> Examples {
    let mut examples = Examples::default();
    let Ok(mut voice) = Flite::load(assets, name) else { return examples };
    for text in LESSON {
        let mut wide = Vec::new();
        voice.speak(text, &mut |chunk| {
            wide.extend_from_slice(chunk);
            ControlFlow::Continue(())
        });
        let mut narrow = wave::halve(&wide);
        let mut octets = vec![0; narrow.len()];
        g711::encode_ulaw(&narrow, &mut octets);
        g711::decode_ulaw(&octets, &mut narrow);
        examples.add(&wide, &narrow);
    }
    examples
}
