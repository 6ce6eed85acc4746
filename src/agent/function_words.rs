//! Words that say nothing about a topic: they ask, join and point.
//!
//! A search weighs them by how rare they are, but in a folder of twenty notes `how` may be rare. Two languages are
//! listed because two were at hand; for any other the weights of the index do what they can. Unspaced scripts come
//! as pairs of characters, so there it is single characters that give a function word away.

/// `word` asks, joins or points in English or German, or is a pair of characters with one that does in Chinese or
/// Japanese. `word` is in lower case.
pub(super) fn is_function_word(word: &str) -> bool {
    WORDS.binary_search(&word).is_ok()
        || word.chars().any(|character| is_kana(character) || CHARACTERS.contains(&character))
        || word.chars().all(|character| !character.is_alphanumeric())
}

/// Hiragana writes endings and particles; words with a meaning of their own are mostly Kanji or Katakana.
fn is_kana(character: char) -> bool {
    ('\u{3041}'..='\u{309f}').contains(&character)
}

const CHARACTERS: [char; 27] = [
    '的', '了', '吗', '呢', '是', '在', '有', '和', '什', '么', '麼', '谁', '誰', '哪', '几', '怎', '吧',
    '请', '我', '你', '它', '他', '她', '这', '多', '少', '何',
];

/// In byte order, for the binary search.
const WORDS: [&str; 218] = [
    "a", "aber", "about", "all", "allowed", "als", "also", "am", "an", "and", "any", "anything", "are", "as",
    "at", "auch", "auf", "aus", "be", "been", "bei", "beim", "being", "between", "bitte", "but", "by",
    "called", "can", "could", "da", "damit", "dann", "das", "dass", "de", "dem", "den", "denn", "der", "des",
    "did", "die", "dies", "diese", "dieser", "do", "does", "doing", "du", "durch", "each", "ein", "eine",
    "einem", "einen", "einer", "er", "es", "exactly", "exist", "exists", "explain", "for", "from", "für",
    "get", "gets", "gibt", "give", "got", "had", "happen", "happens", "has", "hat", "have", "he", "her",
    "here", "him", "his", "how", "i", "ich", "if", "ihm", "ihn", "ihr", "im", "in", "into", "is", "ist",
    "it", "its", "just", "kann", "know", "können", "let", "like", "look", "looks", "machen", "macht", "man",
    "many", "may", "me", "mean", "means", "mein", "mit", "much", "muss", "must", "my", "nach", "need",
    "needs", "no", "nor", "not", "oder", "of", "oft", "on", "or", "our", "please", "s", "shall", "she",
    "should", "show", "sich", "sie", "sind", "so", "soll", "some", "t", "tell", "than", "that", "the",
    "their", "them", "then", "there", "these", "they", "this", "those", "to", "too", "u", "um", "und", "uns",
    "unser", "up", "us", "use", "used", "using", "very", "vom", "von", "wann", "want", "war", "warum", "was",
    "we", "welche", "welchem", "welchen", "welcher", "welches", "wem", "wen", "wenn", "wer", "werden",
    "were", "weshalb", "what", "whats", "when", "where", "which", "while", "who", "whom", "whose", "why",
    "wie", "wieso", "wieviel", "wieviele", "will", "wir", "wird", "with", "wo", "woher", "wohin", "work",
    "works", "would", "you", "your", "zu", "zum", "zur", "über",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_in_the_order_that_the_search_needs() {
        assert!(WORDS.is_sorted(), "{:?}", WORDS.windows(2).find(|pair| pair[0] > pair[1]));
    }

    #[test]
    fn a_word_with_a_topic_is_none() {
        assert!(!is_function_word("espresso") && !is_function_word("温度") && !is_function_word("größe"));
        assert!(is_function_word("what") && is_function_word("über") && is_function_word("什么"));
    }
}
