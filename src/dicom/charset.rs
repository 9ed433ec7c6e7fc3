//! Character sets of DICOM text: SpecificCharacterSet (PS3.3 C.12.1.1.2, PS3.5 chapter 6).
//!
//! Single sets, ISO 2022 code extensions (PS3.5 section 6.1.2.5) and the sets that forbid them
//! (UTF-8, GB18030, GBK). What is decoded is in normalisation form C. Bytes that the declared
//! sets do not explain are read as ISO 8859-1, and the caller is told.

use std::borrow::Cow;

use encoding_rs::Encoding;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// What a byte or a pair of bytes stands for while one set is designated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Set {
    /// ISO-IR 6.
    Ascii,
    /// ISO-IR 14, JIS X 0201 romaji: a yen sign (which delimits) and an overline.
    Romaji,
    /// ISO-IR 100.
    Latin1,
    /// ISO-IR 13, JIS X 0201 katakana.
    Katakana,
    /// Another single-byte set, in the upper half.
    Upper(&'static Encoding),
    /// ISO-IR 87, JIS X 0208, in the lower half.
    Jis0208,
    /// ISO-IR 159, JIS X 0212, in the lower half.
    Jis0212,
    /// ISO-IR 149 (KS X 1001) and ISO-IR 58 (GB 2312), pairs in the upper half.
    Pairs(&'static Encoding),
}

impl Set {
    const fn is_pairs_below(self) -> bool {
        matches!(self, Self::Jis0208 | Self::Jis0212)
    }
}

/// A defined term of SpecificCharacterSet: its number in the ISO registry, the sets that it
/// puts in the lower and the upper half, and the escape sequences that designate them
/// (PS3.3 tables C.12-2 to C.12-4).
struct Term {
    registration: u16,
    lower: Set,
    upper: Option<Set>,
}

const TERMS: &[Term] = &[
    Term { registration: 6, lower: Set::Ascii, upper: None },
    Term { registration: 100, lower: Set::Ascii, upper: Some(Set::Latin1) },
    Term { registration: 101, lower: Set::Ascii, upper: Some(Set::Upper(encoding_rs::ISO_8859_2)) },
    Term { registration: 109, lower: Set::Ascii, upper: Some(Set::Upper(encoding_rs::ISO_8859_3)) },
    Term { registration: 110, lower: Set::Ascii, upper: Some(Set::Upper(encoding_rs::ISO_8859_4)) },
    Term { registration: 144, lower: Set::Ascii, upper: Some(Set::Upper(encoding_rs::ISO_8859_5)) },
    Term { registration: 127, lower: Set::Ascii, upper: Some(Set::Upper(encoding_rs::ISO_8859_6)) },
    Term { registration: 126, lower: Set::Ascii, upper: Some(Set::Upper(encoding_rs::ISO_8859_7)) },
    Term { registration: 138, lower: Set::Ascii, upper: Some(Set::Upper(encoding_rs::ISO_8859_8)) },
    // ISO 8859-9 and its superset agree in the upper half.
    Term {
        registration: 148,
        lower: Set::Ascii,
        upper: Some(Set::Upper(encoding_rs::WINDOWS_1254)),
    },
    Term {
        registration: 203,
        lower: Set::Ascii,
        upper: Some(Set::Upper(encoding_rs::ISO_8859_15)),
    },
    Term {
        registration: 166,
        lower: Set::Ascii,
        upper: Some(Set::Upper(encoding_rs::WINDOWS_874)),
    },
    Term { registration: 13, lower: Set::Romaji, upper: Some(Set::Katakana) },
    Term { registration: 14, lower: Set::Romaji, upper: None },
    Term { registration: 87, lower: Set::Jis0208, upper: None },
    Term { registration: 159, lower: Set::Jis0212, upper: None },
    Term { registration: 149, lower: Set::Ascii, upper: Some(Set::Pairs(encoding_rs::EUC_KR)) },
    Term { registration: 58, lower: Set::Ascii, upper: Some(Set::Pairs(encoding_rs::GBK)) },
];

/// Escape sequences without their ESC (PS3.3 tables C.12-3 and C.12-4): what they designate,
/// and whether in the upper half.
const ESCAPES: &[(&[u8], u16, bool)] = &[
    (b"(B", 6, false),
    (b"(J", 14, false),
    (b")I", 13, true),
    (b"-A", 100, true),
    (b"-B", 101, true),
    (b"-C", 109, true),
    (b"-D", 110, true),
    (b"-L", 144, true),
    (b"-G", 127, true),
    (b"-F", 126, true),
    (b"-H", 138, true),
    (b"-M", 148, true),
    (b"-b", 203, true),
    (b"-T", 166, true),
    (b"$B", 87, false),
    // The older edition of JIS X 0208, which real archives still hold.
    (b"$@", 87, false),
    (b"$(D", 159, false),
    (b"$)C", 149, true),
    (b"$)A", 58, true),
];

fn term(registration: u16) -> Option<&'static Term> {
    TERMS.iter().find(|term| term.registration == registration)
}

