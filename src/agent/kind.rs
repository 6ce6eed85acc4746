//! The kind of answer a question wants.
//!
//! It is read from a few asking words in four languages; where none is known the kind is [`Kind::Other`], which wants
//! nothing in particular.

use crate::text::words;

use super::marks::Marks;

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A time: when, since when, until when.
    When,
    /// A time of day: at what time.
    Clock,
    /// A year: in which year.
    Year,
    /// A temperature: how hot, which temperature.
    HowHot,
    /// A count: how many.
    HowMany,
    /// Any other number: how much, how often.
    HowMuch,
    /// An amount of money: what does it cost.
    Price,
    /// A span of time: how long.
    HowLong,
    /// A length: how far, how deep.
    HowFar,
    /// A weight: how heavy.
    HowHeavy,
    /// An age: how old.
    HowOld,
    /// A speed: how fast.
    HowFast,
    /// A telephone number.
    Phone,
    /// A colour.
    Colour,
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
        let found = ASKING.iter().find(|(kind, signs)| signs.iter().any(|sign| gives_away(*kind, sign)));
        let kind = found.map_or(Kind::Other, |(kind, _)| *kind);
        // `What is its depth?` wants no definition.
        let kind = if kind == Kind::WhatIs && ATTRIBUTES.iter().any(|sign| padded.contains(sign)) {
            Kind::Other
        } else {
            kind
        };
        let holds = |signs: &[&str]| {
            signs
                .iter()
                .any(|sign| if sign.starts_with(' ') { padded.contains(sign) } else { lower.contains(sign) })
        };
        match kind {
            Kind::HowMuch | Kind::WhatIs | Kind::Which | Kind::Other if holds(&PRICES) => Kind::Price,
            Kind::HowMuch if holds(&SPANS) => Kind::HowLong,
            Kind::HowMuch if holds(&LENGTHS) => Kind::HowFar,
            Kind::HowMuch if holds(&WEIGHTS) => Kind::HowHeavy,
            Kind::HowMuch if holds(&AGES) => Kind::HowOld,
            Kind::HowMuch if holds(&SPEEDS) => Kind::HowFast,
            Kind::WhatIs | Kind::Which | Kind::Other if holds(&RATES) => Kind::HowFast,
            Kind::WhatIs | Kind::Which | Kind::Other if holds(&PHONES) => Kind::Phone,
            Kind::When if holds(&CLOCKS) => Kind::Clock,
            Kind::When if holds(&YEARS) => Kind::Year,
            Kind::WhatIs | Kind::Which | Kind::Other if holds(&COLOURS) => Kind::Colour,
            Kind::HowMuch if holds(&COUNTS) => {
                // `How many degrees` asks for no count.
                let unit = Kind::counted(message).and_then(|behind| words(behind).next());
                unit.map_or(Kind::HowMany, |unit| {
                    match Marks::of_word(&unit.text.to_lowercase(), false, false) {
                        marks if marks.has_any(Marks::HEAT) => Kind::HowHot,
                        marks if marks.has_any(Marks::MONEY) => Kind::Price,
                        marks if marks.has_any(Marks::LENGTH) => Kind::HowFar,
                        marks if marks.has_any(Marks::SPAN) => Kind::HowLong,
                        marks if marks.has_any(Marks::WEIGHT) => Kind::HowHeavy,
                        _ => Kind::HowMany,
                    }
                })
            }
            Kind::Other if is_how_done(&padded) => Kind::HowTo,
            Kind::Other if padded.contains(" how do") && padded.contains(" work ") => Kind::Order,
            kind => kind,
        }
    }

    /// What is wanted can be told in figures, so two notes that disagree show it.
    pub(super) fn is_figure(self) -> bool {
        match self {
            Kind::When | Kind::HowHot | Kind::HowMuch | Kind::Price | Kind::HowLong | Kind::HowFar => true,
            Kind::Clock | Kind::Year => true,
            Kind::HowMany | Kind::HowHeavy | Kind::HowOld | Kind::HowFast | Kind::Phone => true,
            Kind::Colour | Kind::Who | Kind::Where | Kind::Order | Kind::HowTo | Kind::Why => false,
            Kind::WhatIs | Kind::Which | Kind::Other => false,
        }
    }

    /// What answers it shows it: a temperature its degrees, a price its currency.
    pub(super) fn is_sharp(self) -> bool {
        match self {
            Kind::HowHot | Kind::Price | Kind::HowFar | Kind::HowHeavy | Kind::HowOld => true,
            Kind::HowMany | Kind::HowFast | Kind::Phone | Kind::Colour => true,
            Kind::Clock | Kind::Year => true,
            Kind::When | Kind::Who | Kind::HowMuch | Kind::HowLong | Kind::Where | Kind::Order => false,
            Kind::HowTo | Kind::Why | Kind::WhatIs | Kind::Which | Kind::Other => false,
        }
    }

    /// What answers it says by its looks what it is: a temperature, a date.
    pub(super) fn says_itself(self) -> bool {
        let is_time = matches!(self, Kind::When | Kind::Clock | Kind::Year);
        is_time || matches!(self, Kind::HowHot | Kind::HowMuch | Kind::HowLong | Kind::HowFar | Kind::HowTo)
    }

    /// What an answer of this kind shows at least one of; `None` if nothing in particular.
    pub(super) fn wanted(self) -> Option<Marks> {
        match self {
            Kind::When => Some(Marks::TIME),
            Kind::Clock => Some(Marks::CLOCK),
            Kind::Year => Some(Marks::YEAR),
            Kind::HowHot => Some(Marks::HEAT),
            Kind::HowMany => Some(Marks::COUNT),
            Kind::HowMuch => Some(Marks::NUMBER),
            Kind::Price => Some(Marks::MONEY),
            Kind::HowLong => Some(Marks::SPAN.or(Marks::LENGTH)),
            Kind::HowFar => Some(Marks::LENGTH),
            Kind::HowHeavy => Some(Marks::WEIGHT),
            Kind::HowOld => Some(Marks::SPAN.or(Marks::TIME)),
            Kind::HowFast => Some(Marks::SPEED.or(Marks::SPAN)),
            Kind::Phone => Some(Marks::PHONE),
            Kind::Colour => Some(Marks::COLOUR),
            Kind::Who => Some(Marks::NAME),
            Kind::Where => Some(Marks::PLACE),
            Kind::Order => Some(Marks::STEPS),
            Kind::HowTo => Some(Marks::CODE.or(Marks::STEPS)),
            Kind::Why => Some(Marks::REASON),
            Kind::WhatIs => Some(Marks::DEFINES),
            Kind::Which | Kind::Other => None,
        }
    }

    /// `message` asks what something looks like, which an example or a picture shows best.
    pub(super) fn asks_for_looks(message: &str) -> bool {
        let lower = message.to_lowercase();
        let all: Vec<&str> = lower
            .split(|character: char| !character.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        let looks =
            all.windows(2).any(|pair| matches!(pair, ["look" | "looks", "like"] | ["sieht" | "sehen", _]));
        looks || all.iter().any(|word| LOOKS.contains(word))
    }

    /// The word behind `how many`, and whatever stands before its noun: what is counted.
    pub(super) fn counted(message: &str) -> Option<&str> {
        let sign = COUNTS.iter().map(|sign| sign.trim()).find_map(|sign| {
            let at = message.to_ascii_lowercase().find(sign)?;
            Some(at + sign.len())
        });
        message.get(sign?..)
    }

    /// Its signs are long enough to mean it wherever they stand.
    fn is_anywhere(self) -> bool {
        matches!(self, Kind::Order | Kind::HowHot | Kind::HowMuch | Kind::HowTo)
    }
}

