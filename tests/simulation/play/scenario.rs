//! From a seed to a world: its weather, its wires, its bounds, its notes and who lives in it.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use oneloop::config::{
    AgentMode, AllowedServer, CallbackConfig, Config, EmbedConfig, ModelConfig, Secret, Writes,
};
use oneloop::limits::Limits;
use oneloop::os::faults::{Fault, Strike, Weather};
use oneloop::os::sim::{Actor, Plan, Random, Telling, Wires, World};
use oneloop::wire::proxy::ProxyRules;
use oneloop::wire::url::Url;
use oneloop::wire::webhook::SigningKey;

use super::embeddings::{self, Embeddings, Habits};
use super::ledger::{Bookkeeper, LEDGER};
use super::model::manners::Manners;
use super::model::{self, HOST, Model, PORT};
use super::others::{Crowd, Editor, Nobody, Supervisor, Twins};
use super::receiver::{self, Receiver};
use super::sockets::{BREACHES, Manner, NONSENSE, Socket, Wish};
use super::town::{SUBJECTS, Shared, Town, code};
use super::visitor::{Asked, Errand, LOOKS, OwnStep, Temper, Visitor, Words};

/// What is left out of a scenario, to find the smallest that still fails.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Omitted {
    /// Actors, by number.
    pub actors: Vec<usize>,
    /// Kinds of fault.
    pub faults: Vec<Fault>,
    /// Single strikes.
    pub strikes: Vec<Strike>,
}

impl Omitted {
    /// The same as arguments of `simulate`.
    pub fn arguments(&self) -> String {
        let actors = self.actors.iter().map(|actor| format!(" --without-actor {actor}"));
        let faults = self.faults.iter().map(|fault| format!(" --without-fault {fault:?}"));
        let strikes = self.strikes.iter();
        let strikes =
            strikes.map(|Strike { fault, opportunity }| format!(" --without-strike {fault:?}:{opportunity}"));
        actors.chain(faults).chain(strikes).collect()
    }
}

/// A world to be, with everything decided.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Where it comes from.
    pub seed: u64,
    /// What is left out.
    pub omitted: Omitted,
    /// What goes wrong.
    pub weather: Weather,
    /// Bounds in force.
    pub limits: Limits,
    /// What the operator wants.
    pub config: Config,
    wires: Wires,
    turn_cost_max: Duration,
    calm_after: Duration,
    actors: usize,
    stops: bool,
    crashes: Vec<u64>,
    /// A process that was told to stop is followed by another.
    comes_back: bool,
    /// The model, if there is one.
    model: Option<ModelScenario>,
    /// The embedding server, if there is one.
    embed: Option<Habits>,
    /// Those who write notes.
    scribes: usize,
    talkers: usize,
    /// The receiver of callbacks, if there is one, and those who want to be called back.
    receiver: Option<receiver::Habits>,
    callers: usize,
    /// Those who want their texts embedded.
    embedders: usize,
    /// Lines that somebody adds to the ledger, where the model does, too.
    bookkeeping: Option<usize>,
    /// Those who speak WebSocket, and those who speak OpenAI's dialect.
    sockets: usize,
    completers: usize,
}

/// A model in a world: what it is like, and how it is reached.
#[derive(Debug, Clone)]
struct ModelScenario {
    manners: Manners,
    key: Option<String>,
    /// Addresses that the resolver tells.
    named: Vec<IpAddr>,
    /// Those at which somebody listens.
    listens: Vec<IpAddr>,
}

/// Streams of numbers below the actors' own.
const SHAPE: u64 = 10;
const MODEL: u64 = 11;
const MODEL_CALLS: u64 = 12;
const EMBED: u64 = 13;
const SCRIBES: u64 = 15;
/// This one leaves the worlds of `tests/planted.rs` without callbacks, so that they are what they were before there were any.
const CALLBACKS: u64 = 98;
/// Chosen so that no talkers live in the worlds of `tests/planted.rs` that were known before there were any.
const TALKERS: u64 = 1638;
/// Chosen likewise.
const WRITERS: u64 = 10897;
/// And so are these, for those who want their texts embedded.
const EMBEDDERS: u64 = 156;
/// And these two.
const SOCKETS: u64 = 20454;
const COMPLETERS: u64 = 22764;
const ACTORS: u64 = 1000;

/// Sessions that talkers talk in.
pub const SESSIONS: usize = 3;

/// How long everybody has in calm weather. Nobody needs it: what waits is woken by what it waits for.
const CALM_MAX: Duration = Duration::from_secs(900);

