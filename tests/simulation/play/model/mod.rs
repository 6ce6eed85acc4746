//! A model behind an OpenAI-compatible server, made up: it checks what it is asked, answers as its world has it, and keeps
//! an account of what it told, so that everybody can tell an answer of the model's from half of one.
//!
//! ```text
//!   request.rs   what it is sent: a strict reader, and a look at what is asked
//!   manners.rs   what it is like in this world, and what goes wrong with it
//!   answer.rs    what it does about one question, step by step
//!   account.rs   what it was asked and what it told
//! ```
//!
//! In calm weather it answers at once and well, and whatever it had begun before and would never have ended is reset.

pub mod account;
pub mod answer;
pub mod manners;
pub mod request;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use oneloop::base::Time;
use oneloop::os::sim::{Actor, Line, Outside, Random, Received, State};

use self::account::Call;
use self::answer::{Step, plan};
use self::manners::{Manners, Trouble};
use self::request::{RequestReader, Wanted, check};
use super::town::Shared;

/// The name under which it is reached, unless a URL has an address in it.
pub const HOST: &str = "model.example";
/// Its port.
pub const PORT: u16 = 8080;

/// Where it listens, if it listens at all of its addresses.
pub fn addresses() -> [IpAddr; 2] {
    [IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 7]), IpAddr::from([10, 0, 0, 7])]
}

/// What it wants to see.
pub fn wanted(key: Option<&str>) -> Wanted {
    Wanted {
        authority: format!("{HOST}:{PORT}"),
        path: "/v1".to_owned(),
        model: "sim".to_owned(),
        key: key.map(str::to_owned),
    }
}

/// The server of a model.
#[derive(Debug)]
pub struct Model {
    town: Shared,
    wanted: Wanted,
    manners: Manners,
    /// Where it listens.
    listens: Vec<IpAddr>,
    /// Each call draws from a stream of its own, behind this seed.
    seed: u64,
    random: Random,
    began: Option<Time>,
    is_listening: bool,
    served: Vec<Served>,
    answered: usize,
    complaint: Option<String>,
    seen: Vec<&'static str>,
}

/// One connection.
#[derive(Debug)]
struct Served {
    line: Line,
    reader: RequestReader,
    steps: VecDeque<Step>,
    /// Bytes of the step in front that were sent.
    sent: usize,
    /// When the step in front is over, if that takes time.
    until: Option<Time>,
    /// What is being answered.
    call: usize,
    answers: usize,
    /// Since when nothing is asked.
    idle_since: Time,
    /// It reads nothing, and closes then.
    silent_until: Option<Time>,
    /// It hangs up when the next question begins.
    is_stale: bool,
    /// It has said that no more questions are answered here.
    is_last: bool,
    is_over: bool,
}

/// What comes of a look at a connection.
type Looked = Result<Option<Time>, String>;

impl Model {
    /// A server that listens at these of its [`addresses`].
    pub fn new(town: &Shared, wanted: Wanted, manners: Manners, listens: Vec<IpAddr>, seed: u64) -> Model {
        Model {
            town: town.clone(),
            wanted,
            manners,
            listens,
            seed,
            random: Random::new(seed, 0),
            began: None,
            is_listening: false,
            served: Vec::new(),
            answered: 0,
            complaint: None,
            seen: Vec::new(),
        }
    }

    fn see(&mut self, what: &'static str) {
        if !self.seen.contains(&what) {
            self.seen.push(what);
        }
    }

