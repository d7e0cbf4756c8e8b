//! The closed word classes of the request grammar. Pure data. Purpose: the grammar reads as sentences, the lists stand here.
//! Deliberately absent: artefacts (`artefact`) and features (`feature`).

#[rustfmt::skip]
pub(super) const MAKE: &[&str] = &[
    "build", "make", "create", "develop", "generate", "design", "write", "code", "program", "produce", "construct",
    "craft", "deploy", "launch", "implement", "prepare", "start", "do", "assemble", "arrange", "rebuild",
];
/// Verbs that need a particle to mean making: "set up", "put together", "spin up".
#[rustfmt::skip]
pub(super) const MAKE_WITH: &[&str] = &[
    "set", "put", "spin", "stand", "whip", "knock", "throw", "rig", "cook", "rustle", "fire", "bring",
];
#[rustfmt::skip]
pub(super) const PARTICLES: &[&str] = &[
    "up", "together", "in", "out",
];
#[rustfmt::skip]
pub(super) const GET: &[&str] = &[
    "get", "give", "have", "send", "sell", "order", "buy", "provide", "deliver", "purchase", "commission", "add",
];
#[rustfmt::skip]
pub(super) const GERUND: &[&str] = &[
    "building", "making", "creating", "developing", "generating", "designing", "writing", "getting", "having",
    "setting", "putting", "ordering", "buying", "programming",
];
#[rustfmt::skip]
pub(super) const WISH: &[&str] = &[
    "want", "need", "require", "like", "love", "wanted", "needed", "fancy", "appreciate", "wish", "request", "prefer",
];
#[rustfmt::skip]
pub(super) const WISH_OF_THIRD: &[&str] = &[
    "wants", "needs", "requires",
];
/// Heads of "… for": "looking for", "asked for".
#[rustfmt::skip]
pub(super) const WISH_FOR: &[&str] = &[
    "looking", "look", "hoping", "calling", "call", "ringing", "wish", "market", "hunting", "searching", "need",
];
#[rustfmt::skip]
pub(super) const ASK: &[&str] = &[
    "asked", "ask", "asking", "told", "tell", "instructed", "begged",
];

#[rustfmt::skip]
pub(super) const ADVERBS: &[&str] = &[
    "please", "just", "now", "also", "kindly", "quickly", "really", "actually", "basically", "simply", "probably",
    "even", "possibly", "only", "still", "then", "all", "help", "definitely", "maybe", "perhaps", "quite", "very",
    "much", "urgently", "badly", "immediately", "currently", "desperately",
];
#[rustfmt::skip]
pub(super) const INTERJECTIONS: &[&str] = &[
    "hi", "hello", "hey", "okay", "yes", "yeah", "yep", "no", "well", "so", "right", "alright", "grace", "listen",
    "look", "good", "morning", "afternoon", "evening", "thanks", "sure", "first", "today", "oh", "there", "cool",
    "great", "fine", "and", "but", "then", "because", "again", "you",
];
#[rustfmt::skip]
pub(super) const NEGATORS: &[&str] = &[
    "don't", "not", "never", "won't", "didn't", "doesn't", "can't", "cannot", "couldn't", "wouldn't", "shouldn't",
    "isn't", "haven't", "hardly", "without", "neither", "nobody", "dare", "ain't", "nor", "stop", "avoid", "against",
    "aren't",
];
#[rustfmt::skip]
pub(super) const QUESTION_WORDS: &[&str] = &[
    "how", "when", "why", "where", "who", "whom", "which", "whose",
];
/// Before "if you could": the question is a request.
#[rustfmt::skip]
pub(super) const EMBEDS: &[&str] = &[
    "wondering", "wonder", "see", "ask", "asking", "know", "nice", "great", "good", "lovely", "grateful",
    "appreciate", "happy", "glad", "check", "hoping", "brilliant", "fantastic", "love", "easier", "simpler", "better",
    "happier", "help", "wonderful", "obliged", "perfect", "kind", "thankful", "delighted", "pleased", "relief", "favor", "favour",
];
/// Ours, but not on whose behalf one calls.
#[rustfmt::skip]
pub(super) const NOT_US: &[&str] = &[
    "competitor", "competitors", "neighbor", "neighbour", "neighbors", "neighbours", "friend", "friends", "rival",
    "cousin", "brother", "sister", "ex",
];
/// Those who may be asked to do it.
#[rustfmt::skip]
pub(super) const DOERS: &[&str] = &[
    "you", "someone", "somebody", "me", "us", "guys", "folks", "team", "grace", "anyone",
];
/// Words that end the way from an artefact to its verb.
#[rustfmt::skip]
pub(super) const BLOCKERS: &[&str] = &[
    "about", "of", "on", "into", "from", "with", "without", "at", "by", "to", "rid", "who", "what", "where", "how",
    "are", "was", "were", "i", "you", "he", "she", "they", "we", "it", "if", "because", "that's", "it's", "not", "no",
    "never", "than", "has", "had", "does", "did", "called", "like", "through", "over", "after",
];