impl Scenario {
    /// The scenario of a seed, less what is omitted.
    pub fn new(seed: u64, omitted: Omitted) -> Scenario {
        let mut random = Random::new(seed, SHAPE);
        let mut weather = weather(&mut random);
        let mut limits = limits(&mut random);
        let wires = wires(&mut random);
        let mut config = Config {
            access_log: random.chance(500),
            disconnect_grace: Duration::from_millis(random.pick(&[0, 50, 1000, 15_000])),
            task_ttl: Duration::from_secs(random.pick(&[1, 60, 86_400, 86_400])),
            task_keep: random.pick(&[1, 20, 10_000, 10_000]),
            runs_max: random.pick(&[1, 1, 2, 8, 64]),
            waiting_max: random.pick(&[1, 1, 3, 100, 1024]),
            is_durable: random.chance(850),
            writes: Writes::Off,
            ..Config::default()
        };
        let calm_after = Duration::from_secs(random.between(1, 90) as u64);
        let turn_cost_max = Duration::from_micros(random.pick(&[0, 0, 100, 2000, 10_000]));
        let stops = random.chance(150);
        let actors = random.between(2, 14);
        let (crashes, is_crashing) = (random.spread(8), random.chance(250));
        let mut crashes: Vec<u64> = (0..crashes).map(|_| random.spread(3000) as u64).collect();
        // What is kept in memory only does not outlive the process.
        if !is_crashing || !config.is_durable {
            crashes.clear();
        }
        if !config.is_durable {
            weather.per_mille.retain(|(fault, _)| *fault != Fault::Killed);
        }
        let comes_back = random.chance(700) && config.is_durable;
        // All about a model is drawn apart: a world without one is what it was before there were any.
        let mut random = Random::new(seed, MODEL);
        let mut model = random.chance(400).then(|| {
            weather.per_mille.extend(weather_outside(&mut random));
            model_limits(&mut random, &mut limits);
            model(&mut random, &mut config)
        });
        // So is all about an embedding server.
        let mut random = Random::new(seed, EMBED);
        let embed = random.chance(150).then(|| {
            if model.is_none() {
                weather.per_mille.extend(weather_outside(&mut random));
            }
            let url = Url::parse(&format!("http://{}/v1", embeddings::ADDRESS)).expect("it is a URL");
            let timeout = Duration::from_millis(random.pick(&[1, 300, 300, 5000]));
            config.embed = Some(EmbedConfig { timeout, ..EmbedConfig::new(url, embeddings::MODEL) });
            limits.embed_batch_max = random.pick(&[1, 3, 32]);
            limits.embed_calls_max = random.pick(&[1, 256]);
            limits.embed_text_bytes_min = random.pick(&[10, 400]);
            limits.vectors_kept_max = random.pick(&[5, 1_000_000]);
            Habits::draw(&mut random)
        });
        // And all about those who write notes.
        let mut random = Random::new(seed, SCRIBES);
        let scribes = if random.chance(300) { random.between(1, 6) } else { 0 };
        if scribes > 0 {
            let weight = random.spread(most(Fault::NotesUnwritable)) as u16;
            if random.chance(250) {
                weather.per_mille.push((Fault::NotesUnwritable, weight));
            }
            config.writes = random.pick(&[Writes::Inbox, Writes::All]);
            limits.views_max = random.pick(&[1, 2, 64]);
            limits.note_jobs_waiting_max = random.pick(&[1, 2, 1024]);
        }
        // And about those who talk in sessions.
        let mut random = Random::new(seed, TALKERS);
        let talkers = if random.chance(250) { random.between(1, 5) } else { 0 };
        if talkers > 0 {
            config.session_keep = random.pick(&[1, 2, 1000, 1000, 1000]);
            limits.session_open_max = random.pick(&[1, 2, 16]);
            limits.session_messages_max = random.pick(&[1, 3, 200, 200, 200]);
        }
        // And all about callbacks.
        let mut random = Random::new(seed, CALLBACKS);
        let receiver = random.chance(100).then(|| {
            if model.is_none() && embed.is_none() {
                weather.per_mille.extend(weather_outside(&mut random));
            }
            callback_limits(&mut random, &mut limits);
            config.callbacks = Some(callbacks());
            receiver::Habits::draw(&mut random)
        });
        let callers = if receiver.is_some() { random.between(1, 4) } else { 0 };
        // And about a model that writes.
        let mut random = Random::new(seed, WRITERS);
        let writes = random.chance(400);
        let bookkeeping = model.as_mut().filter(|_| writes).map(|model| {
            config.writes = Writes::All;
            model.manners.writes_per_mille = random.pick(&[300, 1000]);
            // A model that is hardly ever asked, or well, has nothing to write.
            let manners = &mut model.manners;
            manners.tools_per_mille = random.pick(&[300, 800]);
            manners.wrong_tools_per_mille = random.pick(&[0, 200]);
            manners.trouble_per_mille = manners.trouble_per_mille.min(random.pick(&[0, 100, 300]));
            manners.refuses_tools = false;
            manners.question_bytes_max = usize::MAX;
            if let Some(model) = &mut config.model {
                model.agent = random.pick(&[AgentMode::Auto, AgentMode::Tools]);
            }
            limits.note_overtaken_max = random.pick(&[1, 8, 8]);
            limits.note_writes_per_run_max = random.pick(&[1, 16, 16]);
            random.pick(&[0, 3, 20])
        });
        // And about those who want their texts embedded.
        let mut random = Random::new(seed, EMBEDDERS);
        let embedders = if embed.is_some() && random.chance(600) { random.between(1, 4) } else { 0 };
        if embedders > 0 {
            limits.vector_requests_max = random.pick(&[1, 2, 32]);
            limits.vector_connections_max = random.pick(&[1, 2]);
            limits.vector_timeout = Duration::from_millis(random.pick(&[10_000, 60_000]));
        }
        // And about those who speak WebSocket.
        let mut random = Random::new(seed, SOCKETS);
        let sockets = if random.chance(200) { random.between(1, 4) } else { 0 };
        if sockets > 0 {
            limits.websocket_ping_interval = Duration::from_secs(random.pick(&[2, 20, 20]));
            limits.websocket_runs_max = random.pick(&[1, 2, 16, 16]);
            limits.websocket_piece_bytes_max = random.pick(&[1, 7, 1024]);
        }
        let mut random = Random::new(seed, COMPLETERS);
        let completers = if random.chance(200) { random.between(1, 4) } else { 0 };
        weather.per_mille.retain(|(fault, _)| !omitted.faults.contains(fault));
        weather.spared = omitted.strikes.iter().copied().collect();
        Scenario {
            seed,
            omitted,
            weather,
            limits,
            config,
            wires,
            turn_cost_max,
            calm_after,
            actors,
            stops,
            crashes,
            comes_back,
            model,
            embed,
            scribes,
            talkers,
            receiver,
            callers,
            embedders,
            bookkeeping,
            sockets,
            completers,
        }
    }