/// Where text is reset to the initial sets, besides control characters (PS3.5 6.1.2.5.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delimiters {
    /// One value; a backslash is a character of the text (LT, ST, UT).
    None,
    /// Backslashes separate values.
    Values,
    /// Backslashes separate values, `^` components and `=` groups (PN).
    Name,
}

/// The declared character sets of a data set or an item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Charset {
    whole: Option<&'static Encoding>,
    lower: Set,
    upper: Option<Set>,
    /// The upper set of the first extension that has one: for writers that forget to repeat
    /// their escape sequence after a delimiter.
    extension: Option<Set>,
}

impl Default for Charset {
    fn default() -> Self {
        Self { whole: None, lower: Set::Ascii, upper: None, extension: None }
    }
}

impl Charset {
    /// Reads the value of SpecificCharacterSet. Misspellings that real devices write
    /// (`ISO-IR 100`, `ISO_IR_100`, `ISO 2022-IR 87`, `UTF-8`) are understood; whatever else is
    /// not listed is told by `false` and adds nothing.
    #[must_use]
    pub fn parse(text: &str) -> (Self, bool) {
        let mut charset = Self::default();
        let mut is_known = true;
        for (place, part) in text.split('\\').enumerate() {
            let word: String = part
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .map(|c| c.to_ascii_uppercase())
                .collect();
            let registration = match word.as_str() {
                "" if part.trim_matches([' ', '\0']).is_empty() => continue,
                "GB18030" => {
                    charset.whole = Some(encoding_rs::GB18030);
                    continue;
                }
                "GBK" | "GB2312" => {
                    charset.whole = Some(encoding_rs::GBK);
                    continue;
                }
                "ISOIR192" | "UTF8" | "ISO2022IR192" => {
                    charset.whole = Some(encoding_rs::UTF_8);
                    continue;
                }
                "LATIN1" | "ISO88591" => Some(100),
                "ASCII" => Some(6),
                _ => word
                    .strip_prefix("ISO2022IR")
                    .or_else(|| word.strip_prefix("ISOIR"))
                    .and_then(|number| number.parse().ok()),
            };
            match registration.and_then(term) {
                // A set of pairs can never stand in the lower half from the start.
                Some(term) if place == 0 && !term.lower.is_pairs_below() => {
                    charset.lower = term.lower;
                    charset.upper = term.upper;
                }
                Some(term) => charset.extension = charset.extension.or(term.upper),
                None => is_known = false,
            }
        }
        (charset, is_known)
    }

