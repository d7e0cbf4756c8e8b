//! Telephones in browsers: pages that wait for calls to a number, and the calls that ring there. Control tasks; one short lock.
//! Invariants: a page waits for as long as its [`Seat`] lives, a call rings for as long as its [`Ringing`]; one page takes a call,
//! and the others are told that it was taken; whoever does not read what it is told loses its seat, and hears what still rings
//! when it comes back; all of it is bounded. Deliberately absent: HTTP (`api::phones`), offers and answers (`browser`), telephones
//! that register by SIP (`sip::registrar`).

use super::actor::Planes;
use super::manners::user_of;
use crate::id::CallId;
use crate::limits::{PHONE_AWAY_MAX, PHONE_EVENTS_MAX, PHONE_PAGES_MAX, PHONES_MAX};
use crate::sip::agent::{LegId, SipEvent};
use crate::sip::message::{Address, to_text};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Whether pages wait still is looked at so often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A call that rings, as pages see it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Call {
    /// Names it where it is answered or declined.
    pub id: String,
    /// The number that rings.
    pub number: String,
    /// The caller's number; `None`: withheld, or none.
    pub from: Option<String>,
    /// The caller's name.
    pub name: Option<String>,
}

impl Call {
    /// `from`: as written in From; `withheld`: pages do not learn who calls.
    #[must_use]
    pub fn new(id: CallId, number: &str, from: &str, withheld: bool) -> Self {
        let seen = |text: String| Some(text).filter(|text| !text.is_empty() && !withheld);
        let name = Address::parse(from.as_bytes()).map(|address| to_text(&address.display)).unwrap_or_default();
        let name = name.trim_matches('"').replace("\\\"", "\"").replace("\\\\", "\\");
        Self { id: id.to_string(), number: number.to_owned(), from: seen(user_of(from)), name: seen(name) }
    }
}

/// Why a call does not ring any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Silence {
    /// Somebody has taken it: another page, or a telephone.
    Answered,
    /// A page has declined it.
    Declined,
    /// The caller gave up, or it rang for long enough.
    Missed,
}

impl Silence {
    /// As pages read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Declined => "declined",
            Self::Missed => "missed",
        }
    }
}

/// What a page is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// A call rings.
    Rings(Call),
    /// It rings no more.
    Silent {
        /// Which.
        id: String,
        /// Why.
        why: Silence,
    },
}

/// Why a page does not wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoSeat {
    /// Close one of them.
    #[error("{PHONE_PAGES_MAX} pages wait for calls to this number already")]
    TooMany,
    /// Retry later.
    #[error("{PHONES_MAX} pages wait for calls already")]
    Full,
}

/// Why a page does not get a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotTaken {
    /// Over, declined, or never there.
    #[error("no such call rings (any more)")]
    Silent,
    /// Another page was faster.
    #[error("another page takes this call")]
    Taken,
}

#[derive(Debug)]
struct Page {
    number: u64,
    told: mpsc::Sender<News>,
}

#[derive(Debug)]
struct Ring {
    call: Call,
    /// The leg in whose place a page comes.
    leg: LegId,
    /// No telephone rings beside the pages.
    alone: bool,
    /// A page is taking it.
    taking: bool,
    why: Option<Silence>,
}

#[derive(Debug, Default)]
struct Table {
    pages: HashMap<String, Vec<Page>>,
    rings: HashMap<CallId, Ring>,
    count: u64,
}

impl Table {
    /// Tells all pages of a number; who has no room for it is told nothing any more.
    fn tell(&mut self, number: &str, news: &News) {
        if let Some(pages) = self.pages.get_mut(number) {
            pages.retain(|page| page.told.try_send(news.clone()).is_ok());
        }
        self.pages.retain(|_, pages| !pages.is_empty());
    }

    fn silence(&mut self, id: CallId, why: Silence) {
        let Some(ring) = self.rings.get_mut(&id).filter(|ring| ring.why.is_none()) else { return };
        ring.why = Some(why);
        let (number, news) = (ring.call.number.clone(), News::Silent { id: ring.call.id.clone(), why });
        self.tell(&number, &news);
    }
}

/// All of them; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Phones(Arc<Mutex<Table>>);

/// A page that waits; dropping it, it does so no more.
#[derive(Debug)]
pub struct Seat {
    phones: Phones,
    at: String,
    number: u64,
}

