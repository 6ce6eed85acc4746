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
        ASKING
            .iter()
            .find(|(_, signs)| {
                signs.iter().any(|sign| {
                    if sign.is_ascii() || sign.starts_with(' ') {
                        padded.contains(sign)
                    } else {
                        lower.contains(sign)
                    }
                })
            })
            .map_or(Kind::Other, |(kind, _)| *kind)
    }
}

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
            " limit ",
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
