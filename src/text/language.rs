//! Which language a text is in, so that its words are stemmed by that language's rules and its function words known.
//!
//! Letters tell where a script has one language that we can stem; elsewhere function words do, since hardly a sentence
//! is without. A text that gives nothing away is taken for English, whose stemmer does words of other languages little
//! harm.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::boundary::boundary_before;
use super::words::words;
use crate::base::HashSeed;

/// A language whose words can be stemmed (Snowball).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Language {
    #[default]
    English,
    German,
    French,
    Spanish,
    Italian,
    Portuguese,
    Dutch,
    Swedish,
    Danish,
    Norwegian,
    Finnish,
    Hungarian,
    Romanian,
    Turkish,
    Russian,
    Greek,
    Arabic,
    Tamil,
}

impl Language {
    /// The language of the first few hundred bytes of `text`.
    ///
    /// ```
    /// use oneloop::text::Language;
    ///
    /// assert_eq!(Language::of("Die Maschine wird jeden Montag entkalkt."), Language::German);
    /// assert_eq!(Language::of("Turn the valve."), Language::English);
    /// ```
    pub fn of(text: &str) -> Language {
        let text = &text[..boundary_before(text, READ_BYTES)];
        if let Some(language) = by_letters(text) {
            return language;
        }
        let mut heard = [0_u16; COUNT];
        let mut lower = String::new();
        for word in words(text).filter(|word| word.text.len() <= FUNCTION_WORD_BYTES_MAX) {
            lower.clear();
            lower.extend(word.text.chars().flat_map(char::to_lowercase));
            let mut languages = languages_of(&lower);
            while languages != 0 {
                heard[languages.trailing_zeros() as usize] += 1;
                languages &= languages - 1;
            }
        }
        // English comes first, so it is taken among equals.
        let mut most = Language::English;
        for (language, _) in LISTS {
            if heard[*language as usize] > heard[most as usize] {
                most = *language;
            }
        }
        if heard[most as usize] >= HEARD_MIN { most } else { Language::English }
    }

    /// `word`, in small letters, holds sentences of this language together and says nothing of their subject: `the`,
    /// `which`, `does`. A search weighs these by almost nothing, which frequency alone would not do in a folder of ten
    /// notes. Pairs of characters of Chinese or Japanese with one that does so are such words in any language.
    pub fn is_function_word(self, word: &str) -> bool {
        languages_of(word) >> self as u32 & 1 == 1
            || word.chars().any(|character| is_kana(character) || CHARACTERS.contains(&character))
            || word.chars().all(|character| !character.is_alphanumeric())
    }
}

/// The language that owns the script of most letters.
fn by_letters(text: &str) -> Option<Language> {
    let mut counts = [0_u32; 4];
    let mut others = 0;
    for character in text.chars().filter(|character| !character.is_ascii_digit()) {
        match u32::from(character) {
            0x0400..=0x04FF => counts[0] += 1,
            0x0370..=0x03FF => counts[1] += 1,
            0x0600..=0x06FF => counts[2] += 1,
            0x0B80..=0x0BFF => counts[3] += 1,
            _ if character.is_alphabetic() => others += 1,
            _ => {}
        }
    }
    let languages = [Language::Russian, Language::Greek, Language::Arabic, Language::Tamil];
    languages.into_iter().zip(counts).find(|(_, count)| *count > others).map(|(language, _)| language)
}

/// Hiragana writes endings and particles; words with a meaning of their own are mostly Kanji or Katakana.
fn is_kana(character: char) -> bool {
    ('\u{3041}'..='\u{309f}').contains(&character)
}

const CHARACTERS: [char; 27] = [
    '的', '了', '吗', '呢', '是', '在', '有', '和', '什', '么', '麼', '谁', '誰', '哪', '几', '怎', '吧',
    '请', '我', '你', '它', '他', '她', '这', '多', '少', '何',
];

/// The languages in which `word` is a function word, a bit each.
fn languages_of(word: &str) -> u32 {
    FUNCTION_WORDS.get(word).copied().unwrap_or(0)
}

static FUNCTION_WORDS: LazyLock<HashMap<&'static str, u32, HashSeed>> = LazyLock::new(|| {
    let mut languages: HashMap<&str, u32, HashSeed> = HashMap::with_hasher(HashSeed(0));
    for (language, list) in LISTS {
        for word in list.split_whitespace() {
            *languages.entry(word).or_default() |= 1 << *language as u32;
        }
    }
    languages
});