    /// How many actors there are, omitted ones included.
    pub fn actors(&self) -> usize {
        self.without_completers() + self.completers
    }

    fn without_completers(&self) -> usize {
        self.without_sockets() + self.sockets
    }

    fn without_sockets(&self) -> usize {
        self.without_embedders() + self.embedders
    }

    fn without_embedders(&self) -> usize {
        self.without_callers() + self.callers + usize::from(self.receiver.is_some())
    }

    fn without_callers(&self) -> usize {
        self.without_bookkeeper() + usize::from(self.bookkeeping.is_some())
    }

    fn without_bookkeeper(&self) -> usize {
        self.without_scribes() + self.scribes + self.talkers
    }

    fn without_scribes(&self) -> usize {
        self.people_and_stops() + usize::from(self.model.is_some()) + usize::from(self.embed.is_some())
    }

    fn people_and_stops(&self) -> usize {
        self.actors + usize::from(self.stops)
    }

    /// Builds the world; what its people share comes with it.
    pub fn build(&self, telling: Telling) -> (World, Shared) {
        let plan = Plan {
            seed: self.seed,
            weather: self.weather.clone(),
            wires: self.wires.clone(),
            turn_cost_max: self.turn_cost_max,
            calm_after: self.calm_after,
            ends_after: self.calm_after + CALM_MAX,
            crashes: self.crashes.clone(),
            telling,
        };
        let mut town = Town::new(self.seed, self.config.clone(), self.limits.clone());
        town.evicts |= self.wires.descriptors < 100
            || self.weather.per_mille.iter().any(|(fault, _)| *fault == Fault::NoDescriptors);
        town.comes_back = self.comes_back;
        town.has_model = self.model.is_some();
        town.has_sockets = self.sockets > 0;
        town.embeds = self.embed.is_some();
        town.is_embedded = town.embeds && !self.omitted.actors.contains(&(self.without_scribes() - 1));
        town.gives_vectors =
            town.is_embedded && self.wires.descriptors >= 100 && self.limits.outbound_sockets_max > 2;
        town.has_roomy_prompts = self.limits.cited_sources_max > 2
            && self.config.model.as_ref().is_some_and(|model| model.context_tokens >= 4096)
            && self.model.as_ref().is_some_and(|model| model.manners.question_bytes_max == usize::MAX);
        let store = [Fault::NoStoreHelper, Fault::StoreFull, Fault::SyncFails, Fault::StoreUnreadable];
        town.store_fails = self.weather.per_mille.iter().any(|(fault, _)| store.contains(fault));
        let has = |fault| self.weather.per_mille.iter().any(|(kind, _)| *kind == fault);
        town.notes_fail = has(Fault::NotesUnwritable);
        // Without a helper nobody waits until the index holds what was written.
        town.reads_fail = has(Fault::UnreadableFile) || has(Fault::NoHelper);
        // Ended runs are swept away by the wall clock.
        town.forgets_runs |= self.weather.per_mille.iter().any(|(fault, _)| *fault == Fault::WallClockSet);
        let resets = [Fault::Reset, Fault::AbortedAccept];
        town.resets = self.weather.per_mille.iter().any(|(fault, _)| resets.contains(fault));
        let town = Rc::new(town);
        let actors = (0..self.actors()).map(|index| self.actor(index, &town)).collect();
        let world = World::new(&plan, &self.limits, actors);
        if let Some(model) = &self.model {
            world.put_name(HOST, model.named.clone());
        }
        for (subject, name) in SUBJECTS.iter().enumerate() {
            let text = format!(
                "# {name}\n\nThe code of {name} is {}.\n\nSee [[pebble]] and #codes.\n",
                code(subject)
            );
            world.put_note(&format!("codes/{name}.md"), text.into_bytes());
        }
        if self.bookkeeping.is_some() {
            world.put_note(LEDGER, b"# Ledger\n".to_vec());
        }
        (world, town)
    }

