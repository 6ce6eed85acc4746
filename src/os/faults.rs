//! What can go wrong in a simulated world, and how often: swarm testing.
//!
//! Each seed switches some kinds of fault on, each with a weight of its own, and leaves the others off (Groce et al.,
//! "Swarm Testing", 2012): a world in which everything fails all the time never gets far enough to fail in an
//! interesting way. Each kind draws from its own stream of numbers and each strike has a name, [`Strike`], so that a
//! failure can be replayed with single strikes left out.

use std::collections::BTreeSet;
use std::fmt;

use super::sim::Random;
use crate::base::Time;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $words:literal;)*) => {
        /// A kind of thing that goes wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Fault] = &[$(Fault::$name,)*];

            /// What it does, for people.
            pub fn words(self) -> &'static str {
                match self {
                    $(Fault::$name => $words,)*
                }
            }
        }
    };
}

faults! {
    /// A read takes the first bytes only; to the reader the rest has not arrived yet, and is announced when it has.
    ShortRead = "a read finds only the first bytes, the rest arrives a moment later";
    /// A write takes the first bytes only; that there is room again is announced.
    ShortWrite = "a write takes only the first bytes";
    /// A segment of one to three bytes.
    TinySegment = "a segment carries one to three bytes";
    /// A delivery takes up to three seconds.
    SlowDelivery = "a delivery takes long";
    /// One direction of a connection stands still for up to half a minute.
    Clog = "one direction of a connection stands still";
    /// The network resets a connection while bytes are under way.
    Reset = "the network resets a connection";
    /// The poller announces what is not so.
    SpuriousReady = "the poller announces readiness that is not there";
    /// The poller keeps an announcement back for a few milliseconds.
    WithheldReady = "the poller keeps an announcement back for a while";
    /// Announcements come in another order.
    ShuffledReady = "the poller's announcements are shuffled";
    /// The poller announces something for a socket that was just closed.
    StaleToken = "the poller announces readiness of a socket that is closed";
    /// A wait is interrupted by a signal handler.
    InterruptedWait = "a wait is interrupted (EINTR)";
    /// For up to twenty milliseconds other processes have the processor.
    Descheduled = "other processes have the processor for a while";
    /// A read or write is interrupted by a signal handler.
    InterruptedCall = "a read or write is interrupted (EINTR)";
    /// For up to two seconds no descriptor is to be had.
    NoDescriptors = "descriptors run out for a while (EMFILE)";
    /// A client in the backlog gives up at the moment it is accepted.
    AbortedAccept = "a client is gone when it is accepted (ECONNABORTED)";
    /// A job takes the disk helper seconds.
    SlowHelper = "the disk helper takes long over a job";
    /// The disk helper takes no job, as when its thread can't be started.
    NoHelper = "the disk helper takes no job";
    /// The process is killed when it has handed the store a job, or when that is about to be done.
    Killed = "the process is killed while its store is at work (SIGKILL)";
    /// A job takes the store's helper seconds.
    SlowStore = "the store's helper takes long over a job";
    /// The store's helper takes no job, as when its thread can't be started.
    NoStoreHelper = "the store's helper takes no job";
    /// For up to five seconds the store's disk is full.
    StoreFull = "the store's disk is full for a while (ENOSPC)";
    /// A sync fails; what was to be synced may be in the file all the same.
    SyncFails = "a commit's sync fails (EIO)";
    /// The store can't be read.
    StoreUnreadable = "what is kept can't be read (EIO)";
    /// A file can't be read although it was listed.
    UnreadableFile = "a file can't be read";
    /// A file can't be written: the folder is read-only, or the disk is full.
    NotesUnwritable = "a file can't be written (EROFS, ENOSPC)";
    /// A folder can't be listed to its end.
    BrokenListing = "a listing ends incomplete";
    /// The monotonic clock leaps ahead, as it does when a machine was suspended.
    ClockLeap = "the clock leaps ahead, as after a suspension";
    /// The wall clock is set, ahead or back.
    WallClockSet = "the wall clock is set to another time";
    /// Nobody reads the log: its pipe takes nothing, or half a line.
    FullLogPipe = "the log's pipe is full";
    /// Whom the server connects to does not listen, or there is no way to him.
    ConnectRefused = "an attempt to connect is refused";
    /// The first packet of an attempt is lost again and again: for up to a minute, or until the system gives up.
    ConnectHangs = "an attempt to connect is not answered for long";
    /// An attempt is answered up to five seconds late.
    ConnectLate = "an attempt to connect is answered late";
    /// The resolver has no answer.
    NameFails = "a name can't be resolved";
    /// The resolver takes up to half a minute.
    NameSlow = "the names helper takes long over a name";
    /// The names helper takes no name, as when its thread can't be started.
    NoNamesHelper = "the names helper takes no name";
}

