//! The marks by which a piece of text shows that it gives a kind of answer.
//!
//! They are cheap and shallow on purpose: they tip the scale between pieces that hold the words asked for. Some of them an
//! answer cannot do without ([`Kind::is_sharp`](super::kind::Kind)): a price without a currency is refused.

/// What a piece of text shows of itself: a small set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks(u32);

impl Marks {
    /// A number, in digits or as a word.
    pub(super) const NUMBER: Marks = Marks(1);
    /// A date, a weekday, a time of day, or a word like `after`.
    pub(super) const TIME: Marks = Marks(2);
    /// A capitalised word inside a sentence that the question doesn't have.
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
    /// A temperature: a number's unit for one.
    pub(super) const HEAT: Marks = Marks(256);
    /// An amount of money: a currency.
    pub(super) const MONEY: Marks = Marks(512);
    /// A span of time: a unit of time.
    pub(super) const SPAN: Marks = Marks(1024);
    /// A length: a unit of length.
    pub(super) const LENGTH: Marks = Marks(2048);
    /// A weight: a unit of weight.
    pub(super) const WEIGHT: Marks = Marks(4096);
    /// A speed: a unit of speed.
    pub(super) const SPEED: Marks = Marks(8192);
    /// A telephone number: many digits, or the word for it.
    pub(super) const PHONE: Marks = Marks(16_384);
    /// The name of a colour.
    pub(super) const COLOUR: Marks = Marks(32_768);
    /// A number beside what is to be counted.
    pub(super) const COUNT: Marks = Marks(65_536);
    /// A capitalised word at the beginning of a sentence, which may be a name.
    pub(super) const OPENING: Marks = Marks(131_072);
    /// A time of day.
    pub(super) const CLOCK: Marks = Marks(262_144);
    /// A year.
    pub(super) const YEAR: Marks = Marks(524_288);

