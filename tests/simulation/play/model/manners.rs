//! What a model server is like in one world: how fast, how talkative, and what is wrong with it.

use std::time::Duration;

use oneloop::os::sim::Random;

macro_rules! troubles {
    ($($name:ident = $words:literal;)*) => {
        /// Something that goes wrong with one answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Trouble {
            $($name,)*
        }

        impl Trouble {
            /// All of them.
            pub const ALL: &[Trouble] = &[$(Trouble::$name,)*];

            /// What the model's server does, for people, and as something that was seen.
            pub fn words(self) -> &'static str {
                match self {
                    $(Trouble::$name => concat!("a model server ", $words),)*
                }
            }
        }
    };
}

troubles! {
    NeverReads = "took a connection and read nothing";
    NeverAnswers = "read a question and said nothing";
    StopsBehindHead = "said nothing behind its head";
    StopsWithin = "fell silent within an answer";
    ResetsAtOnce = "reset a connection in place of an answer";
    ResetsWithin = "reset a connection within an answer";
    HangsUpAtOnce = "hung up in place of an answer";
    HangsUpWithin = "hung up within an answer";
    HalfAnEvent = "hung up within an event, in good order";
    NeverSaysWhy = "ended a stream before its answer was over";
    Garbage = "answered with what is no HTTP";
    GiantHead = "answered with a giant head";
    GiantLine = "sent a giant line";
    Endless = "sent an answer without end";
    OnlyComments = "sent comments and nothing else";
    Error = "sent an error within an answer";
    NoJson = "sent an event that is no JSON";
    OtherShape = "sent JSON of another shape";
    WebPage = "answered with a web page";
    Nothing = "answered with an empty stream";
    NoContent = "answered 204";
    Switches = "answered 101";
    BadChunk = "sent a chunk without a size";
    TooShort = "promised more bytes than it sent";
    TwoLengths = "told two lengths";
    TooMany = "answered 429 and said when to come again";
    TooManyForLong = "answered 429 and wanted an hour's patience";
    TooManyPlain = "answered 429 and did not say when to come again";
    Failed = "answered 500";
    Gateway = "answered 502";
    Busy = "answered 503";
    WrongKey = "answered 401";
    NoSuchModel = "answered 404";
    BadRequest = "answered 400";
    Redirects = "answered with a redirect";
    LongRefusal = "refused with a giant body";
    EndlessRefusal = "refused without end";
}

/// What a model server is like.
#[derive(Debug, Clone)]
pub struct Manners {
    /// How often an answer goes wrong, in a thousand, and in which ways.
    pub trouble_per_mille: u16,
    /// One of them is drawn; none at all is no trouble.
    pub troubles: Vec<Trouble>,
    /// How often it calls tools that it is offered, in a thousand.
    pub tools_per_mille: u16,
    /// How often such a call is wrong, in a thousand.
    pub wrong_tools_per_mille: u16,
    /// How often it writes notes when it calls tools and may, in a thousand.
    pub writes_per_mille: u16,
    /// It calls tools for as long as it is offered any.
    pub calls_for_ever: bool,
    /// It answers 400 to whoever offers tools.
    pub refuses_tools: bool,
    /// It answers 400 to longer questions.
    pub question_bytes_max: usize,
    /// Words of an answer.
    pub words_max: usize,
    /// Longest pause before an answer.
    pub think: Duration,
    /// Longest pause between two pieces of it.
    pub gap: Duration,
    /// How often it ends a connection behind an answer, in a thousand.
    pub closes_per_mille: u16,
    /// How often it hangs up on a connection at the moment when it is used again, in a thousand.
    pub stale_per_mille: u16,
    /// After how long without a question it hangs up.
    pub idle: Duration,
    /// When it is away, after the start, and for how long.
    pub away: Vec<(Duration, Duration)>,
}

impl Manners {
    /// Fast, and nothing is wrong.
    pub fn good() -> Manners {
        Manners {
            trouble_per_mille: 0,
            troubles: Vec::new(),
            tools_per_mille: 0,
            wrong_tools_per_mille: 0,
            writes_per_mille: 0,
            calls_for_ever: false,
            refuses_tools: false,
            question_bytes_max: usize::MAX,
            words_max: 20,
            think: Duration::from_millis(50),
            gap: Duration::from_millis(2),
            closes_per_mille: 0,
            stale_per_mille: 0,
            idle: Duration::from_secs(3600),
            away: Vec::new(),
        }
    }

    /// As this world has it.
    pub fn draw(random: &mut Random) -> Manners {
        let millis = |random: &mut Random, most| Duration::from_millis(random.spread(most) as u64);
        let share = random.pick(&[0, 100, 300, 300, 700]);
        // Drawn in any case, so that none shifts the others' numbers.
        let troubles: Vec<Trouble> = Trouble::ALL.iter().copied().filter(|_| random.chance(share)).collect();
        let absences = random.pick(&[0, 0, 0, 1, 3]);
        let away = (0..absences).map(|_| (millis(random, 60_000), millis(random, 30_000))).collect();
        Manners {
            trouble_per_mille: random.pick(&[100, 300, 500, 1000]),
            troubles,
            tools_per_mille: random.pick(&[0, 300, 800]),
            wrong_tools_per_mille: random.pick(&[0, 200, 600]),
            writes_per_mille: 0,
            calls_for_ever: random.chance(150),
            refuses_tools: random.chance(150),
            question_bytes_max: random.pick(&[
                usize::MAX,
                usize::MAX,
                usize::MAX,
                usize::MAX,
                12_000,
                5000,
                10,
            ]),
            words_max: random.pick(&[1, 20, 20, 200]),
            think: millis(random, 10_000),
            gap: millis(random, 2000),
            closes_per_mille: random.pick(&[0, 300, 1000]),
            stale_per_mille: random.pick(&[0, 0, 200]),
            idle: Duration::from_millis(random.pick(&[1, 2000, 60_000, 3_600_000])),
            away,
        }
    }
}