    /// Who lives there, and what they are up to.
    pub fn people(&self) -> Vec<String> {
        let (_, town) = self.build(Telling::Nothing);
        let there = (0..self.actors()).filter(|index| !self.omitted.actors.contains(index));
        there.map(|index| format!("actor {index}: {}", self.actor(index, &town).describe())).collect()
    }

    fn actor(&self, index: usize, town: &Shared) -> Box<dyn Actor> {
        if self.omitted.actors.contains(&index) {
            return Box::new(Nobody);
        }
        let mut random = Random::new(self.seed, ACTORS + index as u64);
        let own = Random::new(self.seed, 2 * ACTORS + index as u64);
        if let Some(ModelScenario { manners, key, listens, .. }) = &self.model
            && index == self.people_and_stops()
        {
            let calls = Random::new(self.seed, MODEL_CALLS).number();
            let wanted = model::wanted(key.as_deref());
            return Box::new(Model::new(town, wanted, manners.clone(), listens.clone(), calls));
        }
        if let Some(habits) = &self.embed
            && index + 1 == self.without_scribes()
        {
            return Box::new(Embeddings::new(town, habits.clone(), Random::new(self.seed, EMBED + 1)));
        }
        if let Some(habits) = &self.receiver
            && index + 1 == self.without_embedders()
        {
            return Box::new(Receiver::new(town, habits.clone(), Random::new(self.seed, CALLBACKS + 1)));
        }
        if index >= self.without_completers() {
            let temper = temper(&mut random);
            let errands = completions(&mut random);
            return Box::new(Visitor::new(town, temper, own, errands));
        }
        if index >= self.without_sockets() {
            let manner = manner(&mut random);
            let wishes = wishes(&mut random);
            return Box::new(Socket::new(town, manner, own, wishes));
        }
        if index >= self.without_embedders() {
            let temper = temper(&mut random);
            let count = random.between(1, 6);
            let errands = (0..count).map(|_| Errand::Embed { texts: random.between(1, 40) }).collect();
            return Box::new(Visitor::new(town, temper, own, errands));
        }
        if index >= self.without_callers() {
            let temper = temper(&mut random);
            let count = random.between(1, 6);
            let call = |random: &mut Random| Errand::Call {
                subject: random.below(SUBJECTS.len()),
                cancels: random.chance(200),
                server: random.below(receiver::ADDRESSES.len()),
            };
            let errands = (0..count).map(|_| call(&mut random)).collect();
            return Box::new(Visitor::new(town, temper, own, errands));
        }
        if let Some(lines) = self.bookkeeping
            && index == self.without_bookkeeper()
        {
            return Box::new(Bookkeeper::new(town, random, lines, Duration::from_secs(3)));
        }
        if index >= self.without_scribes() + self.scribes {
            let temper = temper(&mut random);
            let errands = talk(&mut random);
            return Box::new(Visitor::new(town, temper, own, errands));
        }
        if index >= self.without_scribes() {
            let temper = temper(&mut random);
            let errands = scribbles(&mut random);
            return Box::new(Visitor::new(town, temper, own, errands));
        }
        if index >= self.actors {
            let first = random.between(1, self.calm_after.as_millis() as usize);
            let mut waits = vec![Duration::from_millis(first as u64)];
            if random.chance(300) {
                waits.push(Duration::from_millis(random.between(1, 8000) as u64));
            }
            return Box::new(Supervisor::new(town, waits));
        }
        match random.below(20) {
            0 => Box::new(Crowd::new(own, random.spread(40), random.chance(500))),
            1 | 2 => Box::new(Twins::new(town, own, random.between(1, 6))),
            3 => Box::new(Editor::new(own, random.between(1, 12))),
            _ => {
                let temper = temper(&mut random);
                let errands = errands(&mut random);
                Box::new(Visitor::new(town, temper, own, errands))
            }
        }
    }
}