    /// Either of the two.
    pub(super) const fn or(self, other: Marks) -> Marks {
        Marks(self.0 | other.0)
    }

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
            || is_number_word(lower)
            || FREQUENCIES.contains(&lower)
            || lower.chars().any(|character| "一二三四五六七八九十百千".contains(character))
        {
            marks.add(Marks::NUMBER);
        }
        let is_year = lower.len() == 4
            && lower.starts_with(['1', '2'])
            && lower.bytes().all(|byte| byte.is_ascii_digit());
        let is_clock =
            starts_with_digit && (lower.contains(':') || lower.ends_with("am") || lower.ends_with("pm"));
        if is_year
            || is_clock
            || TIMES.contains(&lower)
            || FREQUENCIES.contains(&lower)
            || lower.chars().any(|character| "年月日時时".contains(character))
        {
            marks.add(Marks::TIME);
        }
        if is_clock
            || CLOCKS.contains(&lower)
            || NUMBERS.contains(&lower)
            || lower.contains('時')
            || lower.contains('点')
        {
            marks.add(Marks::CLOCK);
        }
        if is_year || lower.contains('年') {
            marks.add(Marks::YEAR);
        }
        if is_capital && !opens_sentence || TEAMS.contains(&lower) {
            marks.add(Marks::NAME);
        }
        if HEATS.contains(&lower) {
            marks.add(Marks::HEAT);
        }
        if MONEYS.contains(&lower) {
            marks.add(Marks::MONEY);
        }
        if SPANS.contains(&lower) || lower.chars().any(|character| "分秒時时間年月".contains(character))
        {
            marks.add(Marks::SPAN);
        }
        if LENGTHS.contains(&lower) {
            marks.add(Marks::LENGTH);
        }
        if WEIGHTS.contains(&lower) {
            marks.add(Marks::WEIGHT);
        }
        if SPEEDS.contains(&lower) {
            marks.add(Marks::SPEED);
        }
        if COLOURS.contains(&lower) {
            marks.add(Marks::COLOUR);
        }
        if PHONES.contains(&lower) {
            marks.add(Marks::PHONE);
        }
        if PLACES.contains(&lower) {
            marks.add(Marks::PLACE);
        }
        if REASONS.contains(&lower) {
            marks.add(Marks::REASON);
        }
        // Behind other words, `first` and `next` count and point: `the first turn`.
        let is_step = opens_sentence || !["first", "next"].contains(&lower);
        if STEPS.contains(&lower) && is_step {
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
        if text.contains(['°', '℃', '℉', '度']) {
            marks.add(Marks::HEAT);
        }
        if text.contains(['€', '$', '£', '¥', '円', '元', '₽']) {
            marks.add(Marks::MONEY);
        }
        if has_clock(text) {
            marks.add(Marks::TIME.or(Marks::CLOCK));
        }
        if has_long_number(text) {
            marks.add(Marks::PHONE);
        }
        if text.contains('→') || text.contains("->") {
            marks.add(Marks::STEPS);
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

/// A time of day: `7:05`.
fn has_clock(text: &str) -> bool {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    let is_clock = |at: usize| {
        let behind = |step: usize| bytes.get(at + step);
        is_digit(at.checked_sub(1).and_then(|before| bytes.get(before)))
            && matches!(behind(1), Some(b'0'..=b'5'))
            && is_digit(behind(2))
            && !is_digit(behind(3))
    };
    bytes.iter().enumerate().any(|(at, byte)| *byte == b':' && is_clock(at))
}

/// Five digits behind one another, whatever parts they are written in.
fn has_long_number(text: &str) -> bool {
    let mut digits = 0;
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b' ' | b'-' | b'/' | b'(' | b')' | b'+' => {}
            _ => digits = 0,
        }
        if digits >= PHONE_DIGITS_MIN {
            return true;
        }
    }
    false
}

/// `lower` is a number.
pub(super) fn is_number_word(lower: &str) -> bool {
    NUMBERS.contains(&lower)
}

/// `lower` names a day, a month or the like.
pub(super) fn is_time_word(lower: &str) -> bool {
    TIMES.contains(&lower)
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

const HEATS: [&str; 6] = ["degree", "degrees", "celsius", "fahrenheit", "kelvin", "grad"];

const FREQUENCIES: [&str; 10] = [
    "every",
    "hourly",
    "daily",
    "nightly",
    "weekly",
    "monthly",
    "quarterly",
    "yearly",
    "annually",
    "täglich",
];

const MONEYS: [&str; 14] = [
    "euro", "euros", "eur", "dollar", "dollars", "usd", "pound", "pounds", "kronor", "guilders", "marks",
    "cents", "francs", "free",
];

const SPANS: [&str; 31] = [
    "second", "seconds", "minute", "minutes", "hour", "hours", "day", "days", "week", "weeks", "month",
    "months", "year", "years", "min", "s", "h", "ms", "night", "nights", "sekunden", "minuten", "stunde",
    "stunden", "tage", "wochen", "monate", "jahre", "heures", "horas", "forever",
];

const PHONE_DIGITS_MIN: u32 = 5;

const WEIGHTS: [&str; 16] = [
    "kg",
    "g",
    "mg",
    "t",
    "gram",
    "grams",
    "kilo",
    "kilos",
    "kilogram",
    "kilograms",
    "ton",
    "tons",
    "tonne",
    "tonnes",
    "lb",
    "ounces",
];

const SPEEDS: [&str; 14] = [
    "knots", "kn", "km/h", "kmh", "mph", "m/s", "mbit/s", "gbit/s", "mb/s", "rpm", "bps", "kbit/s", "hz", "s",
];

const PHONES: [&str; 4] = ["telephone", "phone", "tel", "extension"];

const COLOURS: [&str; 28] = [
    "red",
    "green",
    "blue",
    "yellow",
    "black",
    "white",
    "grey",
    "gray",
    "brown",
    "orange",
    "purple",
    "pink",
    "violet",
    "lilac",
    "crimson",
    "turquoise",
    "silver",
    "gold",
    "golden",
    "beige",
    "rust",
    "ral",
    "rot",
    "grün",
    "blau",
    "gelb",
    "schwarz",
    "weiß",
];

const LENGTHS: [&str; 17] = [
    "m",
    "km",
    "cm",
    "mm",
    "metre",
    "metres",
    "meter",
    "meters",
    "mile",
    "miles",
    "feet",
    "foot",
    "inch",
    "inches",
    "kilometres",
    "kilometers",
    "millimetres",
];

const NUMBERS: [&str; 43] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "hundred", "thousand", "million", "once", "twice", "zwei", "drei", "vier", "fünf", "sechs",
    "sieben", "acht", "neun", "zehn", "zwölf", "hundert", "tausend", "thirteen", "fourteen", "fifteen",
    "sixteen", "eighteen", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
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

const CLOCKS: [&str; 16] = [
    "am",
    "pm",
    "a.m",
    "p.m",
    "noon",
    "midday",
    "midnight",
    "morning",
    "afternoon",
    "evening",
    "dawn",
    "dusk",
    "sunrise",
    "sunset",
    "clock",
    "uhr",
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

const STEPS: [&str; 9] =
    ["first", "then", "next", "finally", "afterwards", "zuerst", "dann", "danach", "schließlich"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_a_time_and_a_ratio_is_none() {
        for text in ["nightly at 03:00.", "7:05", "(17:30)"] {
            assert!(has_clock(text), "{text}");
        }
        for text in ["glycol 1:1", "a:30", ":30", "1:", "12:3", "2:345", "1:75"] {
            assert!(!has_clock(text), "{text}");
        }
    }
}
