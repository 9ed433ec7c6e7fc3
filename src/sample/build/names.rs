//! Invented names: of persons in four languages and their character sets, and of staff.

/// Invented names of one language: nobody's, for they mean "invented", "for example", "trial".
pub(super) struct Names {
    pub(super) charset: &'static str,
    /// Family and given names of women, then of men.
    pub(super) women: [&'static [&'static str]; 2],
    pub(super) men: [&'static [&'static str]; 2],
}

pub(super) const NAMES: [Names; 4] = [
    Names {
        charset: "ISO_IR 101",
        women: [
            &["Smyšlená", "Zkušební", "Ukázková", "Vzorová", "Příkladná"],
            &["Žofie", "Anežka", "Božena", "Růžena", "Květa"],
        ],
        men: [
            &["Smyšlený", "Zkušební", "Ukázkový", "Vzorový", "Příkladný"],
            &["Řehoř", "Matouš", "Jiří", "Vavřinec", "Ondřej"],
        ],
    },
    Names {
        charset: "ISO_IR 126",
        women: [&["Δοκιμή", "Φανταστική", "Υποθετική"], &["Αθηνά", "Καλλιόπη", "Ευτέρπη"]],
        men: [&["Δοκιμαστικός", "Φανταστικός", "Υποθετικός"], &["Αχιλλέας", "Ορφέας", "Ερμής"]],
    },
    Names {
        charset: "ISO_IR 192",
        women: [&["Muster-Erfunden", "Przykładowa", "Näidis"], &["Ülle", "Łucja", "Käthe"]],
        men: [&["Muster-Erfunden", "Przykładowy", "Näidis"], &["Jürgen", "Łukasz", "Tõnu"]],
    },
    Names {
        charset: "ISO_IR 100",
        women: [&["Invenção", "Exemplæ", "Fictícia"], &["Zoé", "Inês", "Åse"]],
        men: [&["Invenção", "Exemplæ", "Fictício"], &["René", "João", "Håkon"]],
    },
];

/// Invented staff: their names say so.
pub(super) const REFERRERS: [&str; 5] = [
    "Invented^Referrer^^Dr",
    "Synthetic^Practitioner^^Dr",
    "Fictitious^Family^^Dr",
    "Imaginary^Urologist^^Dr",
    "Exemplary^Gynaecologist^^Dr",
];
pub(super) const READERS: [&str; 4] = [
    "Invented^Radiologist^^Dr",
    "Synthetic^Reader^^Dr",
    r"Invented^Radiologist^^Dr\Synthetic^Reader^^Dr",
    "Imaginary^Consultant^^Prof",
];
pub(super) const OPERATORS: [&str; 3] =
    ["Invented^Radiographer", "Synthetic^Radiographer", "Fictitious^Technologist"];
