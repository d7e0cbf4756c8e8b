//! Calls callers whose build is over (live, or parked with something that they have to know), or waits for an answer of theirs.
//! Purpose: whoever hung up before is told all the same. One tokio task, one more for each telephone that rings. Invariants: a
//! try is on disk before a telephone rings, so that a killed daemon neither rings twice for it nor forgets it; nobody is rung
//! who is on the line, outside of the agent's hours, or more often than its rule says; an agent that calls nobody any more
//! keeps no promise of before either. Deliberately absent: what is said (`conversation`), who is promised a call (`talk`), and
//! keeping of promises (`store::return_calls`).

use super::actor::Planes;
use super::outgoing::{self, NotPlaced, Wish};
use super::record::{CallEnd, EndClass};
use crate::config::{Agent, App, ReturnCallRule, ReturnWhen};
use crate::conversation::BuildStage;
use crate::id::CallId;
use crate::limits::RETURN_CALLS_RINGING_MAX;
use crate::os::{clock, random};
use crate::store::{Build, NotReached, ReturnCall, StoreError};
use crate::time::Wallclock;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, oneshot};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

/// What waits is looked at this often, besides when a build is over.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Where there was no line for it, it is tried again after this.
const NO_LINE: Duration = Duration::from_secs(30);
/// The store is asked again after this when it failed.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// What follows a try that ended without an answer.
#[must_use]
pub fn after_no_answer(end: &CallEnd, tries: u32, rule: &ReturnCallRule, now: Wallclock) -> NotReached {
    let declined = match end.class {
        EndClass::Rejected => !matches!(end.sip_code, Some(408 | 480 | 500 | 502..=504)),
        EndClass::OperatorHungUp => true,
        _ => false,
    };
    let again = (!declined && tries < rule.tries).then(|| later(now, minutes(rule.pause_minutes)));
    NotReached { why: format!("{}: {}", end.class, end.reason), again, counts: true }
}

/// What follows a try that could not begin.
#[must_use]
pub fn after_not_placed(error: &NotPlaced, now: Wallclock) -> NotReached {
    let again = match error {
        NotPlaced::Wrong(_) => None,
        NotPlaced::Full(_) | NotPlaced::Twice | NotPlaced::Cap(_) => Some(later(now, NO_LINE)),
    };
    NotReached { why: error.to_string(), again, counts: false }
}

fn minutes(minutes: u32) -> Duration {
    Duration::from_secs(u64::from(minutes) * 60)
}