/// Some kinds of fault, each with its own weight; sometimes none at all.
fn weather(random: &mut Random) -> Weather {
    let share = random.pick(&[0, 100, 300, 300, 600]);
    let mut per_mille = Vec::new();
    // What strikes connections to others is drawn apart, so that worlds without any are what they were before.
    // So is what strikes writers.
    let is_apart = |fault: &Fault| Fault::OUTBOUND.contains(fault) || *fault == Fault::NotesUnwritable;
    for fault in Fault::ALL.iter().filter(|fault| !is_apart(fault)) {
        // Drawn in any case, so that kinds do not shift each other's numbers.
        let (is_on, weight) = (random.chance(share), random.spread(most(*fault)) as u16);
        if is_on {
            per_mille.push((*fault, weight));
        }
    }
    Weather { per_mille, ..Weather::default() }
}

/// The same for what strikes connections to others.
fn weather_outside(random: &mut Random) -> Vec<(Fault, u16)> {
    let share = random.pick(&[0, 100, 300, 600]);
    let kinds = Fault::OUTBOUND.iter().map(|fault| {
        let (is_on, weight) = (random.chance(share), random.spread(most(*fault)) as u16);
        is_on.then_some((*fault, weight))
    });
    kinds.flatten().collect()
}

/// A model, as the operator has configured it and as it is.
fn model(random: &mut Random, config: &mut Config) -> ModelScenario {
    let manners = Manners::draw(random);
    let key = random.chance(500).then(|| "sk-simulated".to_owned());
    let url = Url::parse(&format!("http://{HOST}:{PORT}/v1")).expect("it is a URL");
    let secs = |random: &mut Random, choices: &[u64]| Duration::from_secs(random.pick(choices));
    let all = model::addresses();
    let nowhere = IpAddr::from([192, 0, 2, 1]);
    let (named, listens) = match random.below(6) {
        0 => (vec![all[0], all[1]], vec![all[1]]),
        1 => (vec![all[1], all[0]], vec![all[0]]),
        2 => (vec![nowhere, all[0], nowhere, all[1]], vec![all[1]]),
        3 => (vec![all[0]], vec![all[0]]),
        _ => (vec![all[0], all[1]], all.to_vec()),
    };
    config.model = Some(ModelConfig {
        key: key.clone().map(Secret::new),
        agent: random.pick(&[AgentMode::Auto, AgentMode::Auto, AgentMode::Tools, AgentMode::Rag]),
        context_tokens: random.pick(&[200, 4096, 4096, 32_768]),
        connect_timeout: secs(random, &[1, 5, 5, 20]),
        first_byte_timeout: secs(random, &[1, 20, 120]),
        gap_timeout: secs(random, &[1, 20, 60]),
        total_timeout: secs(random, &[3, 60, 600]),
        connections_max: random.pick(&[1, 2, 64]),
        cache_bytes_max: random.pick(&[0, 3000, 16 * 1024 * 1024]),
        ..ModelConfig::new(url, "sim")
    });
    ModelScenario { manners, key, named, listens }
}

/// Bounds of what has to do with a model: as they ship, or some of them tiny.
fn model_limits(random: &mut Random, limits: &mut Limits) {
    if random.chance(400) {
        return;
    }
    let mut sometimes = |value: &mut usize, choices: &[usize]| {
        let (is_on, choice) = (random.chance(200), random.pick(choices));
        if is_on {
            *value = choice;
        }
    };
    sometimes(&mut limits.tool_rounds_max, &[1, 2]);
    sometimes(&mut limits.tool_calls_max, &[1, 2]);
    sometimes(&mut limits.tool_result_bytes_max, &[100, 1000]);
    sometimes(&mut limits.model_answer_bytes_max, &[500, 5000]);
    sometimes(&mut limits.cited_sources_max, &[1, 2]);
    sometimes(&mut limits.outbound_bytes_per_turn, &[1, 100]);
    sometimes(&mut limits.outbound_bytes_per_turn_all, &[1, 1000]);
    sometimes(&mut limits.outbound_rest_bytes_max, &[1]);
    sometimes(&mut limits.outbound_sockets_max, &[1, 2]);
    sometimes(&mut limits.model_calls_max, &[1, 2]);
    sometimes(&mut limits.lookups_max, &[1]);
    sometimes(&mut limits.dial_addresses_max, &[1, 2]);
    sometimes(&mut limits.search_cache_bytes_max, &[0, 2000]);
    let mut shorter = |value: &mut Duration, choices: &[u64]| {
        let (is_on, choice) = (random.chance(200), random.pick(choices));
        if is_on {
            *value = Duration::from_millis(choice);
        }
    };
    shorter(&mut limits.outbound_idle_timeout, &[1, 1000]);
    shorter(&mut limits.outbound_rest_timeout, &[1]);
    shorter(&mut limits.dial_next_after, &[1, 5000]);
    shorter(&mut limits.addresses_good_for, &[1]);
    shorter(&mut limits.retry_pause, &[1]);
    shorter(&mut limits.breaker_pause_min, &[1, 1000]);
    shorter(&mut limits.breaker_pause_max, &[1000]);
    if random.chance(300) {
        limits.breaker_failures_max = random.pick(&[1, 2]);
    }
    if random.chance(300) {
        limits.model_retries_max = random.pick(&[0, 1, 5]);
    }
}