    /// Comes and goes. Answers when it does so next.
    fn attend(&mut self, outside: &mut Outside<'_>) -> Option<Time> {
        let now = outside.now();
        let began = *self.began.get_or_insert(now);
        let absences =
            self.manners.away.iter().map(|(at, long)| (began.after(*at), began.after(*at).after(*long)));
        let absences: Vec<(Time, Time)> = absences.collect();
        let is_away = !outside.is_calm() && absences.iter().any(|(from, to)| (*from..*to).contains(&now));
        if is_away == self.is_listening {
            self.is_listening = !is_away;
            for address in self.listens.clone() {
                let address = SocketAddr::new(address, PORT);
                if is_away { outside.stop_listening(address) } else { outside.listen(address) }
            }
            if is_away {
                self.see("a model server went away");
                self.served.drain(..).for_each(|served| outside.reset(served.line));
            }
        }
        absences.iter().flat_map(|(from, to)| [*from, *to]).filter(|time| *time > now).min()
    }

    fn accept(&mut self, outside: &mut Outside<'_>) {
        let now = outside.now();
        while let Some((line, _)) = outside.accept() {
            let Manners { trouble_per_mille, stale_per_mille, .. } = self.manners;
            let is_silent = self.random.chance(trouble_per_mille)
                && self.manners.troubles.contains(&Trouble::NeverReads)
                && !outside.is_calm();
            let patience = Duration::from_secs(self.random.between(1, 300) as u64);
            let is_stale = self.random.chance(stale_per_mille) && !outside.is_calm();
            if is_silent {
                self.see(Trouble::NeverReads.words());
            }
            self.served.push(Served {
                line,
                reader: RequestReader::default(),
                steps: VecDeque::new(),
                sent: 0,
                until: None,
                call: 0,
                answers: 0,
                idle_since: now,
                silent_until: is_silent.then(|| now.after(patience)),
                is_stale,
                is_last: false,
                is_over: false,
            });
        }
    }

    /// Goes on with one connection. Answers when it wants to at the latest.
    fn serve(&mut self, served: &mut Served, outside: &mut Outside<'_>) -> Looked {
        let (line, now) = (served.line, outside.now());
        if outside.state(line) == State::Reset {
            served.is_over = true;
            outside.close(line);
            return Ok(None);
        }
        if let Some(until) = served.silent_until {
            served.is_over = now >= until || outside.is_calm();
            if served.is_over {
                outside.reset(line);
            }
            return Ok(Some(until));
        }
        loop {
            let mut bytes = Vec::new();
            let received = outside.receive(line, usize::MAX, &mut bytes);
            served.reader.feed(&bytes);
            match received {
                Received::Bytes => continue,
                Received::Nothing => break,
                Received::End | Received::Reset => {
                    if served.steps.front().is_some_and(|step| *step != Step::Finish) {
                        self.see("a model server was left within an answer");
                    }
                    served.is_over = true;
                    outside.close(line);
                    return Ok(None);
                }
            }
        }
        loop {
            if !served.reader.is_empty() && served.is_last {
                return Err("is asked over a connection that it has said to be over".to_owned());
            }
            if served.steps.is_empty() {
                if !served.reader.is_empty() && served.answers > 0 && served.is_stale {
                    self.see("a model server hung up when a connection was used again");
                    served.is_over = true;
                    outside.close(line);
                    return Ok(None);
                }
                let Some(request) = served.reader.next()? else { break };
                self.begin(served, &request, outside)?;
            }
            // What is answered already may be asked again in the next moment; what is not, not.
            if !served.reader.is_empty() {
                return Err("is asked again before it has answered".to_owned());
            }
            if let Some(wake) = self.go_on(served, outside) {
                return Ok(wake);
            }
            if served.is_over {
                return Ok(None);
            }
        }
        let is_idle = served.reader.is_empty() && !outside.is_calm();
        // A new connection is given the time that it takes to be asked.
        let patience = if served.answers > 0 { self.manners.idle } else { Duration::from_secs(10) };
        let leaves_at = served.idle_since.after(patience);
        if is_idle && now >= leaves_at {
            self.see("a model server hung up on an idle connection");
            served.is_over = true;
            outside.close(line);
        }
        Ok(is_idle.then_some(leaves_at))
    }

