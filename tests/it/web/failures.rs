//! Why something was not done, in the reader's language; programs read English.

use actix_web::test::{TestRequest, read_body};
use vesalius::actor::Role;
use vesalius::catalogue::{Entry, Shelf as _};

use super::steward::{House, TEXT, house};
use super::{call, get};

const IMPORT: &str = "/operator/import-description";
const BULK: &str = "/operator/bulk-edit";
const REVIEW: &str = "/operator/catalogue/screening/review";
const WITHDRAW: &str = "/operator/catalogue/screening/withdraw";

/// What is done, the status, and what English, Czech and Greek say of it.
struct Case {
    path: &'static str,
    pairs: Vec<(&'static str, String)>,
    status: u16,
    said: [&'static str; 3],
}

fn case(
    path: &'static str,
    pairs: &[(&'static str, &str)],
    status: u16,
    said: [&'static str; 3],
) -> Case {
    let pairs = pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Case { path, pairs, status, said }
}

/// What a page says itself: around it stand names in their own language.
fn main(html: &str) -> &str {
    html.split_once("<main").unwrap().1
}

fn cases() -> Vec<Case> {
    let import = |form, text, said| {
        case(IMPORT, &[("form", form), ("slug", "x"), ("text", text)], 422, said)
    };
    let class = "a <http://www.w3.org/ns/dcat#Dataset> .";
    let head = "dataset,class,number,property,path,language,value";
    let many: Vec<(&str, String)> = (0..501).map(|at| ("dataset", format!("d{at}"))).collect();
    vec![
        import(
            "turtle",
            "<urn:a> <urn:b> <urn:c> .\n<no",
            [
                "Line 2, column 1 is no Turtle: <code>",
                "Řádek 2, sloupec 1 není Turtle: <code>",
                "Η γραμμή 2, στήλη 1 δεν είναι Turtle: <code>",
            ],
        ),
        import(
            "turtle",
            &format!("<urn:a> {class} <urn:b> {class}"),
            [
                "The document describes 2 datasets; import one at a time.",
                "Dokument popisuje datové sady v počtu 2; importujte po jedné.",
                "Το έγγραφο περιγράφει 2 σύνολα δεδομένων· εισαγάγετε ένα κάθε φορά.",
            ],
        ),
        import(
            "eucaim",
            "x",
            [
                "Row 1: write the columns <code>dataset</code>",
                "Řádek 1: napište sloupce <code>dataset</code>",
                "Γραμμή 1: γράψτε τις στήλες <code>dataset</code>",
            ],
        ),
        import(
            "eucaim",
            &format!("{head}\nx,Dataset,1,Colour,,,red\n"),
            [
                "Row 2: EUCAIM has no property <code>Colour</code>",
                "Řádek 2: EUCAIM nemá vlastnost <code>Colour</code>",
                "Γραμμή 2: το EUCAIM δεν έχει ιδιότητα <code>Colour</code>",
            ],
        ),
        import(
            "eucaim",
            &format!("{head}\nno name,Dataset,1,Title,,en,x\n"),
            ["is no name of a dataset", "není jméno datové sady", "δεν είναι όνομα συνόλου"],
        ),
        import("eucaim", head, ["of 0 datasets", "sad v řádcích je 0", "αφορούν 0 σύνολα"]),
        import("xml", "x", ["Choose TOML", "Zvolte TOML", "Επιλέξτε TOML"]),
        Case {
            path: BULK,
            pairs: many,
            status: 503,
            said: [
                "Choose at most 500 datasets at once.",
                "Zvolte najednou nejvýš 500 datových sad.",
                "Επιλέξτε το πολύ 500 σύνολα δεδομένων κάθε φορά.",
            ],
        },
        case(
            BULK,
            &[("do", "apply"), ("field", "selection")],
            400,
            [
                "Parameter <code>field</code>: is none that many",
                "Parametr <code>field</code>: není pole, které",
                "Παράμετρος <code>field</code>: δεν είναι πεδίο",
            ],
        ),
        case(
            WITHDRAW,
            &[("base", "BASE")],
            422,
            ["Health data category: <span>is missing</span>", "chybí", "λείπει"],
        ),
        case(
            REVIEW,
            &[("do", "dance"), ("version", "1")],
            400,
            [
                "is nothing that this page does",
                "není nic, co tato stránka umí",
                "που κάνει αυτή η σελίδα",
            ],
        ),
        case(
            "/operator/catalogue/screening/versions",
            &[("number", "77")],
            404,
            [
                "Version <code>77</code> is",
                "Verze <code>77</code> není",
                "Η έκδοση <code>77</code> δεν",
            ],
        ),
    ]
}

/// A dataset that neither its file nor what was published of it can be withdrawn by, and a draft.
fn stuck() -> (House, String) {
    let house = house();
    let broken = TEXT.replace("health_categories = [\"EHRS\"]\n", "");
    std::fs::write(house.folder.join("screening.toml"), &broken).unwrap();
    let entry = house.shelf.find("screening").unwrap().unwrap();
    house.shelf.put(&Entry { text: broken.clone(), ..entry }).unwrap();
    let bench = house.node.state.bench.as_ref().unwrap();
    let base = bench.current("screening").unwrap().digest;
    let now = jiff::Timestamp::now();
    bench.save("screening", &base, &broken, 0, "somebody", now).unwrap().unwrap();
    (house, base)
}

#[actix_web::test]
async fn what_fails_for_a_steward_is_said_in_three_languages() {
    let (house, base) = stuck();
    for Case { path, pairs, status, said } in cases() {
        let english = said[0];
        for (language, words) in ["en", "cs", "el"].into_iter().zip(said) {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.replace("BASE", &base)))
                .collect();
            let cookie = format!("vesalius_lang={language}");
            let (answered, html) = house.send_in(path, &pairs, &cookie).await;
            assert_eq!(answered, status, "{path} {language}: {html}");
            assert!(html.contains(words), "{path} {language} {words}: {html}");
            if language != "en" {
                assert!(!html.contains(english), "{path} {language}: {html}");
                assert!(!main(&html).contains(" lang=\"en\">"), "{path} {language}: {html}");
            }
        }
    }
}

#[actix_web::test]
async fn who_may_not_is_told_so_in_three_languages_and_programs_in_english() {
    let house = house();
    let it = format!("Bearer {}", house.node.token(Role::ImagingIt));
    let ehr = format!("Bearer {}", house.node.token(Role::Ehr));
    let wrong = "Bearer a.b.c".to_owned();
    for (path, bearer, status, said) in [
        (
            "/operator/new-description",
            &it,
            403,
            ["does not write descriptions", "popisy nepíše", "δεν γράφει περιγραφές"],
        ),
        (
            "/operator/harvest",
            &ehr,
            403,
            [
                "does not see the operator’s pages",
                "stránky provozu nevidí",
                "δεν βλέπει τις σελίδες",
            ],
        ),
        (
            "/operator/harvest",
            &wrong,
            401,
            [
                "refused: it is no valid token",
                "přijat: není to platný token",
                "δεκτό: δεν είναι έγκυρο",
            ],
        ),
        (
            "/operator/harvest/nobody",
            &it,
            404,
            [
                "Source <code>nobody</code>",
                "Zdroj <code>nobody</code>",
                "Η πηγή <code>nobody</code>",
            ],
        ),
        (
            "/nothing/is/here",
            &it,
            404,
            ["The page <code>/nothing", "Stránka <code>/nothing", "Η σελίδα <code>/nothing"],
        ),
    ] {
        for (language, words) in ["en", "cs", "el"].into_iter().zip(said) {
            let headers = [("Authorization", bearer.as_str()), ("Accept-Language", language)];
            let (answered, html) = get(&house.node, path, &headers).await;
            assert_eq!(answered, status, "{path} {language}: {html}");
            assert!(html.contains(words), "{path} {language} {words}: {html}");
            assert!(language == "en" || !main(&html).contains(" lang=\"en\">"), "{path}: {html}");
        }
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Accept-Language", "cs"),
            ("Accept", "application/json"),
        ];
        let response = call(&house.node, TestRequest::get().uri(path), &headers).await;
        let problem: serde_json::Value =
            serde_json::from_slice(&read_body(response).await).unwrap();
        let detail = problem["detail"].as_str().unwrap();
        let plain = said[0].replace("<code>", "`").replace("</code>", "`");
        assert!(detail.contains(&plain), "{path}: {detail}");
    }
}