/// Whom a server in a world with a receiver may call back.
fn callbacks() -> CallbackConfig {
    let allow = receiver::ADDRESSES.iter().map(|address| {
        let (host, port) = (address.ip().to_string(), Some(address.port()));
        AllowedServer { host, port }
    });
    CallbackConfig {
        allow: allow.collect(),
        key: SigningKey::new(receiver::SECRET).expect("it is long enough"),
        trust: None,
        proxies: ProxyRules::default(),
    }
}

/// Bounds of what has to do with callbacks: short enough that all is over in calm weather, and some of them tiny.
fn callback_limits(random: &mut Random, limits: &mut Limits) {
    limits.callback_pause_max = Duration::from_secs(60);
    limits.callback_attempts_max = random.pick(&[1, 2, 4, 4]);
    limits.callback_pause = Duration::from_millis(random.pick(&[1, 1000, 3000]));
    limits.callback_timeout = Duration::from_secs(random.pick(&[1, 15, 15]));
    limits.callbacks_at_once_max = random.pick(&[1, 2, 32]);
    limits.callbacks_at_once_per_server_max = random.pick(&[1, 2]);
    limits.callback_servers_max = random.pick(&[1, 2, 64]).max(limits.callbacks_at_once_max);
    limits.callbacks_max = random.pick(&[1, 3, 4096]);
    limits.callbacks_per_server_max = random.pick(&[1, 1024]);
}

/// The highest weight of a kind, in strikes per thousand opportunities: what lasts long must be seldom.
fn most(fault: Fault) -> usize {
    match fault {
        Fault::ShortRead | Fault::ShortWrite | Fault::TinySegment | Fault::ShuffledReady => 900,
        Fault::SpuriousReady | Fault::WithheldReady | Fault::StaleToken => 300,
        Fault::InterruptedWait | Fault::InterruptedCall => 300,
        Fault::Descheduled => 500,
        Fault::SlowDelivery | Fault::AbortedAccept | Fault::FullLogPipe => 200,
        Fault::SlowHelper | Fault::UnreadableFile | Fault::BrokenListing | Fault::NoHelper => 300,
        Fault::NotesUnwritable => 500,
        Fault::Killed => 150,
        Fault::SlowStore | Fault::NoStoreHelper | Fault::StoreFull => 100,
        Fault::SyncFails | Fault::StoreUnreadable => 100,
        Fault::NoDescriptors => 50,
        Fault::Reset => 20,
        Fault::Clog => 10,
        Fault::ClockLeap => 2,
        Fault::WallClockSet => 20,
        Fault::ConnectRefused | Fault::ConnectHangs | Fault::ConnectLate => 500,
        Fault::NameFails | Fault::NameSlow | Fault::NoNamesHelper => 500,
    }
}

