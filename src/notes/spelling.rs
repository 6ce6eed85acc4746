//! How far apart two words are, for one who mistyped.

/// A term with fewer letters has so many neighbours that most words one slip away are words of their own.
const SHORT_LETTERS: usize = 6;

/// Fewest letters of a term that is compared, and that a short one is taken for: `own` is not `on`.
const LETTERS_MIN: usize = 3;

/// Most letters of a word that are compared; nobody mistypes longer ones in a way that this would mend.
const LETTERS_MAX: usize = 32;

/// A mistyped word, ready to be compared with many others.
#[derive(Debug, Clone)]
pub struct Mistyped {
    letters: Vec<char>,
    /// Letters before what an ending adds: a term may end anywhere behind them.
    stem: usize,
    set: u64,
    distance_max: usize,
    is_short: bool,
}

impl Mistyped {
    /// For a word as it was typed, in small letters, and its term: one slip from 4 letters on, two from 8.
    /// Of a word with fewer than 6 letters only what fingers do: two letters swapped, or one inside it too many or
    /// missing. So `trun` is `turn`, but `bread` is not `read`, nor `take` `make`.
    /// `None` for words too short or too long to be mended, and for numbers.
    pub fn new(typed: &str, term: &str) -> Option<Mistyped> {
        let count = typed.chars().count();
        let distance_max = match count {
            0..4 => return None,
            4..8 => 1,
            _ => 2,
        };
        let is_short = count < SHORT_LETTERS;
        // A stemmer takes `bioligy` and `biology` apart in different places: what was typed is compared, with or
        // without its ending.
        let letters: Vec<char> = if is_short { term.chars() } else { typed.chars() }.collect();
        let stem = letters.iter().zip(term.chars()).take_while(|(one, other)| **one == *other).count();
        let is_word = letters.iter().all(|c| c.is_alphabetic() || matches!(c, '\'' | '-' | '_'));
        (is_word && (LETTERS_MIN..=LETTERS_MAX).contains(&letters.len())).then(|| Mistyped {
            set: letters.iter().fold(0, |set, c| set | letter_bit(*c)),
            stem: if stem < LETTERS_MIN { letters.len() } else { stem },
            is_short,
            letters,
            distance_max,
        })
    }

    /// Slips between the two, if they are not more than allowed: a letter too many, missing, another, or two swapped.
    pub fn distance(&self, other: &str) -> Option<usize> {
        let far = self.letters.len() + self.distance_max;
        if other.len() + self.distance_max < self.stem || other.len() > 4 * far {
            return None;
        }
        // Each slip changes at most two letters of the set, and each letter of an ending one.
        let ending = self.letters.len() - self.stem;
        if (self.set ^ letter_set(other)).count_ones() as usize > 2 * self.distance_max + ending {
            return None;
        }
        let mut letters = ['\0'; LETTERS_MAX + 2];
        let mut length = 0;
        for c in other.chars() {
            *letters.get_mut(length)? = c;
            length += 1;
        }
        let other = &letters[..length];
        let distance = alignment(&self.letters, self.stem, other);
        let is_near = distance <= self.distance_max && (!self.is_short || is_slip(&self.letters, other));
        is_near.then_some(distance)
    }
}

/// Of two words one slip apart: fingers did it, rather than that they are different words.
fn is_slip(one: &[char], other: &[char]) -> bool {
    let (shorter, longer) = if one.len() < other.len() { (one, other) } else { (other, one) };
    let same = shorter.iter().zip(longer).take_while(|(a, b)| a == b).count();
    let Some(before) = same.checked_sub(1).filter(|_| shorter.len() >= LETTERS_MIN) else { return false };
    if shorter.len() < longer.len() {
        let is_last = same + 1 == longer.len();
        return !is_last || longer[same] == longer[before];
    }
    match (shorter.get(same..), longer.get(same..)) {
        // An ending, in a language that is not stemmed.
        (Some([a]), Some([b])) => !a.is_ascii() && !b.is_ascii(),
        (Some([a, b, ..]), Some([c, d, ..])) => a == d && b == c,
        _ => true,
    }
}

/// Optimal string alignment: Levenshtein's distance in which a swap of neighbours counts once. The least for any head of
/// `one` from `stem` letters on.
fn alignment(one: &[char], stem: usize, other: &[char]) -> usize {
    let mut least = usize::MAX;
    let mut before = [0usize; LETTERS_MAX + 3];
    let mut above: [usize; LETTERS_MAX + 3] = std::array::from_fn(|column| column);
    let mut row = [0usize; LETTERS_MAX + 3];
    for (i, a) in one.iter().enumerate() {
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let changed = above[j] + usize::from(a != b);
            row[j + 1] = changed.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        (before, above) = (above, row);
        if i + 1 >= stem {
            least = least.min(above[other.len()]);
        }
    }
    least
}

/// Which letters a word has, as bits; letters beyond ASCII share some.
fn letter_set(word: &str) -> u64 {
    word.chars().fold(0, |set, c| set | letter_bit(c))
}

fn letter_bit(letter: char) -> u64 {
    1 << (u32::from(letter) % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(typed: &str, other: &str) -> Option<usize> {
        Mistyped::new(typed, typed)?.distance(other)
    }

    #[test]
    fn a_slip_of_each_kind_counts_one() {
        for typed in ["serber", "serer", "serrver", "sevrer", "ssrver"] {
            assert_eq!(distance(typed, "server"), Some(1), "{typed}");
        }
    }

    #[test]
    fn short_words_are_taken_as_typed() {
        assert_eq!(distance("cat", "cut"), None);
        assert_eq!(distance("serbet", "server"), None);
        assert_eq!(distance("backpresure", "backpressure"), Some(1));
        assert_eq!(distance("bakcpresure", "backpressure"), Some(2));
        assert_eq!(distance("2026", "2025"), None);
    }

    #[test]
    fn a_short_word_is_mended_only_where_fingers_slip() {
        for (typed, meant) in [("trun", "turn"), ("phse", "phase"), ("looop", "loop"), ("runn", "run")] {
            assert_eq!(distance(typed, meant), Some(1), "{typed}");
        }
        for (typed, another) in [("bread", "read"), ("take", "make"), ("wine", "wind"), ("star", "start")] {
            assert_eq!(distance(typed, another), None, "{typed}");
        }
        assert_eq!(Mistyped::new("owns", "own").and_then(|owns| owns.distance("on")), None);
        assert_eq!(Mistyped::new("baking", "bake").and_then(|baking| baking.distance("make")), None);
    }

    #[test]
    fn an_ending_that_the_stemmer_takes_elsewhere_is_no_slip() {
        let distance =
            |typed, term, other| Mistyped::new(typed, term).and_then(|typed| typed.distance(other));
        assert_eq!(distance("bioligy", "bioligi", "biolog"), Some(1));
        assert_eq!(distance("ofiicer", "ofiic", "offic"), Some(1));
        assert_eq!(distance("tickets", "ticket", "tick"), None);
    }

    #[test]
    fn letters_beyond_ascii_count_as_letters() {
        assert_eq!(distance("цикла", "циклы"), Some(1));
        assert_eq!(distance("wordabcd", &"x".repeat(500)), None);
    }
}