fn later(now: Wallclock, wait: Duration) -> Wallclock {
    Wallclock(now.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
}

/// Whether there is anything to call for: a build that was called off has nothing to tell.
#[must_use]
pub fn is_worth_a_call(build: &Build) -> bool {
    matches!(build.stage, BuildStage::Live | BuildStage::Tracked | BuildStage::Parked)
}

/// Agents who may ring somebody at this moment.
#[must_use]
pub fn on_duty(agents: &[Agent], now: Wallclock) -> Vec<String> {
    let open = agents.iter().filter(|agent| may_call(agent) && agent.return_call.is_open(now));
    open.map(|agent| agent.name.clone()).collect()
}

/// Whether an agent of this name calls anybody, now or at another hour.
#[must_use]
pub fn keeps_promises(agents: &[Agent], name: &str) -> bool {
    agents.iter().any(|agent| agent.name == name && may_call(agent))
}

fn may_call(agent: &Agent) -> bool {
    agent.return_call.when != ReturnWhen::Never
}

/// Until it is dropped; what rings then is counted as interrupted by the next one.
pub async fn run(planes: Arc<Planes>) {
    loop {
        match planes.store.return_calls().take_over(clock::wall()).await {
            Ok(0) => break,
            Ok(calls) => {
                warn!(calls, "return calls of a daemon that was killed are not rung for again; GET /v1/return_calls");
                break;
            }
            Err(error) => warn!(%error, "return calls wait for the store"),
        }
        sleep(STORE_RETRY).await;
    }
    let mut updates = planes.pipeline.updates();
    let mut ringing: JoinSet<()> = JoinSet::new();
    loop {
        if let Err(error) = look(&planes, &mut ringing).await {
            warn!(%error, "return calls wait for the store");
        }
        let next = Instant::now() + LOOK_EVERY;
        loop {
            tokio::select! {
                update = updates.recv() => match update {
                    Ok(update) if update.outcome.is_none() => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => break,
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                // A panic was printed; the try counts as interrupted at the next start.
                Some(_) = ringing.join_next(), if !ringing.is_empty() => break,
                () = sleep_until(next) => break,
            }
        }
    }
}

async fn look(planes: &Arc<Planes>, ringing: &mut JoinSet<()>) -> Result<(), StoreError> {
    let (store, config, now) = (planes.store.clone(), planes.config(), clock::wall());
    let on_duty = on_duty(&config.agents, now);
    let found = spawn_blocking(move || {
        let calls = store.return_calls();
        if calls.questions_changed(now)? {
            let asked = calls.mind_questions(now).wait()?;
            info!(calls = asked, "builds wait for answers of callers who are promised a call");
        }
        Ok::<_, StoreError>((calls.agents_waited_for()?, calls.due(now, &on_duty)?))
    });
    let (waited_for, due) = found.await.map_err(|error| StoreError::Other(error.to_string()))??;
    let calls = planes.store.return_calls();
    for agent in waited_for.into_iter().filter(|agent| !keeps_promises(&config.agents, agent)) {
        let withdrawn = calls.withdraw_agent(&agent, now).await?;
        warn!(
            agent,
            calls = withdrawn,
            "calls that were promised are withdrawn, as this agent calls nobody any more; the callers hear the news when they call"
        );
    }
    for (wanted, build) in due {
        if ringing.len() >= RETURN_CALLS_RINGING_MAX {
            return Ok(());
        }
        if wanted.question.is_none() && !is_worth_a_call(&build) {
            calls.withdraw(&wanted.build_id, "the build was called off", now).await?;
            continue;
        }
        // Who is on the line hears it there.
        let on_line = wanted.on_call.as_deref().and_then(|call| call.parse::<CallId>().ok());
        if on_line.is_some_and(|call| planes.registry.find(call).is_some()) {
            continue;
        }
        let Some(rule) = config.agents.iter().find(|agent| agent.name == wanted.agent).map(|a| a.return_call.clone())
        else {
            continue;
        };
        let call = CallId(random::u64());
        // On disk before anything rings.
        if let Some(claimed) = calls.claim(&wanted.id, &call.to_string(), now).await? {
            ringing.spawn(ring(Arc::clone(planes), claimed, rule, call));
        }
    }
    Ok(())
}

async fn ring(planes: Arc<Planes>, wanted: ReturnCall, rule: ReturnCallRule, call: CallId) {
    let wish = Wish {
        to: wanted.target.clone(),
        app: App::Agent(wanted.agent.clone()),
        ringing: Duration::from_secs(rule.ringing_s),
        details: Some(json!({"return_call": wanted.id, "build_id": wanted.build_id, "question": wanted.question,
            "try": wanted.tries})),
        ..Wish::default()
    };
    info!(%call, return_call = wanted.id, try_ = wanted.tries, question = wanted.question, "a caller is called about a build");
    let (tell, answered) = oneshot::channel();
    let outcome = match outgoing::start(&planes, call, wish, Some(tell)) {
        Ok(_) => match answered.await {
            Ok(Ok(())) => None,
            Ok(Err(end)) => Some(after_no_answer(&end, wanted.tries, &rule, clock::wall())),
            Err(_) => {
                let lost = CallEnd::new(EndClass::Failed, "a fault of ours, see the log");
                Some(after_no_answer(&lost, wanted.tries, &rule, clock::wall()))
            }
        },
        Err(error) => Some(after_not_placed(&error, clock::wall())),
    };
    loop {
        let (calls, at, name) = (planes.store.return_calls(), clock::wall(), call.to_string());
        let commit = match &outcome {
            None => calls.answered(&wanted.id, &name, at),
            Some(outcome) => calls.not_reached(&wanted.id, &name, outcome.clone(), at),
        };
        match commit.await {
            Ok(()) => return,
            Err(error) => warn!(%error, "what became of a return call was not written yet"),
        }
        sleep(STORE_RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::registry::NotAdmitted;
    use crate::config::Hours;

    const NOW: Wallclock = Wallclock(1_000_000);

    fn rule() -> ReturnCallRule {
        ReturnCallRule { tries: 3, pause_minutes: 10, ..ReturnCallRule::default() }
    }

    #[test]
    fn who_is_busy_or_away_is_tried_again_and_who_declines_is_not() {
        let again = |end: &CallEnd, tries| after_no_answer(end, tries, &rule(), NOW).again;
        let in_ten_minutes = Some(Wallclock(NOW.0 + 600_000));
        for end in [
            CallEnd::refused_by(486, "Busy Here"),
            CallEnd::refused_by(480, "Temporarily Unavailable"),
            CallEnd::refused_by(503, "Service Unavailable"),
            CallEnd::new(EndClass::NoAnswer, "nobody answered within 30 s"),
            CallEnd::new(EndClass::SignallingTimeout, "no response"),
            CallEnd::new(EndClass::Drained, "the service is stopping"),
            CallEnd::new(EndClass::Failed, "no telephone is registered for 200").with_code(480),
        ] {
            assert_eq!((again(&end, 1), again(&end, 2)), (in_ten_minutes, in_ten_minutes), "{end:?}");
            assert_eq!(again(&end, 3), None, "{end:?}: three tries");
        }
        for end in [
            CallEnd::refused_by(603, "Decline"),
            CallEnd::refused_by(404, "Not Found"),
            CallEnd::new(EndClass::OperatorHungUp, "given up from outside"),
        ] {
            assert_eq!(again(&end, 1), None, "{end:?}");
        }
    }

    #[test]
    fn an_agent_rings_in_its_hours_and_one_that_never_calls_keeps_no_promise() {
        // 2026-11-21 is a Saturday; 12:00 UTC.
        let noon = Wallclock(1_795_262_400_000);
        let agent = |name: &str, when, hours: &str| {
            let hours = Hours::parse(hours).unwrap();
            let return_call = ReturnCallRule { when, hours: vec![hours], ..ReturnCallRule::default() };
            Agent { return_call, ..Agent::named(name) }
        };
        let agents = [
            agent("day", ReturnWhen::Ask, "daily 09:00-18:00 UTC"),
            agent("night", ReturnWhen::Always, "daily 20:00-24:00 UTC"),
            agent("never", ReturnWhen::Never, "daily 09:00-18:00 UTC"),
        ];
        assert_eq!(on_duty(&agents, noon), ["day"]);
        let keeps = ["day", "night", "never", "gone"].map(|name| keeps_promises(&agents, name));
        assert_eq!(keeps, [true, true, false, false]);
    }

    #[test]
    fn what_could_not_begin_does_not_count_and_what_never_can_is_given_up() {
        let full = after_not_placed(&NotPlaced::Full(NotAdmitted::Busy), NOW);
        assert_eq!((full.again, full.counts), (Some(Wallclock(NOW.0 + 30_000)), false));
        assert_eq!(after_not_placed(&NotPlaced::Wrong("no such trunk".into()), NOW).again, None);
    }
}
