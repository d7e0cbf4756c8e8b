//! Names of the product's vocabulary that a recogniser wrote in other words: "dish board", "black chain", "see arm".
//!
//! Pure. Compares what one to three words sound like (consonants by place, vowels as one) with what the names sound like.
//! Invariant: only longer names, and only where a turn names nothing else. Deliberately absent: short names that sound like
//! everyday words (`lexicon.txt` lists their spellings).

use super::vectorise::is_plain;

/// Names and what stands for them among normalised words.
const NAMES: &[(&str, &str)] = &[
    ("dashboard", "dashboard"),
    ("blockchain", "blockchain"),
    ("ecommerce", "onlineshop"),
    ("onlineshop", "onlineshop"),
    ("onlinestore", "onlineshop"),
    ("website", "website"),
    ("webpage", "website"),
    ("homepage", "website"),
];
/// Sounds that may differ, of ten.
const DIFFER_MAX: usize = 2;

/// One letter a sound: consonants made alike are one, vowels in a row are one "a", doubled ones are single.
pub(super) fn sounds(word: &str) -> Vec<u8> {
    let letters: Vec<char> = word.chars().filter(char::is_ascii_lowercase).collect();
    let (mut out, mut k): (Vec<u8>, usize) = (Vec::new(), 0);
    while k < letters.len() {
        let next = letters.get(k + 1).copied().unwrap_or(' ');
        let (sound, count) = match (letters[k], next) {
            ('s', 'h') | ('c', 'h') => (b's', 2),
            ('t', 'h') => (b't', 2),
            ('p', 'h') => (b'f', 2),
            ('g', 'h') => (b' ', 2),
            ('c', 'k') => (b'k', 2),
            ('c', 'e' | 'i' | 'y') => (b's', 1),
            ('a' | 'e' | 'i' | 'o' | 'u' | 'y', _) => (b'a', 1),
            ('b' | 'p', _) => (b'p', 1),
            ('d' | 't', _) => (b't', 1),
            ('c' | 'k' | 'g' | 'q' | 'x', _) => (b'k', 1),
            ('s' | 'z' | 'j', _) => (b's', 1),
            ('f' | 'v', _) => (b'f', 1),
            ('m' | 'n', _) => (b'n', 1),
            ('h', _) => (b' ', 1),
            (other, _) => (other as u8, 1),
        };
        // A final e is silent.
        let silent = sound == b' ' || letters[k] == 'e' && k + 1 == letters.len() && !out.is_empty();
        if !silent && out.last() != Some(&sound) {
            out.push(sound);
        }
        k += count;
    }
    out
}

/// How many sounds must be put in, left out or changed to make one of the other.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

/// Words around an answer.
const POLITE: &[&str] = &["please", "thanks", "thank", "you", "um", "uh", "yes", "well", "in", "take", "the"];

/// The one of `names` that a short answer sounds like, by all of the name or its last word ("we rose" for "euros"); `None`: none
/// or several. For questions that were asked just now: in free speech too much sounds alike.
#[must_use]
pub fn sounds_like(text: &str, names: &[&str]) -> Option<usize> {
    let plain = text.to_lowercase().replace(|c: char| !c.is_alphanumeric(), " ");
    let is_answer = |word: &&str| !POLITE.contains(word);
    // "You" may be the beginning of the answer: "you rose" is "euros".
    let with_you = |word: &&str| is_answer(word) || *word == "you";
    let words = |kept: &dyn Fn(&&str) -> bool| plain.split_whitespace().filter(kept).collect::<Vec<&str>>();
    near(&words(&is_answer), names).or_else(|| near(&words(&with_you), names))
}

/// The one of `names` that these words sound like.
fn near(words: &[&str], names: &[&str]) -> Option<usize> {
    if words.is_empty() || words.len() > 3 {
        return None;
    }
    let heard = sounds(&words.concat());
    let differ = |name: &str| {
        let target = sounds(&name.to_lowercase());
        let differ = distance(&heard, &target);
        // A short name may have another sound before it; with one less it is another word ("yours").
        (target.len() >= 4 && differ <= 1 && (heard.len() >= target.len() || target.len() > 4)).then_some(differ)
    };
    let of = |name: &str| {
        name.split(' ')
            .next_back()
            .map_or_else(|| differ(name), |last| differ(name).into_iter().chain(differ(last)).min())
    };
    let mut near: Vec<(usize, usize)> =
        names.iter().enumerate().filter_map(|(at, name)| Some((of(name)?, at))).collect();
    near.sort_unstable();
    match near.as_slice() {
        [(_, at)] => Some(*at),
        [(least, at), (next, _), ..] if least < next => Some(*at),
        _ => None,
    }
}

/// The words with the most like-sounding name in its place, where one to three of them sound like one.
pub(super) fn put_right(words: &[String]) -> Option<Vec<String>> {
    let mut best: Option<(usize, usize, usize, &str)> = None;
    for (name, meant) in NAMES {
        let target = sounds(name);
        for count in 1..=3 {
            for (start, window) in words.windows(count).enumerate() {
                let joined = window.concat();
                // Of one word only a long one: "wide" is no website.
                if window.iter().any(|word| is_plain(word))
                    || joined.len() + 3 < name.len()
                    || joined.len() > name.len() + 4
                    || !joined.starts_with(&name[..1])
                {
                    continue;
                }
                let differ = distance(&sounds(&joined), &target);
                let close = differ * 10 <= target.len() * DIFFER_MAX;
                if close && best.is_none_or(|(least, ..)| differ < least) {
                    best = Some((differ, start, count, meant));
                }
            }
        }
    }
    let (_, start, count, meant) = best?;
    let mut right = words.to_vec();
    right.splice(start..start + count, [meant.to_owned()]);
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(text: &str) -> Option<String> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        put_right(&words).map(|words| words.join(" "))
    }

    #[test]
    fn answers_by_their_sound() {
        let names = ["US dollars", "euros", "pounds", "Swiss francs"];
        for (heard, meant) in [
            ("we rose please", Some(1)),
            ("you rose please", Some(1)),
            ("thank you", None),
            ("your rows", Some(1)),
            ("a rose", Some(1)),
            ("Euros.", Some(1)),
            ("bounce", Some(2)),
            ("founds, please", Some(2)),
            ("collars", Some(0)),
            ("swiss franks", Some(3)),
            ("yours", None),
            ("no", None),
            ("how is it doing", None),
            ("what do you mean", None),
            ("goodbye", None),
            ("", None),
        ] {
            assert_eq!(sounds_like(heard, &names), meant, "{heard}");
        }
    }

    #[test]
    fn names_by_their_sound() {
        for (heard, meant) in [
            ("build me a dash bored", "build me a dashboard"),
            ("make a dush port", "make a dashboard"),
            ("we need a block chein", "we need a blockchain"),
            ("i want a bloc shane", "i want a blockchain"),
            ("a web side please", "a website please"),
            ("we want an a comers shop", "we want an a comers shop"),
        ] {
            assert_eq!(right(heard).unwrap_or_else(|| heard.to_owned()), meant, "{heard}");
        }
        for other in
            ["we bought a board", "the weather is nice", "what a wide street", "black coffee please", "my back hurts"]
        {
            assert_eq!(right(other), None, "{other}");
        }
    }
}
