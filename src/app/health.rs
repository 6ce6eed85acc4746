//! What the server says of itself: `GET /health` for whoever asks every second, `GET /info` for whoever wonders.

use serde::Serialize;

use crate::base::LruStats;
use crate::net::outbound::{Outbound, OutboundCounts};
use crate::notes::{IndexState, Library, ScanReport};
use crate::os::NetCounters;
use crate::reactor::Cx;

use super::callbacks::{CallbackCounts, Callbacks};
use super::embed::{EmbedCounts, Embedder};
use super::journal::Journal;
use super::model::{Model, ModelCounts};
use super::respond::{Reply, write_json};
use super::service::Service;

/// What this program is called on the wire, as the service that it replaces was.
pub(super) const SERVICE: &str = "knowledge-agent";
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, Serialize)]
struct IndexView {
    state: &'static str,
    notes: usize,
    done: usize,
}

fn index(library: &Library) -> IndexView {
    let progress = library.progress();
    let state = match progress.state {
        IndexState::Indexing => "indexing",
        IndexState::Ready => "ready",
    };
    IndexView { state, notes: progress.found, done: progress.done }
}

/// `GET /health`. Allocates nothing.
pub fn health(library: &Library, journal: &Journal, stopping: bool, body: &mut Vec<u8>) -> Reply {
    #[derive(Serialize)]
    struct Health {
        status: &'static str,
        service: &'static str,
        version: &'static str,
        index: IndexView,
        store: &'static str,
    }
    let status = if stopping { "stopping" } else { "healthy" };
    write_json(
        &Health { status, service: SERVICE, version: VERSION, index: index(library), store: store(journal) },
        body,
    );
    Reply::OK
}

/// Whether runs are kept: `disk`, `memory` or `failing`.
fn store(journal: &Journal) -> &'static str {
    match journal.trouble() {
        Some(_) => "failing",
        None if journal.is_durable() => "disk",
        None => "memory",
    }
}

#[derive(Debug, Serialize)]
struct ConnectionsView {
    open: usize,
    accepted: u64,
    /// For want of descriptors.
    turned_away: u64,
    /// To others, begun by us.
    outbound: u64,
}

/// `GET /info`.
pub fn info(service: &Service, cx: &Cx<'_, '_>, body: &mut Vec<u8>) -> Reply {
    #[derive(Serialize)]
    struct Info<'m> {
        version: &'static str,
        mode: &'static str,
        uptime_seconds: u64,
        notes: NotesView,
        index: IndexView,
        runs: RunsView,
        store: StoreView,
        #[serde(rename = "loop")]
        turns: LoopView,
        connections: ConnectionsView,
        model: Option<ModelView<'m>>,
        embeddings: Option<EmbeddingsView<'m>>,
        callbacks: Option<CallbacksView>,
    }
    let Service { library, runs, journal, model, embedder, callbacks, outbound, open_connections, .. } =
        service;
    let (counts, figures, runs, kept) = (library.counts(), cx.figures(), runs.counts(), journal.figures());
    let NetCounters { accepts, turned_away, connects, reads, writes, registrations } = cx.os.net.counters();
    let uptime = cx.now.since(crate::base::Time::ZERO);
    let busy_share = figures.busy.as_secs_f64() / uptime.as_secs_f64().max(f64::MIN_POSITIVE);
    let info = Info {
        version: VERSION,
        mode: if model.is_some() { "model" } else { "notes" },
        uptime_seconds: uptime.as_secs(),
        notes: NotesView {
            count: counts.notes,
            links: counts.links,
            passages: counts.passages,
            epoch: library.epoch(),
        },
        index: index(library),
        runs: RunsView {
            pending: runs.pending,
            running: runs.running,
            completed: runs.completed,
            failed: runs.failed,
            cancelled: runs.cancelled,
        },
        store: StoreView {
            state: store(journal),
            detail: journal.trouble().map(ToString::to_string),
            ended: kept.ended,
            batches: kept.batches,
            records: kept.records,
        },
        turns: LoopView {
            turns: figures.turns,
            longest_turn_ms: millis(figures.longest_turn),
            longest_turn_elapsed_ms: millis(figures.longest_turn_elapsed),
            busy_share: (busy_share * 1e6).round() / 1e6,
            waits: figures.waits,
            reads,
            writes,
            registrations,
        },
        connections: ConnectionsView {
            open: *open_connections,
            accepted: accepts,
            turned_away,
            outbound: connects,
        },
        model: model.as_ref().map(|model| ModelView::of(model, outbound)),
        embeddings: embedder.as_ref().map(|embedder| EmbeddingsView::of(embedder, outbound)),
        callbacks: callbacks.is_on().then(|| CallbacksView::of(callbacks)),
    };
    write_json(&info, body);
    Reply::OK
}

/// `POST /sync`: what a scan of the folder has found.
pub fn synced(report: &ScanReport, body: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Synced {
        added: usize,
        changed: usize,
        removed: usize,
        epoch: u64,
        problems: Vec<ProblemView>,
    }
    #[derive(Serialize)]
    struct ProblemView {
        path: String,
        problem: String,
    }
    let problems = report.problems.iter();
    let problems = problems.map(|(path, problem)| ProblemView {
        path: path.chars().take(PATH_CHARS_MAX).collect(),
        problem: problem.to_string(),
    });
    let ScanReport { added, changed, removed, epoch, .. } = *report;
    write_json(&Synced { added, changed, removed, epoch, problems: problems.collect() }, body);
}

/// Characters of a path that a report shows: all of its paths together must fit into an answer.
const PATH_CHARS_MAX: usize = 300;

#[derive(Debug, Serialize)]
struct NotesView {
    count: usize,
    links: usize,
    passages: usize,
    epoch: u64,
}