/// Bounds: as they ship, or some of them tiny.
fn limits(random: &mut Random) -> Limits {
    let mut limits = Limits { buffers_spare_max: 4, ..Limits::default() };
    if random.chance(300) {
        return limits;
    }
    let mut sometimes = |value: &mut usize, choices: &[usize]| {
        let (is_on, choice) = (random.chance(300), random.pick(choices));
        if is_on {
            *value = choice;
        }
    };
    sometimes(&mut limits.connections_max, &[1, 2, 5, 20]);
    sometimes(&mut limits.accepts_per_turn_max, &[1, 2]);
    sometimes(&mut limits.read_bytes_per_turn, &[1, 100, 5000]);
    sometimes(&mut limits.requests_per_turn_max, &[1, 2]);
    sometimes(&mut limits.requests_per_turn_all_max, &[1, 3]);
    sometimes(&mut limits.answer_bytes_per_turn, &[1, 1000]);
    sometimes(&mut limits.news_per_turn_max, &[1, 2]);
    sometimes(&mut limits.outbox_bytes_high, &[1, 200, 4000]);
    sometimes(&mut limits.stream_bytes_per_fill, &[1, 300]);
    sometimes(&mut limits.buffers_spare_max, &[0, 1]);
    sometimes(&mut limits.disk_jobs_max, &[1, 2]);
    sometimes(&mut limits.notes_per_read_max, &[1, 3]);
    sometimes(&mut limits.note_bytes_waiting_max, &[1, 1000]);
    sometimes(&mut limits.body_bytes_in_flight_max, &[30_000]);
    sometimes(&mut limits.access_log_bytes_max, &[1, 100, 500]);
    sometimes(&mut limits.events_per_wait_max, &[1, 2]);
    sometimes(&mut limits.store_jobs_max, &[1, 2]);
    sometimes(&mut limits.store_reads_max, &[1]);
    sometimes(&mut limits.batch_bytes, &[1, 500, 5000]);
    sometimes(&mut limits.unkept_runs_max, &[1, 3]);
    sometimes(&mut limits.runs_per_sweep, &[1, 2]);
    sometimes(&mut limits.runs_per_sweep_max, &[1, 2]);
    if random.chance(300) {
        // A head must fit into a buffer, so the two go together; no head of ours is longer than 300 bytes.
        limits.buffer_bytes = random.pick(&[400, 1000, 4096]);
        limits.head_bytes_max = limits.buffer_bytes;
        limits.target_bytes_max = limits.buffer_bytes / 2;
    }
    if random.chance(300) {
        limits.events_reserved = random.pick(&[1, 2, 7]);
    }
    if random.chance(300) {
        limits.run_attempts_max = 1;
    }
    let (tiny_units, tiny_slice) = (random.chance(600), random.chance(500));
    if tiny_units {
        limits.units_per_turn = random.pick(&[1, 1, 5, 50]);
    }
    if tiny_slice {
        limits.units_per_slice = random.pick(&[1, 3, 10]);
    }
    let mut shorter = |value: &mut Duration, choices: &[u64]| {
        let (is_on, choice) = (random.chance(200), random.pick(choices));
        if is_on {
            *value = Duration::from_millis(choice);
        }
    };
    shorter(&mut limits.head_timeout, &[300, 3000]);
    shorter(&mut limits.body_gap_timeout, &[300, 3000]);
    shorter(&mut limits.body_timeout, &[1000, 10_000]);
    shorter(&mut limits.idle_timeout, &[100, 2000]);
    shorter(&mut limits.write_stall_timeout, &[500, 5000]);
    shorter(&mut limits.linger_timeout, &[50, 500]);
    shorter(&mut limits.heartbeat_interval, &[50, 1000]);
    shorter(&mut limits.shutdown_timeout, &[500, 3000]);
    limits
}

fn wires(random: &mut Random) -> Wires {
    let usual = Wires::default();
    if random.chance(400) {
        return usual;
    }
    Wires {
        buffer_bytes: random.pick(&[1, 16, 500, 4096, 64 * 1024]),
        is_even: false,
        delay_max: random.pick(&[1, 50_000, 2_000_000, 40_000_000]),
        segment_bytes: random.pick(&[1, 100, 1460, 16 * 1024]),
        backlog: random.pick(&[1, 2, 128]),
        descriptors: random.pick(&[2, 6, 30, 1024]),
        events_per_wait: random.pick(&[1, 2, 1024]),
    }
}

/// An idempotency key, sometimes one that others have as well.
fn key(random: &mut Random) -> Option<u32> {
    let (has_one, key) = (random.chance(400), random.below(1_000_000));
    has_one.then_some(key as u32)
}

fn temper(random: &mut Random) -> Temper {
    let good = Temper::good();
    let millis = |random: &mut Random, most| Duration::from_millis(random.spread(most) as u64);
    match random.below(8) {
        0 | 1 => good,
        2 => Temper { name: "pipeliner", pipeline: random.between(2, 30), ..good },
        3 => {
            let write_gap = millis(random, 3000);
            Temper { name: "slow writer", write_bytes: random.spread(200), write_gap, ..good }
        }
        4 => {
            let read_gap = millis(random, 3000);
            let pipeline = random.between(1, 10);
            Temper { name: "slow reader", read_bytes: random.spread(500), read_gap, pipeline, ..good }
        }
        5 => Temper { name: "one who vanishes", vanish_per_mille: random.spread(200) as u16, ..good },
        6 => Temper { name: "half-closer", half_closes: true, pipeline: random.between(1, 4), ..good },
        _ => Temper {
            name: "one who leaves streams",
            quit_stream_per_mille: random.spread(500) as u16,
            think: Duration::from_secs(2),
            ..good
        },
    }
}

