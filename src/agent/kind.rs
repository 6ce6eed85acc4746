//! The kind of answer a question wants, and the marks by which a piece of text shows that it gives one.
//!
//! Marks are cheap and shallow on purpose: they only tip the scale between pieces that hold the words asked for.

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A time: when, since when, until when.
    When,
    /// A number: how many, how much, how long, how hot.
    HowMuch,
    /// A person or team.
    Who,
    /// A place: where, in which file.
    Where,
    /// A sequence: which order, which steps.
    Order,
    /// Instructions: how to, how do I.
    HowTo,
    /// A reason.
    Why,
    /// What something is.
    WhatIs,
    /// A choice: which, what are.
    Which,
    /// Anything else.
    Other,
}

impl Kind {
    /// The kind that the words of `message` ask for.
    pub(super) fn of(message: &str) -> Kind {
        let lower = message.to_lowercase();
        let padded: String = [" ", &lower, " "]
            .concat()
            .chars()
            .map(|character| if character.is_alphanumeric() { character } else { ' ' })
            .collect();
        // In `what happens when`, the second word that asks only joins.
        let asking = INTERROGATIVES.iter().filter_map(|word| padded.find(word)).min().unwrap_or(0);
        let gives_away = |kind: Kind, sign: &str| {
            if !sign.starts_with(' ') {
                return lower.contains(sign);
            }
            padded.find(sign).is_some_and(|at| at <= asking || kind.is_anywhere())
        };
        ASKING
            .iter()
            .find(|(kind, signs)| signs.iter().any(|sign| gives_away(*kind, sign)))
            .map_or(Kind::Other, |(kind, _)| *kind)
    }

    /// Its signs are long enough to mean it wherever they stand.
    fn is_anywhere(self) -> bool {
        matches!(self, Kind::Order | Kind::HowMuch | Kind::HowTo)
    }
}

/// Words that ask; the first of them says what is asked.
const INTERROGATIVES: [&str; 18] = [
    " what ",
    " which ",
    " who ",
    " whom ",
    " whose ",
    " when ",
    " where ",
    " why ",
    " how ",
    " was ",
    " welche ",
    " welcher ",
    " welches ",
    " wer ",
    " wann ",
    " wo ",
    " warum ",
    " wie ",
];

/// What gives a kind away, most telling first. A sign between spaces is a word, any other a part of the text.
const ASKING: [(Kind, &[&str]); 9] = [
    (
        Kind::Order,
        &[
            " which order ",
            " what order ",
            " in order ",
            " sequence ",
            " steps ",
            " reihenfolge ",
            " schritte ",
            "顺序",
            "步骤",
            "順序",
            "手順",
        ],
    ),
    (
        Kind::HowMuch,
        &[
            " how many ",
            " how much ",
            " how long ",
            " how often ",
            " how hot ",
            " how cold ",
            " how big ",
            " how large ",
            " how small ",
            " how fast ",
            " how high ",
            " how deep ",
            " how far ",
            " how old ",
            " how heavy ",
            " how tall ",
            " how wide ",
            " how warm ",
            " what temperature ",
            " which temperature ",
            " what size ",
            " what port ",
            " which port ",
            " what percentage ",
            " what number ",
            " wie viele ",
            " wie viel ",
            " wieviel ",
            " wieviele ",
            " wie lange ",
            " wie oft ",
            " wie heiß ",
            " wie groß ",
            " wie hoch ",
            " wie schnell ",
            "多少",
            "几个",
            "多长",
            "多久",
            "多大",
            "いくつ",
            "どのくらい",
            "何度",
            "何個",
        ],
    ),
    (
        Kind::HowTo,
        &[
            " how to ",
            " how do i ",
            " how do we ",
            " how do you ",
            " how can ",
            " how should ",
            " how must ",
            " how would i ",
            " which command ",
            " what command ",
            " wie kann ",
            " wie mache ",
            " wie soll ",
            " wie muss ",
            " wie richte ",
            " wie starte ",
            "如何",
            "怎么",
            "怎样",
            "どうやって",
        ],
    ),
    (
        Kind::When,
        &[
            " when ",
            " what time ",
            " what day ",
            " which day ",
            " what date ",
            " what year ",
            " which year ",
            " wann ",
            " seit wann ",
            "什么时候",
            "何时",
            "いつ",
        ],
    ),
    (Kind::Who, &[" who ", " whom ", " whose ", " wer ", " wem ", " wen ", "谁", "誰", "だれ"]),
    (
        Kind::Where,
        &[
            " where ",
            " which file ",
            " which folder ",
            " wo ",
            " wohin ",
            " woher ",
            "哪里",
            "哪儿",
            "在哪",
            "どこ",
        ],
    ),
    (
        Kind::Why,
        &[
            " why ",
            " reason ",
            " warum ",
            " weshalb ",
            " wieso ",
            " what for ",
            "为什么",
            "為什麼",
            "なぜ",
            "どうして",
        ],
    ),
    (
        Kind::WhatIs,
        &[
            " what is ",
            " what s ",
            " what does ",
            " define ",
            " meaning ",
            " mean ",
            " was ist ",
            " was bedeutet ",
            "是什么",
            "とは",
        ],
    ),
    (
        Kind::Which,
        &[
            " which ",
            " what are ",
            " what kinds ",
            " list ",
            " name the ",
            " welche ",
            " welcher ",
            " welches ",
            " was sind ",
            "哪些",
            "どの",
        ],
    ),
];