/// A call that rings at pages; dropping it, it rings no more.
#[derive(Debug)]
pub struct Ringing {
    phones: Phones,
    id: CallId,
}

/// A page that is taking a call; unless it is kept, the call rings on.
#[derive(Debug)]
pub struct Taking {
    phones: Phones,
    id: CallId,
    /// In whose place the page comes.
    pub leg: LegId,
    /// The caller, as pages see it.
    pub call: Call,
}

impl Phones {
    /// A page waits for calls to `number`; it hears of those that ring already.
    ///
    /// # Errors
    /// [`NoSeat`].
    pub fn wait(&self, number: &str) -> Result<(Seat, mpsc::Receiver<News>), NoSeat> {
        let table = &mut *self.lock();
        for pages in table.pages.values_mut() {
            pages.retain(|page| !page.told.is_closed());
        }
        if table.pages.values().map(Vec::len).sum::<usize>() >= PHONES_MAX {
            return Err(NoSeat::Full);
        }
        if table.pages.get(number).is_some_and(|pages| pages.len() >= PHONE_PAGES_MAX) {
            return Err(NoSeat::TooMany);
        }
        let (told, news) = mpsc::channel(PHONE_EVENTS_MAX);
        let rings = table.rings.values().filter(|ring| ring.call.number == number && ring.why.is_none());
        for ring in rings.take(PHONE_EVENTS_MAX) {
            // There is room: the channel is new.
            let _ = told.try_send(News::Rings(ring.call.clone()));
        }
        table.count += 1;
        let page = Page { number: table.count, told };
        let seat = Seat { phones: self.clone(), at: number.to_owned(), number: page.number };
        table.pages.entry(number.to_owned()).or_default().push(page);
        Ok((seat, news))
    }

    /// Whether a page waits for calls to `number`.
    #[must_use]
    pub fn is_waited(&self, number: &str) -> bool {
        self.lock().pages.get(number).is_some_and(|pages| pages.iter().any(|page| !page.told.is_closed()))
    }

    /// Has the pages ring. `leg`: in whose place a page comes that answers; `alone`: no telephone rings as well.
    #[must_use]
    pub fn ring(&self, id: CallId, call: Call, leg: LegId, alone: bool) -> Ringing {
        let table = &mut *self.lock();
        let (number, news) = (call.number.clone(), News::Rings(call.clone()));
        table.rings.insert(id, Ring { call, leg, alone, taking: false, why: None });
        table.tell(&number, &news);
        Ringing { phones: self.clone(), id }
    }

    /// Whether this call rings at pages.
    #[must_use]
    pub fn rings(&self, id: CallId) -> bool {
        self.lock().rings.get(&id).is_some_and(|ring| ring.why.is_none())
    }