const LISTS: &[(Language, &str)] = &[
    (
        Language::English,
        "a about after all allowed also although am an and any anything are as at be because been before being
         between both but by called can can't could did do does doesn't doing don't each either etc ever every
         everything exactly exist exists explain for from get gets give given got had happen happens has have
         having he hello her here hers him his how however i i'm if in into is isn't it it's its itself just know
         let like list look looks many may me mean means might more most much must my near need needs no nor not
         of off on one only onto or other others our out over per please s shall she should show so some
         something such t tell than thanks that that's the their them then there there's these they thing things
         this those though through to too under until up upon us use used using very via want was we well were
         what what's whats when where whether which while who who's whom whose why will with within without work
         works would yes yet you your",
    ),
    (
        Language::German,
        "aber als also am an auch auf aus bei beim bin bis bitte da dabei damit dann das dass dein dem den denn
         der des die dies diese diesem diesen dieser dieses dir doch du durch ein eine einem einen einer eines
         er es etwas für gegen gibt haben hat hatte hier ich ihm ihn ihnen ihr ihre im in ist jede jeden jeder
         jedes jetzt kann können man mehr mein mich mir mit muss müssen nach nicht noch nun nur ob oder oft ohne
         sehr sein seine seit sich sie sind so soll sollen sondern sowie um und uns unser unter viel viele vom
         von vor wann war waren warum was wegen weil welche welchem welchen welcher welches wem wen wenn wer
         werden weshalb wie wieso wieviel wieviele wir wird wo woher wohin wofür womit wurde wurden zu zum zur
         zwischen über",
    ),
    (
        Language::French,
        "a afin ai alors as au aussi autre aux avec avez avons c'est car ce cela ces cet cette chaque chez
         comme comment d'un d'une dans de depuis des donc dont du elle elles en encore est et eux faire fait
         faut il ils je l la le les leur leurs lors lui là mais me même mes moins mon ne nos notre nous on ont
         ou où par pas pendant peu peut plus pour pourquoi qu'est quand que quel quelle quelles quels qui quoi
         s sa sans se sera ses si son sont sous sur ta te tes toi ton toujours tous tout toute toutes très tu un
         une vos votre vous y à été être",
    ),
    (
        Language::Spanish,
        "a al algo antes aunque cada como con cuando cuanto cuántas cuánto cuántos cuál cuáles cuándo cómo de
         debe del desde donde dos durante dónde el ella ellas ellos en entre era es esa ese eso esta estar este
         esto está están fue fueron ha hace hacia han hasta hay la las le les lo los me mi mientras mis mucho
         muy más ni no nos nosotros o para pero por porque pues que quien quién qué se sea ser si sin sobre son
         su sus sí también tan te tiene tienen todo todos tu tus un una uno unos y ya yo él",
    ),
    (
        Language::Italian,
        "a ad ai al alla alle anche ancora che chi ci come con cosa cui da dal dalla dalle degli dei del della
         delle di dopo dove e ed era essere fino fra gli ha hanno ho i il in io la le lei lo loro lui ma mi mia
         mio molto ne nei nel nella nelle noi non nostro o ogni per perché però più poi prima qual quale quali
         quando quanti quanto quella quello questa questo qui se sei si sia sono su sua sue sui sul sulla suo
         tra tu tutti tutto un una uno vi voi è",
    ),
    (
        Language::Portuguese,
        "a ao aos as até cada com como da das de dela dele depois do dos e ela elas ele eles em entre era essa
         esse esta este está estão eu foi foram há isso isto já lhe mais mas me mesmo meu minha muito na nas no
         nos não nós o onde os ou para pela pelo por porque pois qual quais quando quanto que quem se sem ser
         seu sua são só também te tem tudo têm um uma você à às é",
    ),
    (
        Language::Dutch,
        "aan al alle als altijd bij dan dat de deze die dit door een en er had heb hebben heeft hem het hij hoe
         hoeveel hun ik in is je kan kunnen maar me meer men met mijn moet moeten na naar niet nog nu of om
         omdat onder ons ook op over te tegen tot u uit van veel voor waar waarom wanneer want waren was wat we
         welk welke wie wij word worden wordt ze zich zij zijn zo zonder zou",
    ),
    (
        Language::Swedish,
        "alla att av bara blir de den denna deras det detta dig din där då efter ej eller en ett från för ha
         han har hon hur här i inte jag kan kommer man med men mig min mot mycket måste ni nu när och om på
         ska som så till under upp ut var varför vem vi vid vilka vilken vilket är åt över",
    ),
    (
        Language::Danish,
        "af alle andre at blev bliver da de dem den denne der deres det dette dig din efter eller en er et for
         fra før ham han har hun hvad hvem hvilken hvor hvordan hvorfor hvornår i ikke ind jeg kan man med
         meget men mig min mod må nu når og om op over på sig skal som så til ud under ved vi vil være",
    ),
    (
        Language::Norwegian,
        "alle at av ble blir da de den denne der deres det dette deg din du eller en er et etter for fra før
         ham han har hun hva hvem hvilken hvor hvordan hvorfor i ikke jeg kan med meg men min mot må noe nå når
         og om opp over på seg skal som så til under ut ved vi vil være",
    ),
    (
        Language::Finnish,
        "ei en että he hän ja jo joka jos kuin kuinka kuka kun minä mikä mitkä missä miksi mitä milloin mutta
         myös ne niin nyt olla oli on ovat se sekä sen siitä sinä tai tämä vain voi ja että",
    ),
    (
        Language::Hungarian,
        "a az be csak de egy el ez ezt fel hogy hogyan hol igen is itt ki kell kik le lehet lesz meg mely melyik
         mert mi miért mikor mint minden most nagyon nem nincs olyan ott pedig s szerint több van vagy vannak és",
    ),
    (
        Language::Romanian,
        "a acest această ai al ale am are au ca care ce cel cine cu cum când de din după este eu fi fost fără
         iar la le lor lui mai nu o pe pentru prin sau se sunt să unde un unei unui și în",
    ),
    (
        Language::Turkish,
        "ama bir bu da daha de değil en gibi hangi hem her için ile kaç kadar kim mi mı nasıl ne neden nerede ne
         o olan olarak oldu sonra ve veya var yok çok önce şu",
    ),
    (
        Language::Russian,
        "а без был была были было быть в вам вас во вот все всё вы где да для до его ее если есть еще ещё её же
         за и из или им их к как какая какие какой каком когда ко которые который кто куда ли мне мы на над надо
         нас не него нет ни но ну о об он она они от по под почему при про с сколько со так также там то тоже
         только ты у уже чего чем что чтобы эта это этот я",
    ),
    (
        Language::Greek,
        "αλλά αν από αυτά αυτή αυτό για δε δεν είναι ενώ επί η θα και κατά με μετά μη μια μου να ο οι όπως όταν
         ότι ποια ποιο ποιος πού πόσο πότε προς πως σε στα στη στην στο στον στους τα της τη την τι τις το τον
         του τους των ως γιατί",
    ),
    (
        Language::Arabic,
        "أن إلى أو ما متى من هذا هذه هل هو هي و في على عن كان كم كيف لا لم لماذا مع الذي التي أين",
    ),
    (Language::Tamil, "அது இது ஒரு என்ன எப்படி எப்போது எங்கே ஏன் மற்றும் யார்"),
];