/// What a piece of text shows of itself: a small set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks(u8);

impl Marks {
    /// A number, in digits or as a word.
    pub(super) const NUMBER: Marks = Marks(1);
    /// A date, a weekday, a time of day, or a word like `after`.
    pub(super) const TIME: Marks = Marks(2);
    /// A capitalised word inside a sentence.
    pub(super) const NAME: Marks = Marks(4);
    /// A path, an address or a word like `in`.
    pub(super) const PLACE: Marks = Marks(8);
    /// A word like `because`.
    pub(super) const REASON: Marks = Marks(16);
    /// Code, or a sentence with a code span.
    pub(super) const CODE: Marks = Marks(32);
    /// A list in order, or a word like `then`.
    pub(super) const STEPS: Marks = Marks(64);
    /// It says of what was asked that it *is* something.
    pub(super) const DEFINES: Marks = Marks(128);

    /// Adds all of `other`.
    pub(super) fn add(&mut self, other: Marks) {
        self.0 |= other.0;
    }

    /// Has one of `other` at least.
    pub(super) fn has_any(self, other: Marks) -> bool {
        self.0 & other.0 != 0
    }

    /// What one word of a piece shows; `lower` is the word in lower case.
    pub(super) fn of_word(lower: &str, opens_sentence: bool, is_capital: bool) -> Marks {
        let mut marks = Marks::default();
        let starts_with_digit = lower.starts_with(|character: char| character.is_numeric());
        if starts_with_digit
            || NUMBERS.contains(&lower)
            || lower.chars().any(|character| "一二三四五六七八九十百千".contains(character))
        {
            marks.add(Marks::NUMBER);
        }
        let is_year =
            lower.len() == 4 && (lower.starts_with("19") || lower.starts_with("20")) && starts_with_digit;
        let is_clock =
            starts_with_digit && (lower.contains(':') || lower.ends_with("am") || lower.ends_with("pm"));
        if is_year
            || is_clock
            || TIMES.contains(&lower)
            || lower.chars().any(|character| "年月日時时".contains(character))
        {
            marks.add(Marks::TIME);
        }
        if is_capital && !opens_sentence || TEAMS.contains(&lower) {
            marks.add(Marks::NAME);
        }
        if PLACES.contains(&lower) {
            marks.add(Marks::PLACE);
        }
        if REASONS.contains(&lower) {
            marks.add(Marks::REASON);
        }
        if STEPS.contains(&lower) {
            marks.add(Marks::STEPS);
        }
        marks
    }