impl Fault {
    /// Those that can strike only where the server connects to others.
    pub const OUTBOUND: &[Fault] = &[
        Fault::ConnectRefused,
        Fault::ConnectHangs,
        Fault::ConnectLate,
        Fault::NameFails,
        Fault::NameSlow,
        Fault::NoNamesHelper,
    ];
}

/// One thing that went wrong: the kind, and at which of the opportunities that this kind had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Strike {
    /// What.
    pub fault: Fault,
    /// Which opportunity, counted from 0 for each kind.
    pub opportunity: u32,
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{}", self.fault, self.opportunity)
    }
}

/// Which faults strike, and how often.
#[derive(Debug, Clone, Default)]
pub struct Weather {
    /// Chance of each kind at each opportunity, in strikes per thousand. Kinds that are not listed never strike.
    pub per_mille: Vec<(Fault, u16)>,
    /// Strikes that are left out.
    pub spared: BTreeSet<Strike>,
}

/// Decides, at each opportunity, whether a fault strikes.
#[derive(Debug)]
pub struct Faults {
    kinds: Vec<Chance>,
    spared: BTreeSet<Strike>,
    struck: Vec<(Time, Strike)>,
    is_calm: bool,
}

#[derive(Debug)]
struct Chance {
    per_mille: u16,
    opportunities: u32,
    random: Random,
}

/// Strikes that are remembered for the report.
const STRIKES_KEPT_MAX: usize = 10_000;

impl Faults {
    /// The faults of one world.
    pub fn new(seed: u64, weather: &Weather) -> Faults {
        let kinds = Fault::ALL.iter().map(|fault| {
            let listed = weather.per_mille.iter().find(|(listed, _)| listed == fault);
            Chance {
                per_mille: listed.map_or(0, |(_, per_mille)| *per_mille),
                opportunities: 0,
                random: Random::new(seed, FIRST_STREAM + *fault as u64),
            }
        });
        let (kinds, spared) = (kinds.collect(), weather.spared.clone());
        Faults { kinds, spared, struck: Vec::new(), is_calm: false }
    }

    /// Whether `fault` strikes now. If it does, the strike's name and the stream that says how badly.
    pub fn strike(&mut self, fault: Fault, now: Time) -> Option<(Strike, Random)> {
        let chance = &mut self.kinds[fault as usize];
        if self.is_calm || chance.per_mille == 0 {
            return None;
        }
        let strike = Strike { fault, opportunity: chance.opportunities };
        chance.opportunities += 1;
        // How badly is drawn from a branch, so that the stream goes on the same whether this one is spared or not.
        let branch = Random::new(chance.random.number(), 0);
        if !chance.random.chance(chance.per_mille) || self.spared.contains(&strike) {
            return None;
        }
        if self.struck.len() < STRIKES_KEPT_MAX {
            self.struck.push((now, strike));
        }
        Some((strike, branch))
    }

    /// From here on nothing goes wrong any more.
    pub fn calm(&mut self) {
        self.is_calm = true;
    }

    /// Nothing goes wrong any more.
    pub fn is_calm(&self) -> bool {
        self.is_calm
    }

    /// What has gone wrong so far, and when.
    pub fn struck(&self) -> &[(Time, Strike)] {
        &self.struck
    }
}

/// Streams below it belong to the world and its actors.
const FIRST_STREAM: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(weather: &Weather) -> Vec<Strike> {
        let mut faults = Faults::new(9, weather);
        for _ in 0..1000 {
            faults.strike(Fault::ShortRead, Time::ZERO);
            faults.strike(Fault::Reset, Time::ZERO);
        }
        faults.struck().iter().map(|(_, strike)| *strike).collect()
    }

    #[test]
    fn what_is_spared_does_not_strike_and_the_others_strike_as_before() {
        let mut weather =
            Weather { per_mille: vec![(Fault::ShortRead, 20), (Fault::Reset, 5)], ..Weather::default() };
        let all = strikes(&weather);
        assert!(all.len() > 10, "{all:?}");
        weather.spared.insert(all[3]);
        let mut without = all.clone();
        without.remove(3);
        assert_eq!(strikes(&weather), without);
    }

    #[test]
    fn in_calm_weather_nothing_strikes() {
        let mut faults =
            Faults::new(9, &Weather { per_mille: vec![(Fault::Reset, 1000)], ..Weather::default() });
        assert!(faults.strike(Fault::Reset, Time::ZERO).is_some());
        assert!(faults.strike(Fault::ShortRead, Time::ZERO).is_none());
        faults.calm();
        assert!(faults.strike(Fault::Reset, Time::ZERO).is_none());
    }
}