const COUNT: usize = 18;
/// Bytes of a text that are read.
const READ_BYTES: usize = 400;
/// The longest function word, in bytes; longer words are not looked up.
const FUNCTION_WORD_BYTES_MAX: usize = 20;
/// Function words that give a language away.
const HEARD_MIN: u16 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_gives_its_language_away() {
        for (text, language) in [
            ("The pump is checked every month by the crew.", Language::English),
            ("Wann wird die Maschine entkalkt?", Language::German),
            ("Quelle est la température du four ?", Language::French),
            ("¿Cuándo se limpia el filtro de la bomba?", Language::Spanish),
            ("Quando viene pulito il filtro della pompa?", Language::Italian),
            ("Wanneer wordt het filter van de pomp schoongemaakt?", Language::Dutch),
            ("När ska filtret i pumpen bytas?", Language::Swedish),
            ("Когда меняют фильтр насоса?", Language::Russian),
            ("Πότε αλλάζει το φίλτρο;", Language::Greek),
            ("Filter pump schedule", Language::English),
            ("水泵多久检查一次？", Language::English),
        ] {
            assert_eq!(Language::of(text), language, "{text}");
        }
    }

    #[test]
    fn a_word_joins_in_one_language_and_says_something_in_another() {
        assert!(Language::German.is_function_word("war") && !Language::English.is_function_word("war"));
        assert!(Language::English.is_function_word("什么") && !Language::English.is_function_word("温度"));
    }
}
