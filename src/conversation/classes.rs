//! The word classes of the training text. Pure data; purpose: `domain` reads as sentences, the lists stand here.
//! An empty entry leaves the place empty; entries that stand twice are said twice as often.
//! Deliberately absent: which class follows which (`domain`).

pub(super) type Words = &'static [&'static str];

#[rustfmt::skip]
pub(super) const HELLO: Words = &[
    "", "", "", "", "hi", "hello", "hello grace", "hey grace", "good morning", "good afternoon", "yes hello", "okay",
    "well", "yes", "right", "um", "so", "hi there", "listen", "great", "okay so", "so um", "now", "alright", "yeah",
    "look", "basically", "honestly", "to be honest", "hey", "quick question", "sorry to bother you", "good day", "morning", "good evening", "actually", "my friend told me about you", "somebody gave me your number", "i saw your website", "thanks for picking up", "let me explain", "first of all",
];
/// Who calls.
#[rustfmt::skip]
pub(super) const INTRODUCTION: Words = &[
    "i run", "we run", "i own", "we own", "i have", "we have", "we are", "we're", "i work for", "i work at", "i'm calling from",
    "i manage", "my brother and i run", "my wife and i have", "my husband and i own", "we've just opened", "i just started",
    "i look after", "this is peter from", "this is mary from", "my name is john and i run", "it's anna from", "i'm with",
];
#[rustfmt::skip]
pub(super) const A_BUSINESS: Words = &[
    "a small", "a little", "a", "a", "a family", "the", "a new", "a local", "a busy",
];
#[rustfmt::skip]
pub(super) const I_AM: Words = &[
    "i'm", "i am", "my husband is", "my wife is", "i work as", "we're",
];
/// What people are.
#[rustfmt::skip]
pub(super) const TRADE: Words = &[
    "a plumber", "an electrician", "a carpenter", "a painter", "a gardener", "a hairdresser", "a dentist", "a lawyer",
    "an accountant", "a photographer", "a consultant", "a mechanic", "a builder", "a designer", "a teacher", "a coach",
    "a butcher", "a baker", "a farmer", "a tailor", "a florist", "an optician", "a therapist", "a vet", "a broker",
    "a landlord", "a caterer", "an architect", "an engineer", "a musician", "a cook", "a driver", "a trainer", "a tutor",
    "a locksmith", "a real estate agent", "an estate agent", "a salesman", "a freelancer", "a writer", "a nurse",
    "a barber", "a bookkeeper", "a chef", "a contractor", "a decorator", "a developer", "an editor", "a fitness coach", "a fisherman", "a guide", "an illustrator", "an insurance agent", "an investor", "a jeweler", "a journalist", "a lecturer", "a manager", "a notary", "a pharmacist", "a physician", "a piano teacher", "a pilot", "a printer", "a producer", "a professor", "a psychologist", "a recruiter", "a reporter", "a roofer", "a scientist", "a singer", "a stylist", "a surgeon", "a translator", "a veterinarian", "a wedding planner", "a welder", "a shop owner", "a hotel owner",
];
/// Kinds of business.
#[rustfmt::skip]
pub(super) const BUSINESS: Words = &[
    "business", "company", "shop", "bakery", "law firm", "law office", "dental practice", "accounting firm", "garage",
    "restaurant", "flower shop", "studio", "real estate office", "insurance agency", "travel agency", "consulting company",
    "cleaning company", "construction company", "sales team", "gym", "hotel", "marketing agency", "book store", "farm",
    "moving company", "photo studio", "software company", "furniture store", "driving school", "yoga studio", "pet shop",
    "building company", "trading company", "family business", "plumbing company", "roofing business", "landscaping company",
    "hair salon", "beauty salon", "nail salon", "barber shop", "coffee shop", "cafe", "bar", "clinic", "pharmacy", "school",
    "church", "charity", "club", "football club", "staffing agency", "warehouse", "workshop", "factory", "print shop",
    "brewery", "guest house", "car dealer", "bike shop", "repair shop", "hardware store", "toy store", "kitchen studio",
    "window company", "solar company", "heating company", "security company", "trucking company", "delivery service",
    "taxi company", "event agency", "catering business", "music school", "dance studio", "tattoo studio", "medical practice",
    "animal shelter", "start up", "design studio", "theater", "gallery", "jewelry store", "laundry", "cleaning service",
    "pool service", "tree service", "painting company", "carpet store", "electrical company", "crew", "office", "team",
    "practice", "firm", "store", "dog school", "grooming salon", "car wash", "tennis club", "language school", "accountants",
    "salon", "agency", "customers", "sales people", "job", "gardening business", "wedding business", "translation agency",
    "law practice", "wine bar", "charity", "sports club", "football team", "travel business", "vet clinic", "animal clinic", "card shop", "book shop", "choir", "band", "orchestra", "camp", "library", "museum", "bank", "boat club", "boat yard", "riding school", "horse farm", "kindergarten", "nursery", "ice cream shop", "pizza place", "food truck", "machine shop", "metal shop", "glass company", "paint shop", "phone shop", "computer shop", "computer repair shop", "watch shop", "shoe store", "clothing store", "bridal shop", "gift shop", "camera store", "wine store", "tea shop", "grocery store", "market stall", "radio station", "newspaper", "film company", "tv station", "web agency", "research group", "call center", "help desk", "parts department", "sales department", "service team", "field team", "recruiting agency", "rental business", "car rental", "house cleaning business", "window cleaning business", "garden center", "piano lessons", "cooking class", "art school", "summer camp", "senior home", "care home", "hospital", "lab", "airport shuttle", "bus company", "shipping company", "import business", "wood shop", "packaging company", "tile company", "floor company", "roofing crew", "kitchen company", "bathroom company", "lighting company", "fence company", "property company", "housing company", "apartment rentals", "vacation rentals", "tour company", "boat tours", "personal training business", "nutrition practice", "massage practice", "counseling practice", "eye clinic", "tax office", "notary office", "patent firm", "finance company", "mortgage business", "investment firm",
];
/// Why: what is wrong with the customers' data today.
#[rustfmt::skip]
pub(super) const TROUBLE: Words = &[
    "our customers are all on paper", "everything is in a notebook", "all our contacts are in a spreadsheet",
    "my customers are all over the place", "we keep losing customers", "i keep losing numbers", "we keep forgetting people",
    "i keep forgetting names", "nobody knows who called", "we write everything on paper", "our spreadsheet is a mess",
    "i have too many customers to remember", "we're still using paper", "we work with sticky notes", "we're growing fast",
    "i can't find any phone numbers", "i lost another phone number", "my desk is full of notes", "we have no system",
    "the whole office runs on spreadsheets", "our old system is gone", "the names are all in my phone", "it's a mess",
    "we share one spreadsheet", "everybody keeps a list", "i've got a box full of cards", "we have nothing",
    "the team shares an address book", "nobody can read my notes", "i'm tired of spreadsheets", "we forget to call back",
    "we've outgrown our spreadsheet", "we have customers everywhere", "my phone is full of numbers", "we lose track of everything", "i never know who to call", "we forget who bought what", "my handwriting is terrible", "our address book is a disaster", "the sales people write on napkins", "it takes me hours to find a name", "our files are all in folders", "we have customers in three cities", "i'm new to all this", "we just hired two people", "there are only two of us", "business is going well", "i've never done this before",
];
#[rustfmt::skip]
pub(super) const SO: Words = &["so", "and", "so", "that's why", "so now", "and so", "because of that"];