    /// A page wants the call.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn take(&self, id: CallId) -> Result<Taking, NotTaken> {
        let table = &mut *self.lock();
        let ring = table.rings.get_mut(&id).ok_or(NotTaken::Silent)?;
        match ring.why {
            Some(Silence::Answered) => return Err(NotTaken::Taken),
            Some(_) => return Err(NotTaken::Silent),
            None if ring.taking => return Err(NotTaken::Taken),
            None => ring.taking = true,
        }
        Ok(Taking { phones: self.clone(), id, leg: ring.leg, call: ring.call.clone() })
    }

    /// A page declines the call for all pages. The leg is to be refused, unless a telephone rings as well.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn decline(&self, id: CallId) -> Result<Option<LegId>, NotTaken> {
        let table = &mut *self.lock();
        let ring = table.rings.get(&id).filter(|ring| ring.why.is_none()).ok_or(NotTaken::Silent)?;
        if ring.taking {
            return Err(NotTaken::Taken);
        }
        let leg = ring.alone.then_some(ring.leg);
        table.silence(id, Silence::Declined);
        Ok(leg)
    }

    /// Whether somebody may still answer this call; `None`: it rings at pages no more.
    fn attended(&self, id: CallId) -> Option<bool> {
        let table = self.lock();
        let ring = table.rings.get(&id).filter(|ring| ring.why.is_none())?;
        let waited = table.pages.get(&ring.call.number).is_some_and(|pages| pages.iter().any(|p| !p.told.is_closed()));
        Some(ring.taking || waited)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Whole after every statement of its methods.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taking {
    /// The page has the call.
    pub fn done(self) {
        self.phones.lock().silence(self.id, Silence::Answered);
    }
}

/// Ends a call that rings at pages alone once none of them has waited for a while: whoever closes the last tab will not answer.
pub(super) fn mind(planes: &Arc<Planes>, ringing: &Ringing, leg: LegId) {
    let (planes, attended) = (Arc::downgrade(planes), ringing.watch());
    tokio::spawn(async move {
        let mut left = Duration::ZERO;
        while left < PHONE_AWAY_MAX {
            tokio::time::sleep(LOOK_EVERY).await;
            match attended() {
                Some(true) => left = Duration::ZERO,
                Some(false) => left += LOOK_EVERY,
                None => return,
            }
        }
        let Some(planes) = planes.upgrade() else { return };
        let reason = "no page waits for the call any more".to_owned();
        let event = SipEvent::Refused { leg, code: 480, reason, retry_after: None, cause: None };
        // Given back: the call is over.
        let _over = planes.registry.signal(event);
    });
}

impl Drop for Seat {
    fn drop(&mut self) {
        let table = &mut *self.phones.lock();
        if let Some(pages) = table.pages.get_mut(&self.at) {
            pages.retain(|page| page.number != self.number);
            if pages.is_empty() {
                table.pages.remove(&self.at);
            }
        }
    }
}

impl Ringing {
    /// Which call it is.
    #[must_use]
    pub const fn id(&self) -> CallId {
        self.id
    }

    /// Somebody has taken the call.
    pub fn answered(self) {
        self.phones.lock().silence(self.id, Silence::Answered);
    }

    /// The telephones beside have refused. `true`: the pages ring on, alone.
    #[must_use]
    pub fn goes_on_alone(&self) -> bool {
        let table = &mut *self.phones.lock();
        let Some(ring) = table.rings.get_mut(&self.id).filter(|ring| ring.why.is_none() && !ring.alone) else {
            return false;
        };
        ring.alone = true;
        true
    }

    /// Whether somebody may still answer; `None`: it rings at pages no more.
    pub fn watch(&self) -> impl Fn() -> Option<bool> + Send + use<> {
        let (phones, id) = (self.phones.clone(), self.id);
        move || phones.attended(id)
    }
}

impl Drop for Ringing {
    fn drop(&mut self) {
        let mut table = self.phones.lock();
        table.silence(self.id, Silence::Missed);
        table.rings.remove(&self.id);
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        if let Some(ring) = self.phones.lock().rings.get_mut(&self.id) {
            ring.taking = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(n: u64) -> Call {
        Call::new(CallId(n), "200", "\"Ann \\\"A\\\" Bär\" <sip:100@pbx.example>;tag=1", false)
    }

    fn told(news: &mut mpsc::Receiver<News>) -> Vec<News> {
        std::iter::from_fn(|| news.try_recv().ok()).collect()
    }

    fn silent(n: u64, why: Silence) -> News {
        News::Silent { id: CallId(n).to_string(), why }
    }

    #[test]
    fn pages_see_who_calls_unless_that_is_withheld() {
        let seen = call(1);
        assert_eq!((seen.from.as_deref(), seen.name.as_deref()), (Some("100"), Some("Ann \"A\" Bär")));
        let hidden = Call::new(CallId(1), "200", "\"Ann\" <sip:100@pbx.example>", true);
        assert_eq!((hidden.from, hidden.name), (None, None));
        let anonymous = Call::new(CallId(1), "200", "<sip:anonymous@anonymous.invalid>", false);
        assert_eq!((anonymous.from, anonymous.name), (None, None));
    }

    #[test]
    fn one_of_several_pages_takes_a_call_and_the_others_are_told() {
        let phones = Phones::default();
        assert!(!phones.is_waited("200"));
        let (_one, mut one) = phones.wait("200").unwrap();
        let (_two, mut two) = phones.wait("200").unwrap();
        let (_other, mut other) = phones.wait("201").unwrap();
        assert!(phones.is_waited("200"));
        let ringing = phones.ring(CallId(7), call(7), LegId(70), true);
        // Who comes while it rings hears of it.
        let (late_seat, mut late) = phones.wait("200").unwrap();
        for news in [&mut one, &mut two, &mut late] {
            assert_eq!(told(news), [News::Rings(call(7))]);
        }
        assert_eq!(told(&mut other), []);
        let taking = phones.take(CallId(7)).unwrap();
        assert_eq!((taking.leg, &taking.call), (LegId(70), &call(7)));
        assert_eq!(phones.take(CallId(7)).unwrap_err(), NotTaken::Taken);
        assert_eq!(phones.decline(CallId(7)).unwrap_err(), NotTaken::Taken, "somebody is just taking it");
        // Its offer was none: the call rings on.
        drop(taking);
        let taking = phones.take(CallId(7)).unwrap();
        drop(late_seat);
        taking.done();
        assert_eq!(phones.take(CallId(7)).unwrap_err(), NotTaken::Taken);
        ringing.answered();
        for news in [&mut one, &mut two] {
            assert_eq!(told(news), [silent(7, Silence::Answered)]);
        }
        assert_eq!(phones.take(CallId(7)).unwrap_err(), NotTaken::Silent);
        assert_eq!(phones.take(CallId(8)).unwrap_err(), NotTaken::Silent);
    }

    #[test]
    fn a_call_that_is_given_up_or_declined_rings_no_more() {
        let phones = Phones::default();
        let (_one, mut one) = phones.wait("200").unwrap();
        drop(phones.ring(CallId(1), call(1), LegId(10), true));
        assert_eq!(told(&mut one), [News::Rings(call(1)), silent(1, Silence::Missed)]);
        for (alone, leg) in [(true, Some(LegId(20))), (false, None)] {
            let ringing = phones.ring(CallId(2), call(2), LegId(20), alone);
            assert_eq!(phones.decline(CallId(2)), Ok(leg));
            assert_eq!(phones.decline(CallId(2)), Err(NotTaken::Silent));
            assert!(!ringing.goes_on_alone(), "the page has decided");
            assert_eq!(phones.wait("200").map(|(_seat, mut news)| told(&mut news)), Ok(vec![]), "it is not told again");
            drop(ringing);
            assert_eq!(told(&mut one), [News::Rings(call(2)), silent(2, Silence::Declined)]);
        }
        let ringing = phones.ring(CallId(3), call(3), LegId(30), false);
        assert!(ringing.goes_on_alone() && !ringing.goes_on_alone());
        assert_eq!(phones.decline(CallId(3)), Ok(Some(LegId(30))));
    }

    #[test]
    fn nobody_is_left_who_could_answer() {
        let phones = Phones::default();
        let (seat, news) = phones.wait("200").unwrap();
        let ringing = phones.ring(CallId(1), call(1), LegId(10), true);
        let watch = ringing.watch();
        assert_eq!(watch(), Some(true));
        drop(news);
        assert_eq!(watch(), Some(false), "its stream has ended");
        drop(seat);
        let taking = phones.take(CallId(1)).unwrap();
        assert_eq!(watch(), Some(true), "it is just being answered");
        drop(taking);
        assert_eq!(watch(), Some(false));
        drop(ringing);
        assert_eq!(watch(), None);
    }

    #[test]
    fn there_is_a_bound_to_all_of_it() {
        let phones = Phones::default();
        let mut seats: Vec<_> = (0..PHONE_PAGES_MAX).map(|_| phones.wait("200").unwrap()).collect();
        assert_eq!(phones.wait("200").unwrap_err(), NoSeat::TooMany);
        // Whose connection is gone has no seat.
        let (_seat, news) = seats.pop().unwrap();
        drop(news);
        seats.push(phones.wait("200").unwrap());
        let mut n = 0;
        while let Ok(seat) = phones.wait(&format!("{}", 1000 + n / PHONE_PAGES_MAX)) {
            seats.push(seat);
            n += 1;
        }
        assert_eq!(seats.len(), PHONES_MAX);
        assert_eq!(phones.wait("9").unwrap_err(), NoSeat::Full);
    }

    #[test]
    fn a_page_that_reads_nothing_is_told_no_more_and_hears_it_when_it_comes_back() {
        let phones = Phones::default();
        let (_seat, mut news) = phones.wait("200").unwrap();
        let most = u64::try_from(PHONE_EVENTS_MAX).unwrap();
        let mut rings: Vec<_> = (0..=most).map(|n| phones.ring(CallId(n), call(n), LegId(n), true)).collect();
        assert_eq!(told(&mut news).len(), PHONE_EVENTS_MAX);
        assert_eq!(news.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
        assert!(!phones.is_waited("200"));
        rings.truncate(2);
        let (_again, mut news) = phones.wait("200").unwrap();
        assert_eq!(told(&mut news).len(), 2);
    }
}