#[derive(Debug, Serialize)]
struct RunsView {
    pending: usize,
    running: usize,
    completed: u64,
    failed: u64,
    cancelled: u64,
}

/// What is kept of runs.
#[derive(Debug, Serialize)]
struct StoreView {
    state: &'static str,
    /// Why it fails.
    detail: Option<String>,
    /// Ended runs that are kept.
    ended: u64,
    /// Batches that were sent since start, and the records in them.
    batches: u64,
    records: u64,
}

/// The model, and how it does.
#[derive(Debug, Serialize)]
struct ModelView<'m> {
    name: &'m str,
    /// `closed` while it is asked, `open` while it is left alone, `half-open` while one call tries it.
    breaker: &'static str,
    breaker_opened: u64,
    tools: bool,
    /// Under way.
    calls: usize,
    asked: u64,
    shared: u64,
    cached: u64,
    answered: u64,
    retried: u64,
    failed: u64,
    left: u64,
    connections_kept: usize,
    connections_reused: u64,
    cache_answers: usize,
    cache_bytes: usize,
}

impl ModelView<'_> {
    fn of<'m>(model: &'m Model, outbound: &Outbound) -> ModelView<'m> {
        let (breaker, breaker_opened) = model.breaker();
        let ModelCounts { asked, shared, cached, answered, retried, failed, left } = model.counts();
        let OutboundCounts { kept, reused, .. } = outbound.counts_of(model.origin());
        let LruStats { entries: cache_answers, bytes: cache_bytes, .. } = model.answers_stats();
        ModelView {
            name: model.name(),
            breaker,
            breaker_opened,
            tools: model.offers_tools(),
            calls: model.calls(),
            asked,
            shared,
            cached,
            answered,
            retried,
            failed,
            left,
            connections_kept: kept,
            connections_reused: reused,
            cache_answers,
            cache_bytes,
        }
    }
}

/// The embedding server, and how it does.
#[derive(Debug, Serialize)]
struct EmbeddingsView<'m> {
    name: &'m str,
    breaker: &'static str,
    breaker_opened: u64,
    /// Questions whose vector was wanted, and of these: shared with another, known from before, searched without.
    questions: u64,
    shared: u64,
    cached: u64,
    without: u64,
    /// Passages that the server has embedded, those whose vector was kept from before, and those it will not embed.
    embedded: u64,
    kept: u64,
    refused: u64,
    /// Texts of clients.
    given: u64,
    /// Requests.
    failed: u64,
    connections_kept: usize,
    connections_reused: u64,
}

impl EmbeddingsView<'_> {
    fn of<'m>(embedder: &'m Embedder, outbound: &Outbound) -> EmbeddingsView<'m> {
        let (breaker, breaker_opened) = embedder.breaker();
        let EmbedCounts { questions, shared, cached, without, embedded, kept, refused, given, failed } =
            embedder.counts();
        let lines = outbound.counts_of(embedder.origin());
        EmbeddingsView {
            name: embedder.name(),
            breaker,
            breaker_opened,
            questions,
            shared,
            cached,
            without,
            embedded,
            kept,
            refused,
            given,
            failed,
            connections_kept: lines.kept,
            connections_reused: lines.reused,
        }
    }
}

/// Callbacks, and how they do.
#[derive(Debug, Serialize)]
struct CallbacksView {
    /// Those of runs that have not ended included.
    outstanding: usize,
    under_way: usize,
    delivered: u64,
    /// Tries that failed and were followed by a pause.
    retried: u64,
    given_up: u64,
}

impl CallbacksView {
    fn of(callbacks: &Callbacks) -> CallbacksView {
        let (outstanding, under_way) = callbacks.outstanding();
        let CallbackCounts { delivered, retried, given_up } = callbacks.counts();
        CallbacksView { outstanding, under_way, delivered, retried, given_up }
    }
}

/// `GET /config/embeddings`: which model embeds, and how far it has come.
pub fn embeddings(embedder: Option<&Embedder>, library: &Library, body: &mut Vec<u8>) -> Reply {
    #[derive(Serialize)]
    struct View<'m> {
        enabled: bool,
        /// The server's host and port.
        provider: Option<&'m str>,
        model: Option<&'m str>,
        /// Components of a vector; null before the first has come.
        dimension: Option<usize>,
        passages: usize,
        embedded: usize,
        /// The share of passages that have a vector, from 0 to 1.
        coverage: f64,
        /// `off`, `embedding`, `ready`, or `waiting` for a server that does not answer.
        state: &'static str,
        /// What went wrong last, until something went well.
        detail: Option<String>,
    }
    let (vectors, passages) = (library.vectors(), library.counts().passages);
    let share = if passages == 0 { 1.0 } else { vectors.len() as f64 / passages as f64 };
    let view = View {
        enabled: embedder.is_some(),
        provider: embedder.map(Embedder::provider),
        model: embedder.map(Embedder::name),
        dimension: Some(vectors.dimension()).filter(|dimension| *dimension > 0),
        passages,
        embedded: vectors.len(),
        coverage: if embedder.is_none() { 0.0 } else { (share * 1e4).round() / 1e4 },
        state: embedder.map_or("off", |embedder| embedder.state(library)),
        detail: embedder
            .and_then(Embedder::trouble)
            .map(|trouble| format!("The embedding server {trouble}.")),
    };
    write_json(&view, body);
    Reply::OK
}

/// What the loop knows of itself; the last four count system calls.
#[derive(Debug, Serialize)]
struct LoopView {
    turns: u64,
    longest_turn_ms: f64,
    longest_turn_elapsed_ms: f64,
    busy_share: f64,
    waits: u64,
    reads: u64,
    writes: u64,
    registrations: u64,
}

fn millis(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