/// How people begin to ask somebody to do something.
#[rustfmt::skip]
pub(super) const WOULD_YOU: Words = &[
    "", "", "", "please", "please", "can you", "can you", "could you", "could you", "would you", "will you", "can you please",
    "could you please", "would you please", "can you just", "could you possibly", "could you maybe", "could you quickly",
    "i want you to", "i want you to", "i need you to", "i need you to", "i'd like you to", "i would like you to",
    "we want you to", "we need you to", "we'd like you to", "i'd love you to", "we'd love you to", "i'd love for you to",
    "i need somebody to", "we need someone to", "i'm looking for someone to", "are you able to", "would you be able to",
    "is it possible to", "is it possible for you to", "would it be possible to", "would it be possible for you to",
    "is there any chance you could", "any chance you can", "do you think you could", "do you think you can",
    "i was hoping you could", "i was hoping you can", "we were hoping you could", "i'm hoping you can", "i hope you can",
    "i was wondering if you could", "i wonder if you could", "i wanted to ask you to", "i wanted to see if you could",
    "i'd appreciate it if you could", "i'd really appreciate it if you could", "i'd be happy if you could",
    "it would be great if you could", "it would be nice if you could", "it'd be great if you could", "if you could",
    "can i get you to", "could i get you to", "can we get you to", "can i ask you to", "could i ask you to", "may i ask you to",
    "let's", "let us", "go ahead and", "please go ahead and", "i'm calling to have you", "i'm calling to ask you to",
    "i'm calling because i want you to", "i'm calling because i need you to", "why don't you", "how about you",
    "what i want is for you to", "i would ask you to", "just", "so please", "kindly", "i'd ask you to", "help me", "help us",
    "it's time to", "they told me you can", "i heard you can", "my boss told me to ask you to", "we want to have you",
    "would you be so kind as to", "do me a favor and", "i was told you could", "it would help us if you could", "i wonder whether you can", "i wonder if you might be able to", "do you mind if i ask you to", "how about you", "how about you",
];
/// What they ask for.
#[rustfmt::skip]
pub(super) const BUILD: Words = &[
    "build", "build", "build", "build me", "build us", "make", "make me", "make us", "create", "create", "create me",
    "create us", "set up", "set up", "set me up", "set us up with", "put together", "put together", "throw together",
    "develop", "develop", "design", "design us", "write", "write me", "write us", "code", "code us", "code me", "program",
    "generate", "generate", "produce", "prepare", "whip up", "knock up", "knock together", "rustle up", "spin up", "cook up",
    "get started on", "get started with", "get going on", "start", "start on", "start building", "start work on", "begin",
    "sort out", "arrange", "come up with", "do", "do us", "get me", "get us", "give me", "give us", "work on", "construct",
];
/// How people say that they want a thing.
#[rustfmt::skip]
pub(super) const WISH: Words = &[
    "i want", "i want", "i need", "i need", "i would like", "i'd like", "i'd like", "we want", "we need", "we need",
    "we would like", "we'd like", "i want to have", "i want to order", "i want to get", "i need to get", "i need to have",
    "i would like to have", "i would like to order", "i'd like to have", "i'd like to order", "we'd like to order",
    "i'd like to get", "we'd like to have", "we'd like to get", "i'd like to ask for", "i'd like to place an order for",
    "i'm calling to order", "i'm calling to get", "i'm calling about getting", "i'm calling because i want",
    "i'm calling because we need", "i'm calling for", "i'm calling about", "i'm ringing about", "i am looking for",
    "i'm looking for", "we are looking for", "we're looking for", "i'm looking to get", "we're looking to have", "i'm after",
    "we're after", "we could use", "we could really use", "i could use", "we could do with", "we could really do with",
    "i could do with", "i could really do with", "i'm in need of", "we're in need of", "i'm in the market for",
    "my company needs", "our office needs", "my boss wants", "my team needs", "our team wants", "the whole team needs",
    "my wife wants", "my business needs", "our people need", "can i get", "can i have", "can we get", "can we have",
    "could i get", "could we get", "could we have", "could i have", "may i order", "may i have", "how about", "what about",
    "what we need is", "what i want is", "what i need is", "what i'm after is", "what we're after is", "what we want is",
    "what i'm looking for is", "what we're looking for is", "what we're missing is", "what i'd like is", "what we'd like is",
    "what i have in mind is", "all i need is", "all we want is", "the thing i need is", "the thing we're missing is",
    "the job is", "the job for you is", "the job i have is", "the project is", "my order is", "my wish is", "the plan is",
    "i have a job for you", "i've got a project for you", "i'd love to have", "i'd love", "we'd love to have", "we'd love",
    "i was hoping for", "we were hoping for", "i was hoping to get", "we were hoping to get", "i was thinking of",
    "we were thinking about", "it's about time we had", "it's about time we got", "it's time we had", "it's time for",
    "it's high time we had", "i think we need", "i think i need", "we've decided on", "we decided to get", "i'd be happy with",
    "i'm interested in", "we're interested in", "i'm interested in getting", "i really need", "we really need",
    "we really want", "i just need", "i just want", "i definitely need", "i urgently need", "we badly need", "we also need",
    "we ought to have", "we should have", "we have to have", "i must have", "get me", "get us", "give me", "give us", "do you do",
    "we're ready for", "i'm ready for", "any chance of", "any chance of getting", "is there any chance of getting", "i asked for", "i'd like to buy", "we'd like to try", "i'm looking to replace our spreadsheet with", "we want to switch to", "we want to start using", "it would be great to have", "it would be nice to have", "it'd be great to have", "how about", "how about", "one thing we need is", "my boss asked me to order", "my boss asked me to get", "my boss asked for", "please give me", "please give us",
];
#[rustfmt::skip]
pub(super) const DOING: Words = &[
    "would you mind", "would you mind", "how about", "what about", "i'm calling about", "i'm interested in", "can you help me with",
    "could you help us with", "can you start", "please start", "i'd appreciate you", "would you consider", "are you okay with",
    "i want to talk about", "do you feel like",
    "how about", "how about you start",
];
#[rustfmt::skip]
pub(super) const BUILDING: Words = &[
    "building", "building us", "building me", "making", "making us", "making me", "creating", "setting up", "putting together",
    "designing", "developing", "writing", "coding", "getting us", "doing", "preparing", "ordering",
];
/// "… a CRM built".
#[rustfmt::skip]
pub(super) const HAVE: Words = &[
    "i want", "i need", "we need", "we want", "i'd like", "we'd like", "i'd like to have", "i want to have", "we'd like to get",
    "can i have", "can i get", "can we get", "could we have", "let's get", "let's have", "i need to get", "i'm calling to get",
    "we were hoping to get", "is it possible to have", "i'd love to see", "we want to get", "please get",
];
#[rustfmt::skip]
pub(super) const BUILT: Words = &[
    "built", "built", "built for us", "made", "made", "made for me", "created", "set up", "set up for us", "developed", "written",
    "designed", "done", "going", "up and running", "put together", "built for", "made for", "set up for", "running", "started",
];
/// Two-part verbs around the thing.
#[rustfmt::skip]
pub(super) const PUT: Words = &[
    "put", "please put", "can you put", "could you put", "throw", "can you throw", "could you throw", "set", "please set",
    "could you set", "get", "can you get", "could you get", "whip", "knock", "would you put", "i'd like you to put",
];
#[rustfmt::skip]
pub(super) const TOGETHER: Words = &["together", "together for us", "together for me", "up", "up for us", "up for me"];