/// `How is the pump bled?`: a way is asked for, with a verb in its third form.
fn is_how_done(padded: &str) -> bool {
    let behind =
        [" how is ", " how are ", " how was "].iter().find_map(|sign| Some(padded.find(sign)? + sign.len()));
    behind.is_some_and(|at| {
        padded[at..].split(' ').any(|word| word.len() > 3 && word.ends_with("ed") || word.ends_with("en"))
    })
}

/// What gives away that an amount of money, a span of time or a length is asked for.
const PRICES: [&str; 22] = [
    " cost ",
    " costs ",
    " price ",
    " fee ",
    " fare ",
    " pay ",
    " paid ",
    " salary ",
    " wage ",
    " earn ",
    " rent ",
    " budget ",
    " expensive ",
    " how much is ",
    " how much are ",
    " turnover ",
    "kostet",
    "coûte",
    "cuesta",
    "いくら",
    "多少钱",
    "сколько стоит",
];
const SPANS: [&str; 6] = [" how long ", " wie lange ", "多久", "多长时间", "どのくらい", " cuánto tiempo "];
const LENGTHS: [&str; 8] = [
    " how far ",
    " how high ",
    " how deep ",
    " how wide ",
    " how tall ",
    " wie weit ",
    " wie hoch ",
    " wie tief ",
];