    /// What a piece shows beyond its words.
    pub(super) fn of_text(text: &str) -> Marks {
        let mut marks = Marks::default();
        if text.contains('`') {
            marks.add(Marks::CODE);
        }
        if text.contains('/') {
            marks.add(Marks::PLACE);
        }
        if ["因为", "所以", "由于", "ので", "から", "ため"].iter().any(|reason| text.contains(reason))
        {
            marks.add(Marks::REASON);
        }
        marks
    }
}

impl Kind {
    /// What an answer of this kind shows at least one of; `None` if nothing in particular.
    pub(super) fn wanted(self) -> Option<Marks> {
        let both = |one: Marks, other: Marks| Some(Marks(one.0 | other.0));
        match self {
            Kind::When => Some(Marks::TIME),
            Kind::HowMuch => Some(Marks::NUMBER),
            Kind::Who => Some(Marks::NAME),
            Kind::Where => Some(Marks::PLACE),
            Kind::Order => Some(Marks::STEPS),
            Kind::HowTo => both(Marks::CODE, Marks::STEPS),
            Kind::Why => Some(Marks::REASON),
            Kind::WhatIs => Some(Marks::DEFINES),
            Kind::Which | Kind::Other => None,
        }
    }
}

/// `lower` says of what stands before it that it is something.
pub(super) fn is_defining(lower: &str) -> bool {
    [
        "is",
        "are",
        "means",
        "was",
        "describes",
        "denotes",
        "stands",
        "ist",
        "sind",
        "bedeutet",
        "bezeichnet",
        "heißt",
    ]
    .contains(&lower)
}

const NUMBERS: [&str; 30] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "hundred", "thousand", "million", "once", "twice", "zwei", "drei", "vier", "fünf", "sechs",
    "sieben", "acht", "neun", "zehn", "zwölf", "hundert", "tausend",
];

const TIMES: [&str; 71] = [
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "mondays",
    "tuesdays",
    "wednesdays",
    "thursdays",
    "fridays",
    "saturdays",
    "sundays",
    "daily",
    "weekly",
    "monthly",
    "yearly",
    "quarterly",
    "hourly",
    "after",
    "before",
    "until",
    "till",
    "since",
    "once",
    "when",
    "whenever",
    "during",
    "morning",
    "noon",
    "evening",
    "night",
    "midnight",
    "today",
    "tomorrow",
    "yesterday",
    "day",
    "week",
    "month",
    "year",
    "januar",
    "februar",
    "märz",
    "mai",
    "juni",
    "juli",
    "oktober",
    "dezember",
    "montag",
    "dienstag",
    "mittwoch",
    "donnerstag",
    "freitag",
    "samstag",
    "sonntag",
    "nach",
    "bevor",
    "sobald",
    "seit",
];

const TEAMS: [&str; 8] = ["team", "group", "crew", "owner", "maintainer", "maintainers", "staff", "gruppe"];

const PLACES: [&str; 22] = [
    "in",
    "at",
    "under",
    "inside",
    "on",
    "behind",
    "beside",
    "near",
    "below",
    "above",
    "room",
    "folder",
    "file",
    "directory",
    "street",
    "im",
    "unter",
    "hinter",
    "neben",
    "auf",
    "ordner",
    "raum",
];

const REASONS: [&str; 17] = [
    "because",
    "since",
    "otherwise",
    "therefore",
    "reason",
    "due",
    "so",
    "thus",
    "hence",
    "avoid",
    "prevents",
    "weil",
    "damit",
    "denn",
    "deshalb",
    "daher",
    "sonst",
];

const STEPS: [&str; 11] = [
    "first",
    "then",
    "next",
    "finally",
    "afterwards",
    "order",
    "zuerst",
    "dann",
    "danach",
    "schließlich",
    "reihenfolge",
];