    /// Decodes the bytes of a value; `true` when some had to be read as ISO 8859-1 because the
    /// declared sets do not explain them.
    #[must_use]
    pub fn decode<'a>(&self, bytes: &'a [u8], delimiters: Delimiters) -> (Cow<'a, str>, bool) {
        // Printable ASCII but `~` is the same in every set that can stand here.
        if bytes.iter().all(|byte| (0x20..0x7e).contains(byte))
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            return (Cow::Borrowed(text), false);
        }
        let (text, is_undeclared) = match self.whole {
            Some(encoding) => {
                match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
                    Some(text) => (text.into_owned(), false),
                    None => (latin1(bytes), true),
                }
            }
            None => self.decode_extended(bytes, delimiters),
        };
        (Cow::Owned(tidy(text)), is_undeclared)
    }

    fn decode_extended(&self, bytes: &[u8], delimiters: Delimiters) -> (String, bool) {
        let mut out = String::with_capacity(bytes.len() * 2);
        let mut is_undeclared = false;
        let (mut lower, mut upper) = (self.lower, self.upper);
        let mut rest = bytes;
        while let Some((&byte, tail)) = rest.split_first() {
            if byte == 0x1b {
                if let Some((sequence, registration, is_upper)) =
                    ESCAPES.iter().find(|(sequence, ..)| tail.starts_with(sequence))
                {
                    if let Some(term) = term(*registration) {
                        if *is_upper {
                            upper = term.upper;
                        } else {
                            lower = term.lower;
                        }
                    }
                    rest = tail.get(sequence.len()..).unwrap_or_default();
                } else {
                    is_undeclared = true;
                    rest = tail;
                }
                continue;
            }
            let is_delimiter = match byte {
                b'\n' | b'\r' | b'\t' | 0x0c => true,
                b'\\' => delimiters != Delimiters::None && !lower.is_pairs_below(),
                b'^' | b'=' => delimiters == Delimiters::Name && !lower.is_pairs_below(),
                _ => false,
            };
            if is_delimiter {
                (lower, upper) = (self.lower, self.upper);
                out.push(char::from(byte));
                rest = tail;
                continue;
            }
            let taken = if byte < 0x21 || byte == 0x7f {
                out.push(char::from(byte));
                1
            } else if byte < 0x80 {
                put_lower(lower, byte, tail, &mut out)
            } else {
                put_upper(upper.or(self.extension), byte, tail, &mut out)
            };
            if taken == 0 {
                is_undeclared = true;
                out.push(char::from(byte));
            }
            rest = rest.get(taken.max(1)..).unwrap_or_default();
        }
        (out, is_undeclared)
    }
}

/// Writes the character at the front; how many bytes it took, 0 when the set does not have it.
fn put_lower(set: Set, byte: u8, tail: &[u8], out: &mut String) -> usize {
    let pair = |prefix: &[u8], out: &mut String| {
        let Some(second) = tail.first().filter(|second| (0x21..0x7f).contains(*second)) else {
            return 0;
        };
        let mut euc = prefix.to_vec();
        euc.extend([byte | 0x80, second | 0x80]);
        if put_decoded(encoding_rs::EUC_JP, &euc, out) { 2 } else { 0 }
    };
    match set {
        Set::Jis0208 => pair(&[], out),
        Set::Jis0212 => pair(&[0x8f], out),
        Set::Romaji if byte == b'~' => {
            out.push('\u{203e}');
            1
        }
        _ => {
            out.push(char::from(byte));
            1
        }
    }
}

fn put_upper(set: Option<Set>, byte: u8, tail: &[u8], out: &mut String) -> usize {
    match set {
        Some(Set::Latin1) => {
            out.push(char::from(byte));
            1
        }
        Some(Set::Katakana) if (0xa1..=0xdf).contains(&byte) => {
            out.push(char::from_u32(0xff61 + u32::from(byte) - 0xa1).unwrap_or('\u{fffd}'));
            1
        }
        Some(Set::Upper(encoding)) if byte >= 0xa0 => {
            usize::from(put_decoded(encoding, &[byte], out))
        }
        Some(Set::Pairs(encoding)) => match tail.first() {
            Some(&second) if put_decoded(encoding, &[byte, second], out) => 2,
            _ => 0,
        },
        _ => 0,
    }
}