const ATTRIBUTES: [&str; 6] = [
    " what is its ",
    " what are its ",
    " what is their ",
    " what is his ",
    " what is her ",
    " was ist sein ",
];
const COUNTS: [&str; 2] = [" how many ", " wie viele "];
const WEIGHTS: [&str; 3] = [" how heavy ", " weigh ", " wie schwer "];
const AGES: [&str; 2] = [" how old ", " wie alt "];
const SPEEDS: [&str; 3] = [" how fast ", " how quick ", " wie schnell "];
const RATES: [&str; 2] = [" what is the speed ", " which speed "];
const CLOCKS: [&str; 4] = [" what time ", " um wie viel uhr ", "几点", "何時"];
const YEARS: [&str; 3] = [" what year ", " which year ", " in welchem jahr "];
const PHONES: [&str; 4] = [" phone number ", " telephone number ", "telefonnummer", "电话号码"];
const COLOURS: [&str; 6] =
    [" what colour ", " which colour ", " what color ", " which color ", "welche farbe", "什么颜色"];

/// Words for what is shown rather than told.
const LOOKS: [&str; 12] = [
    "example",
    "examples",
    "diagram",
    "drawing",
    "picture",
    "sketch",
    "syntax",
    "format",
    "snippet",
    "beispiel",
    "zeichnung",
    "diagramm",
];

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
const ASKING: [(Kind, &[&str]); 10] = [
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
        Kind::HowHot,
        &[
            " how hot ",
            " how cold ",
            " how warm ",
            " what temperature ",
            " which temperature ",
            " wie heiß ",
            " wie kalt ",
            " wie warm ",
            " welche temperatur ",
            "多热",
            "几度",
            "何度",
        ],
    ),
    (
        Kind::HowMuch,
        &[
            " how many ",
            " how much ",
            " how long ",
            " how often ",
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
            " um wie viel uhr ",
            " in welchem jahr ",
            "几点",
            "何時",
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

/// `lower` asks for an amount of money, which a piece with a currency answers without saying so.
pub(super) fn is_price(lower: &str) -> bool {
    ["cost", "costs", "price", "fee", "fare", "kostet"].contains(&lower)
}

/// `lower` asks for a measure behind `how`.
pub(super) fn is_measure(lower: &str) -> bool {
    [
        "long", "often", "hot", "cold", "big", "large", "small", "fast", "slow", "high", "deep", "far",
        "old", "heavy", "tall", "wide", "warm", "lange", "heiß", "kalt", "groß", "hoch", "schnell", "alt",
        "schwer", "warm", "weit",
    ]
    .contains(&lower)
}