fn errands(random: &mut Random) -> Vec<Errand> {
    let count = random.spread(12);
    (0..count)
        .map(|_| {
            let subject = random.below(SUBJECTS.len());
            match random.below(30) {
                0 | 1 => Errand::Health,
                2 => Errand::HeadOnly,
                3 => Errand::Info,
                4 => Errand::Options,
                5 => Errand::Nowhere,
                6 => Errand::BrokenJson,
                7 => Errand::TooLarge,
                8 => Errand::Tasks,
                9 => Errand::Sync,
                10..13 => Errand::Chat { subject },
                13..16 => Errand::Begin { subject, cancels: false, key: key(random) },
                16..18 => Errand::Begin { subject, cancels: true, key: None },
                18..20 => Errand::Follow,
                20 => Errand::Meddle,
                21..23 => Errand::Write,
                23 => Errand::ClearCaches,
                24 => Errand::CacheStats,
                _ => Errand::Stream { subject },
            }
        })
        .collect()
}

/// What a scribe comes for.
fn scribbles(random: &mut Random) -> Vec<Errand> {
    let count = random.spread(12);
    (0..count)
        .map(|_| match random.below(15) {
            12.. => Errand::Keep { token: format!("n{:016x}", random.number()) },
            0 | 1 => Errand::Edit,
            2 | 3 => {
                let token = format!("o{:016x}", random.number());
                Errand::Own { token, step: OwnStep::Make, etag: None }
            }
            4 => Errand::Page { after: None },
            5..7 => Errand::Look { place: random.below(LOOKS.len()) },
            _ => Errand::Scribble,
        })
        .collect()
}

/// What somebody comes for who talks in sessions; in the end he looks at what was said.
fn talk(random: &mut Random) -> Vec<Errand> {
    let count = random.spread(12);
    let mut errands: Vec<Errand> = (0..count)
        .map(|_| {
            let session = random.spread(SESSIONS) - 1;
            let token = format!("t{:016x}", random.number());
            let on_busy = random.pick(&["queue", "queue", "queue", "reject", "cancel"]);
            match random.below(12) {
                0 => Errand::Drop { session, token },
                1 => Errand::Sessions { after: None },
                2 | 3 => Errand::Hear { session, wanted: Vec::new() },
                _ => Errand::Say { session, token, on_busy, asked: Asked::Never },
            }
        })
        .collect();
    errands.extend((0..SESSIONS).map(|session| Errand::Hear { session, wanted: Vec::new() }));
    errands
}

/// What somebody comes for who speaks OpenAI's dialect.
fn completions(random: &mut Random) -> Vec<Errand> {
    let count = random.spread(8);
    let completion = |random: &mut Random| {
        let subject = random.below(SUBJECTS.len());
        let (streams, leaves) = (random.chance(700), random.chance(350));
        let leaves_after = leaves.then(|| random.spread(12));
        let by = if random.chance(400) { Words::Mcp } else { Words::OpenAi };
        Errand::Complete { subject, streams, leaves_after, by }
    };
    (0..count).map(|_| completion(random)).collect()
}

/// How somebody behaves who speaks WebSocket.
fn manner(random: &mut Random) -> Manner {
    let good = Manner { hurries: random.chance(300), at_once: random.spread(8), ..Manner::good() };
    let millis = |random: &mut Random, most| Duration::from_millis(random.spread(most) as u64);
    match random.below(7) {
        0 | 1 => good,
        2 => {
            let write_gap = millis(random, 1000);
            Manner { name: "slow writer on a socket", write_bytes: random.spread(200), write_gap, ..good }
        }
        3 => {
            let read_gap = millis(random, 1000);
            Manner { name: "slow reader on a socket", read_bytes: random.spread(500), read_gap, ..good }
        }
        4 => {
            let stops_per_mille = random.spread(300) as u16;
            Manner { name: "one who stops reading a socket", stops_per_mille, ..good }
        }
        _ => {
            let vanish_per_mille = random.spread(200) as u16;
            Manner { name: "one who vanishes from sockets", vanish_per_mille, ..good }
        }
    }
}

/// What somebody wants of a socket.
fn wishes(random: &mut Random) -> Vec<Wish> {
    let count = random.spread(16);
    (0..count)
        .map(|_| match random.below(20) {
            0 => Wish::Meddle,
            1 | 2 => Wish::Again,
            3 => Wish::Say,
            4 => Wish::Ping,
            5 => Wish::Idle { quarters: random.between(1, 10) as u32 },
            6 => Wish::Die,
            7 => Wish::Nonsense { place: random.below(NONSENSE.len()) },
            8 => Wish::Breach { place: random.below(BREACHES.len()) },
            9 | 10 => Wish::Chat { subject: random.below(SUBJECTS.len()), cancels: true, stays: false },
            _ => {
                let stays = random.chance(400);
                Wish::Chat { subject: random.below(SUBJECTS.len()), cancels: false, stays }
            }
        })
        .collect()
}