#[rustfmt::skip]
pub(super) const THING: Words = &[
    "a crm", "a crm", "a crm", "a crm", "a crm", "a crm", "a crm", "a crm", "a crm", "a new crm", "a simple crm", "a small crm",
    "a little crm", "a good crm", "a basic crm", "a proper crm", "a nice crm", "a decent crm", "a crm system",
    "a crm application", "a crm app", "a crm program", "one crm", "some crm", "another crm", "our own crm", "my own crm",
    "some kind of crm", "some sort of crm", "a very simple crm", "a plain crm", "a crm tool", "a working crm", "a custom crm",
    "a customer database", "a client database", "a contact manager", "a customer relationship management system",
    "a customer management system", "a program to keep track of customers", "something to manage my contacts",
    "something to keep track of deals", "software to manage our customers",
];
pub(super) const A_CRM: Words =
    &["a crm", "a crm", "a crm", "a crm", "a simple crm", "a new crm", "a little crm", "one crm", "a crm system"];
/// Short requests, for what follows the thing.
#[rustfmt::skip]
pub(super) const ASK: Words = &[
    "build", "build me", "build us", "make me", "make us", "create", "set up", "please build", "please make", "can you build",
    "could you build us", "i need", "i want", "we need", "we'd like", "i'd like", "put together", "get me", "design", "generate",
];
#[rustfmt::skip]
pub(super) const FEATURE: Words = &[
    "contacts", "contacts", "contacts", "deals", "deals", "deals", "notes", "notes", "search", "companies", "stages",
    "deal stages", "customers", "clients", "leads", "a search", "a sales pipeline", "a pipeline", "tasks", "invoices",
    "reminders", "a calendar", "export", "reports", "opportunities", "appointments", "e mail", "payments", "documents",
    "accounts", "people", "names", "phone numbers", "addresses", "a search box", "a search page", "a contact list",
    "a list of customers", "a list of companies", "a page for deals", "open deals", "telephone numbers", "a list of deals",
    "notes on customers", "quotes", "orders", "birthdays",
];
pub(super) const CORE: Words = &["contacts", "deals", "notes", "search", "companies", "stages"];
pub(super) const WITH: Words =
    &["with", "with", "with", "that has", "with just", "just", "including", "with only", "which has"];