fn put_decoded(encoding: &'static Encoding, bytes: &[u8], out: &mut String) -> bool {
    match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => {
            out.push_str(&text);
            true
        }
        None => false,
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Drops control characters that no edge can carry (XML 1.0 and FHIR's `string` forbid them) and
/// normalises to NFC. A form feed is a line break of printed reports.
fn tidy(mut text: String) -> String {
    if text.chars().any(is_unprintable) {
        text = text
            .chars()
            .filter_map(|c| match c {
                '\u{c}' => Some('\n'),
                c if is_unprintable(c) => None,
                c => Some(c),
            })
            .collect();
    }
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        text
    } else {
        text.nfc().collect()
    }
}

/// Cleans text that came decoded (DICOM JSON) by the rules of text that came as bytes.
pub(super) fn clean(text: &str) -> String {
    tidy(text.to_owned())
}

const fn is_unprintable(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}'..='\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::{Charset, Delimiters};

    fn name(declared: &str, bytes: &[u8]) -> String {
        let (charset, is_known) = Charset::parse(declared);
        assert!(is_known, "{declared}");
        let (text, is_undeclared) = charset.decode(bytes, Delimiters::Name);
        assert!(!is_undeclared, "{declared}: {text}");
        text.into_owned()
    }

    /// The names of PS3.5 annexes H, I, J and K.
    #[test]
    fn the_names_of_the_standard_are_read() {
        assert_eq!(
            name(
                r"\ISO 2022 IR 87",
                b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            ),
            "Yamada^Tarou=山田^太郎=やまだ^たろう"
        );
        assert_eq!(
            name(
                r"ISO 2022 IR 13\ISO 2022 IR 87",
                b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
            ),
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"
        );
        assert_eq!(
            name(
                r"\ISO 2022 IR 149",
                b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            ),
            "Hong^Gildong=洪^吉洞=홍^길동"
        );
        assert_eq!(
            name("ISO_IR 192", "Wang^XiaoDong=王^小東=".as_bytes()),
            "Wang^XiaoDong=王^小東="
        );
        assert_eq!(
            name("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab="),
            "Wang^XiaoDong=王^小东="
        );
        assert_eq!(
            name(r"\ISO 2022 IR 58", b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="),
            "Zhang^XiaoDong=张^小东="
        );
    }

    #[test]
    fn single_byte_sets_are_read() {
        assert_eq!(name("ISO_IR 100", b"Buc^J\xe9r\xf4me"), "Buc^Jérôme");
        assert_eq!(name("ISO_IR 101", b"Nov\xe1kov\xe1^\xd0ofie"), "Nováková^Đofie");
        assert_eq!(name("ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2"), "Διονυσιος");
        assert_eq!(name("ISO_IR 144", b"\xbb\xee\xda"), "Люк");
        assert_eq!(name("ISO_IR 127", b"\xe2\xc8\xc7"), "قبا");
        assert_eq!(name("ISO_IR 138", b"\xf9\xf8\xe5\xef"), "שרון");
        assert_eq!(name("ISO_IR 148", b"\xc7avu\xfeo\xf0lu"), "Çavuşoğlu");
        assert_eq!(name("ISO_IR 166", b"\xcd\xd2"), "อา");
        assert_eq!(name("ISO_IR 203", b"\xa4"), "€");
        assert_eq!(name("ISO-IR_100", b"\xe9"), "é");
    }

    #[test]
    fn extensions_end_at_delimiters() {
        let text = name(r"ISO 2022 IR 100\ISO 2022 IR 126", b"\xe9^\x1b-F\xe1^\xe9\\\xe9");
        assert_eq!(text, r"é^α^é\é");
    }

    #[test]
    fn what_the_declared_set_does_not_explain_is_latin_1_and_told() {
        let (charset, _) = Charset::parse("");
        assert_eq!(charset.decode(b"J\xe9r", Delimiters::Name), ("Jér".into(), true));
        let (charset, _) = Charset::parse("ISO_IR 192");
        assert_eq!(charset.decode(b"J\xe9r", Delimiters::Name), ("Jér".into(), true));
        let (_, is_known) = Charset::parse("ISO_IR 1234");
        assert!(!is_known);
    }

    #[test]
    fn text_is_normalised_and_free_of_control_characters() {
        assert_eq!(name("ISO_IR 192", "e\u{301}\u{1}x".as_bytes()), "éx");
        let (charset, _) = Charset::parse("");
        assert_eq!(charset.decode(b"a\x1b[31mb", Delimiters::None), ("a[31mb".into(), true));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_text(declared in "(ISO 2022 IR (6|13|87|149|58|100|126|159)|ISO_IR 192|GBK|GB18030|)(\\\\ISO 2022 IR (87|149|58))?", bytes: Vec<u8>) {
            let (charset, _) = Charset::parse(&declared);
            let (text, _) = charset.decode(&bytes, Delimiters::Name);
            proptest::prop_assert!(!text.contains('\0'));
        }
    }
}
