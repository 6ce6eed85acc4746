//! Mistakes of one line each, planted on purpose, to see whether the simulator finds them.
//!
//! A check that never fails proves nothing. So each mistake that is easily made in a program like this one can be
//! switched on, one at a time, for the current thread: forget to drain, honour a stale key, fire early, count one too
//! many. `tests/planted.rs` runs a world that is known to find each; `simulate --planted` measures how many worlds it
//! takes.
//!
//! Only builds with the feature `planted-faults` have them, and nothing that is released is built with it: without it
//! [`is_planted`] is `false` at compile time, and every line that asks for it is gone.

macro_rules! planted {
    ($($name:ident = $words:literal;)*) => {
        /// A mistake that can be planted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each has its sentence in `words`")]
        pub enum Planted {
            $($name,)*
        }

        impl Planted {
            /// All of them.
            pub const ALL: &[Planted] = &[$(Planted::$name,)*];

            /// What is done wrong.
            pub fn words(self) -> &'static str {
                match self {
                    $(Planted::$name => $words,)*
                }
            }
        }
    };
}

planted! {
    ForgetsAnotherGo = "a connection that stops at its budget does not ask for another go";
    ReadsOnce = "a full read is taken for the last";
    MissesTheEnd = "a short read is taken for the last although the peer's end is announced";
    WritesOnce = "a write that took everything is taken for one that found the socket full";
    CountsUnsent = "a short write is counted as a whole one";
    HonoursStaleKeys = "a key finds the successor of what it named";
    FiresEarly = "timers fire up to two milliseconds early";
    CancelsNoTimer = "a cancelled timer fires all the same";
    ForgetsDeadlines = "with more than three timers set the loop sleeps without end";
    ForgetsToClose = "the loop sleeps although connections are to be closed";
    KeepsClosedPeers = "what was kept for a connection stays when it is closed";
    LetsOneMoreIn = "one connection too many is let in";
    QueuesOneMore = "one run too many may wait";
    EndsTwice = "a run that is cancelled tells its end twice";
    KeepsCancelledTask = "the task of a cancelled run stays";
    ForgetsThatSomeoneCame = "a run is cancelled after its grace although somebody came back";
    RepeatsOnRejoin = "a reader that comes back is told its last event again";
    SkipsOnRejoin = "a reader that comes back misses an event";
    LeaksBodyBytes = "the bytes of a body that was given up stay counted";
    PromisesOneByteMore = "some answers promise a byte more than they have";
    LosesSmallRest = "one byte that waits for the rest of a request is lost";
    KeepsSyncWaiter = "a connection that is gone stays among those that wait for a scan";
    SyncJoinsRunning = "a sync is content with a scan that had begun before it";
    KeepsWatcher = "a connection that is gone stays among a run's readers";
    TellsNewsOnce = "a run's readers are told of news only once";
    StarvesTasks = "a task that goes on is put at the head of the queue";
    ForgetsTheBacklog = "what a turn's share left in the backlog is left there";
    DropsAnswersAtTheEnd = "a peer's end makes us forget what it is still owed";
    NeverAcceptsAgain = "a pause in accepting has no end";
    FailsWhenInterrupted = "an interrupted wait ends the loop";
    EvictsTheBusy = "a connection in the middle of an answer makes room for another";
    ScansPastTheEnd = "where a head ends is not seen when it arrives in two parts";
    ClosesWithoutLingering = "a connection is closed behind its last answer, whatever the peer still sends";
    AsksForEver = "a connection that waits asks for another go all the same";
    KeepsCancelledInQueue = "a run that is cancelled while it waits stays in the queue";
    AnswersBeforeCommit = "what a client relies on is told before it is kept";
    ReusesNumbers = "a process gives event numbers again that the one before may have told";
    RefusesButKeeps = "a run that was refused because it could not be kept is not forgotten by the store";
    TakesAFailureForDone = "a commit that failed is taken for one that was made";
    ForgetsAnInput = "an input is applied and not kept";
    TriesForEver = "how often a run was tried is not counted";
    TakesHalfForWhole = "a model's answer that broke off is taken for a whole one";
    AnswersAnyQuestion = "questions share a call of the model, whatever they ask";
    KeepsCallOfNobody = "a call of the model goes on when nobody waits for it any more";
    AsksBehindTheLast = "a connection to the model's server is used again although it said that it closes it";
    ForgetsRevision = "what a model had said before it failed is not taken back";
    VerifiesByHashAlone = "a source stands if its note is the same, wherever its text is";
    CountsWhatIsGone = "a cache that was emptied still counts its bytes";
    KeepsVectorAskers = "a run that does not wait for its vector any more stays among those that do";
    IgnoresTheVersion = "whoever writes a note overwrites whichever version is there";
    AnswersBeforeIndexed = "whoever has written a note is answered before the index holds it";
    ForgetsCallbacks = "a process forgets the callbacks that the one before had not made";
    SweepsTheUncalled = "a run is swept although its callback is outstanding";
    SleepsOnCallbacks = "the loop sleeps although a callback could be tried";
    KeepsCallPlaces = "a try of a callback that failed keeps its place";
    TellsBeforeTheEnd = "an end is told before it is kept";
    TalksAtOnce = "messages of one session are answered at the same time";
    KeepsFailedDials = "a socket that could not be connected is not closed";
    SkipsOnResume = "a run that is resumed over a WebSocket misses an event";
    KeepsFetched = "a run that was fetched for a WebSocket, which then has no room for it, stays";
    KeepsReadings = "a WebSocket that is closed in good order stays among its runs' readers";
    KeepsTheSilent = "a WebSocket whose client does not answer pings is pinged for ever";
    LosesEarlyFrames = "frames that came with their handshake are lost";
    GracesCompletions = "a completion that was left has a grace, although nobody can come back to it";
}

#[cfg(feature = "planted-faults")]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Planted>> = const { std::cell::Cell::new(None) };
}

/// Plants a mistake in this thread, or none.
#[cfg(feature = "planted-faults")]
pub fn plant(mistake: Option<Planted>) {
    ACTIVE.set(mistake);
}

/// This mistake is to be made here.
#[cfg(feature = "planted-faults")]
pub fn is_planted(mistake: Planted) -> bool {
    ACTIVE.get() == Some(mistake)
}

/// This mistake is to be made here: never.
#[cfg(not(feature = "planted-faults"))]
#[inline(always)]
pub const fn is_planted(_: Planted) -> bool {
    false
}