/// What it shall do.
#[rustfmt::skip]
pub(super) const THAT_KEEPS: Words = &[
    "that keeps", "that stores", "that tracks", "that holds", "that remembers", "that shows", "that manages", "which keeps",
    "which stores", "to keep", "to store", "to track", "to manage", "for keeping", "for tracking", "for managing",
    "where i can search", "where we can see", "where i can keep", "where we can store", "where you can find", "so i can find",
    "so we can track", "so i can search", "so we can share", "so my team can see", "so i stop losing", "so we don't lose",
    "that lets me search", "that lets us keep", "that can store", "something that keeps", "something that stores",
    "one that tracks", "one that keeps", "one with", "it should have", "it should keep", "it has to have", "and i want",
];
#[rustfmt::skip]
pub(super) const KEPT: Words = &[
    "my customers", "our customers", "our clients", "my contacts", "all our contacts", "the deals", "our deals", "my notes",
    "names and numbers", "phone numbers", "names and addresses", "customers by name", "contacts by name", "people and companies",
    "companies and people", "notes on every customer", "notes about every call", "every call", "every customer", "every deal",
    "who called", "who bought what", "the phone numbers", "everything in one place", "all of it in one place", "our leads",
    "names", "people", "contacts and notes", "open deals", "deals from start to finish", "deals and payments", "the stages",
    "birthdays", "our guests", "our patients", "our members", "our students", "our suppliers", "guests and bookings", "members and payments", "the history of every customer", "meetings", "phone calls", "sales", "prices", "offers", "all our orders", "suppliers and customers", "patients and appointments",
];
pub(super) const THE_FEATURE: Words = &[
    "the contacts",
    "the deals",
    "the notes",
    "the search",
    "the companies",
    "the stages",
    "deals",
    "notes",
    "contacts",
    "search",
    "companies",
    "stages",
    "invoices",
    "reminders",
    "tasks",
    "reports",
    "the calendar",
    "the invoices",
    "the pipeline",
    "export",
];
#[rustfmt::skip]
pub(super) const MY: Words = &[
    "for my", "for my", "for our", "for our", "for a", "for the", "for my small", "for our little", "for my new", "for a small",
    "for me and my", "for us at the", "here at the", "for my brother's", "for my wife's", "for our family", "at our", "in our",
];
#[rustfmt::skip]
pub(super) const FOR: Words = &[
    "for me", "for us", "for me please", "for us please", "for my people", "for the team", "for my customers", "for my wife",
    "for me and my wife", "for the two of us", "for five people", "for the office", "for everybody here", "for the guys",
];
pub(super) const AND_FEATURE: Words = &[
    "and contacts",
    "and deals",
    "and notes",
    "and search",
    "and companies",
    "and stages",
    "and a search",
    "and invoices",
    "and tasks",
    "and reminders",
];
pub(super) const PLEASE: Words = &["", "", "", "please", "thank you", "thanks"];
#[rustfmt::skip]
pub(super) const WHEN: Words = &[
    "today", "this afternoon", "this morning", "tonight", "right now", "right away", "straight away", "now", "by tomorrow",
    "by friday", "this week", "by the end of the week", "as soon as possible", "as soon as you can", "on monday", "soon",
    "before lunch", "when you have a minute", "first thing tomorrow", "in the next hour", "while i wait", "at once", "quickly",
];
/// What people add at the end.
#[rustfmt::skip]
pub(super) const BY_THE_WAY: Words = &[
    "would you", "will you", "if you would", "if you could", "if you can", "if you please", "if that's possible",
    "if you don't mind", "if it's not too much trouble", "thank you very much", "thanks a lot", "can you do that",
    "can you do that for me", "can you do that for us", "could you do that", "can you sort that out", "could you sort that",
    "can you arrange that", "is that possible", "is that okay", "would that be possible", "can you manage that",
    "that would be great", "that would be nice", "that would be lovely", "that's all i need", "that's all we need", "that's it",
    "that's all", "nothing fancy", "nothing special", "nothing complicated", "nothing big", "keep it simple",
    "as simple as possible", "the simpler the better", "so please start", "so please get started", "so can you build one",
    "so could you make one", "so can you make us one", "please build one for us", "please make one", "and that's it", "that's the job",
    "as cheap as possible", "for a start", "to begin with", "how does that sound", "does that make sense", "what do you think", "is that something you do", "that would help a lot", "i'd be very grateful", "we can't go on like this", "i don't know much about computers", "you're the expert", "the quicker the better", "i'll pay whatever it costs", "before friday",
];
#[rustfmt::skip]
pub(super) const CRM: Words = &[
    "the crm", "the crm", "the crm", "my crm", "our crm", "the new crm", "it", "the app", "the system", "the website",
    "the build",
];