    fn begin(
        &mut self,
        served: &mut Served,
        request: &request::Request,
        outside: &mut Outside<'_>,
    ) -> Result<(), String> {
        let asked = check(request, &self.wanted)?;
        let mut account = self.town.account.borrow_mut();
        let number = account.next();
        let mut random = Random::new(self.seed, 1 + number as u64);
        let plan = plan(&asked, number, &self.manners, &mut random, outside.is_calm());
        outside.say(|| format!("(model) is asked {}, call {number}: {:?}", asked.tag, plan.trouble));
        let tag = asked.tag;
        account.begin(Call { tag, text: plan.text, wants_tools: plan.wants_tools, is_told: false });
        drop(account);
        self.see("a model was asked");
        if served.answers > 0 {
            self.see("a model was asked over a connection that had been used before");
        }
        plan.seen.iter().copied().chain(plan.trouble.map(Trouble::words)).for_each(|what| self.see(what));
        (served.steps, served.call) = (plan.steps.into(), number);
        Ok(())
    }

    /// Takes the steps of an answer; `None` when they are all done, else when it goes on, if not only with news.
    fn go_on(&mut self, served: &mut Served, outside: &mut Outside<'_>) -> Option<Option<Time>> {
        let (line, now, is_calm) = (served.line, outside.now(), outside.is_calm());
        loop {
            let step = served.steps.front_mut()?;
            match step {
                Step::Wait(_) if is_calm => {}
                Step::Wait(pause) => {
                    let until = *served.until.get_or_insert(now.after(*pause));
                    if now < until {
                        return Some(Some(until));
                    }
                }
                Step::Send(bytes) => {
                    served.sent += outside.send(line, &bytes[served.sent..]);
                    if served.sent < bytes.len() {
                        return Some(None);
                    }
                }
                Step::Told => {
                    self.town.account.borrow_mut().told(served.call);
                    self.see("a model answered");
                }
                Step::Repeat(..) | Step::Hang if is_calm => {
                    served.is_over = true;
                    outside.reset(line);
                    return Some(None);
                }
                Step::Repeat(bytes, pause) => {
                    let again = [Step::Send(bytes.clone()), Step::Wait((*pause).max(Outside::soon()))];
                    let again = again.into_iter().chain([step.clone()]);
                    let again: Vec<Step> = again.collect();
                    served.steps.extend(again);
                }
                Step::Hang => return Some(None),
                Step::Finish => {
                    if !std::mem::replace(&mut served.is_last, true) {
                        outside.finish(line);
                    }
                    // Over when the other side has closed as well.
                    return Some(None);
                }
                Step::Close | Step::Reset => {
                    served.is_over = true;
                    if *step == Step::Close {
                        outside.close(line)
                    } else {
                        outside.reset(line)
                    }
                    return None;
                }
                Step::Over => {
                    served.answers += 1;
                    served.idle_since = now;
                    self.answered += 1;
                }
            }
            served.steps.pop_front();
            (served.sent, served.until) = (0, None);
        }
    }
}

impl Actor for Model {
    fn act(&mut self, outside: &mut Outside<'_>) -> Option<Duration> {
        if self.complaint.is_some() {
            return None;
        }
        let mut wake = self.attend(outside);
        self.accept(outside);
        let mut served = std::mem::take(&mut self.served);
        for served in &mut served {
            match self.serve(served, outside) {
                Ok(next) => wake = wake.into_iter().chain(next).min(),
                Err(wrong) => drop(self.complaint.get_or_insert(wrong)),
            }
        }
        served.retain(|served| !served.is_over);
        self.served = served;
        Some(wake?.since(outside.now()).max(Outside::soon()))
    }

    fn is_done(&self) -> bool {
        true
    }

    fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    fn describe(&self) -> String {
        let Manners { trouble_per_mille, troubles, .. } = &self.manners;
        let troubles = if *trouble_per_mille == 0 { &[] } else { &troubles[..] };
        format!("a model server, {} answers so far, troubled by {troubles:?}", self.answered)
    }

    fn seen(&self) -> &[&'static str] {
        &self.seen
    }
}