// Talk about CRMs that asks for none.

#[rustfmt::skip]
pub(super) const OUR_CRM: Words = &[
    "our crm", "our crm", "my crm", "the crm", "the crm", "their crm", "your crm", "his crm", "our old crm", "the crm system",
    "this crm", "that crm", "our database", "the website",
];
#[rustfmt::skip]
pub(super) const IS_BROKEN: Words = &[
    "is broken", "is slow", "does not work", "is very good", "was expensive", "is a mess", "crashed again", "keeps crashing",
    "was made by a friend", "is too old", "belongs to my boss", "lost some data", "costs too much", "keeps losing my notes",
    "won't open", "won't let me in", "has been down all day", "stopped working", "lost all my contacts", "is driving me crazy",
    "keeps asking for a password", "crashes every time i save a contact", "froze again", "is full of mistakes", "never worked",
    "is down again", "doesn't open on my phone", "needs a password", "is the worst thing ever", "is fine thank you",
    "deleted all the customers", "shows the wrong names", "has a problem with the search", "was a waste of money",
];
#[rustfmt::skip]
pub(super) const SOMEBODY: Words = &[
    "he", "she", "they", "my brother", "somebody", "the other company", "my friend", "we", "my cousin", "my old company", "my son",
    "our neighbor", "a friend of mine", "my old boss", "the competition", "my sister", "somebody at work", "another company",
];
#[rustfmt::skip]
pub(super) const HAS_BUILT: Words = &[
    "built", "made", "bought", "had", "sold", "wanted", "lost", "ordered", "uses", "used", "has", "already has", "set up",
    "built us", "made us", "sold us", "once built", "tried to build", "tried to sell me", "wrote", "paid for", "got", "was building",
];
#[rustfmt::skip]
pub(super) const ONCE: Words = &[
    "", "last month", "a year ago", "yesterday", "for a customer", "before", "once", "last year", "two years ago", "years ago",
    "for his garage", "for her shop", "for their company", "for his business", "and nobody used it", "and it was terrible",
    "and he's happy with it", "and they love it", "when i worked there", "and nobody ever looked at it", "last summer",
];
#[rustfmt::skip]
pub(super) const DO_NOT: Words = &[
    "don't build", "please don't build", "do not build", "don't make", "i don't want", "we don't need", "i don't need",
    "nobody needs", "i did not order", "never build", "please don't build me", "please don't make us", "i didn't ask for",
    "i never asked for", "i never ordered", "i don't think we need", "we really don't need", "we're not looking for",
    "i'm not interested in", "there's no need for", "we decided against", "we can't afford", "i told him i don't want",
    "we already have", "i already have", "stop building", "we have no use for", "don't start", "i don't want you to build",
];
#[rustfmt::skip]
pub(super) const SUPPOSE: Words = &[
    "if i ever want", "if we ever need", "if we wanted", "if i needed", "suppose i wanted", "suppose somebody wanted",
    "suppose somebody asked you to build", "suppose we asked you to make", "imagine somebody wants", "what if we needed",
    "maybe one day we'll want", "maybe next year we'll need", "perhaps we'll get", "my boss might want", "we might need",
    "we might get", "they might order", "my partner may want", "one day i may need", "someday we'll want", "before we order",
    "if my boss wanted", "when we need", "i'm not sure if we need", "i don't know if i want", "they're thinking about",
];
#[rustfmt::skip]
pub(super) const THEN: Words = &[
    "", "", "i'll call you", "we would call you", "i'd give you a call", "how long would that take", "what would it cost",
    "but nothing is decided", "but not now", "next year", "some day", "but not yet", "how would you do it", "we'll see",
];
#[rustfmt::skip]
pub(super) const WHAT_IS: Words = &[
    "what is", "what sort of thing is", "who needs", "who made", "why do people use", "do you like", "do you know", "what do people do with",
    "have you ever seen", "tell me what is", "i heard about", "i read about", "i know", "how much is", "how much does it cost to build",
    "how long does it take to build", "how long does it take to make", "how do you build", "what does it cost to make", "do i really need",
    "is it hard to build", "why would anybody want", "what's the point of", "what's the price of", "who invented", "i wonder what is",
    "i don't know what is", "what's the difference between a spreadsheet and", "is an address book the same as", "is a spreadsheet",
    "he asked me about", "she told me about", "my teacher explained", "they talked about", "she said build", "he said get yourself",
    "somebody told me to get", "my accountant says we should buy", "they asked if i wanted", "he kept asking whether i wanted",
];
#[rustfmt::skip]
pub(super) const I_WORK_IN_IT: Words = &[
    "i typed all the customers into", "i spent all day in", "i put my contacts into", "she can't get into", "i was looking at",
    "he deleted everything from", "i have a question about", "i can't log in to", "there's a problem with", "somebody broke",
    "who has the password for", "we pay too much for", "i don't understand", "everybody here hates", "we got rid of", "nobody ever used",
];
