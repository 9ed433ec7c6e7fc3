//! The languages of the pages, and what a reader picks.

use std::path::Path;

use super::{LONG, call, get, node, node_with};
use vesalius::web::Tongue;

/// Names that are the same in every language.
const NAMES: &[&str] = &[
    "BibTeX",
    "RIS",
    "CSL JSON",
    "HealthDCAT-AP Release 8",
    "CSV",
    "TOML",
    "Turtle",
    "JSON-LD",
    ".toml",
];

/// What a template says itself: text and read attributes, without tags and expressions.
fn own_words(template: &str) -> String {
    let mut text = template.to_owned();
    for (open, close) in [("{{", "}}"), ("{%", "%}")] {
        while let Some(from) = text.find(open) {
            let to = text[from..].find(close).map_or(text.len(), |at| from + at + close.len());
            text.replace_range(from..to, "");
        }
    }
    // An attribute that a macro writes stands outside of any tag.
    text = text.replace("lang=\"\"", "").replace("lang=\"en\"", "");
    let mut out = String::new();
    for attribute in ["aria-label=\"", "title=\"", "placeholder=\"", "alt=\""] {
        for part in text.split(attribute).skip(1) {
            out.push_str(part.split('"').next().unwrap_or_default());
            out.push(' ');
        }
    }
    while let Some(from) = text.find('<') {
        let to = text[from..].find('>').map_or(text.len(), |at| from + at + 1);
        text.replace_range(from..to, " ");
    }
    out.push_str(&text);
    for name in NAMES {
        out = out.replace(name, "");
    }
    out.split_whitespace()
        .filter(|w| w.chars().any(char::is_alphabetic))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn no_template_has_words_of_its_own() {
    assert_eq!(
        own_words("<p title=\"a b\">{{ x }} c <b>RIS</b> {% if y %}d{% endif %}</p>"),
        "a b c d"
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/templates");
    let mut seen = 0;
    let folders = ["", "operator", "steward"].map(|name| std::fs::read_dir(folder.join(name)));
    for entry in folders.into_iter().flat_map(Result::unwrap) {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "html") {
            continue;
        }
        seen += 1;
        let words = own_words(&std::fs::read_to_string(&path).unwrap());
        assert_eq!(words, "", "{}", path.display());
    }
    assert!(seen > 30);
}

#[test]
fn every_key_is_known_and_used() {
    let mut sources = String::new();
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web")];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "html") {
            sources.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
    let english = Tongue::english();
    for (part, words) in &english.words {
        for name in words.keys() {
            assert!(sources.contains(&format!("\"{part}.{name}\"")), "{part}.{name} is not used");
        }
        for found in sources.split(&format!("\"{part}.")).skip(1) {
            let name = found.split('"').next().unwrap();
            let is_key =
                name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            assert!(
                !is_key || name == "html" || words.contains_key(name),
                "{part}.{name} is not known"
            );
        }
    }
}

#[actix_web::test]
async fn the_language_comes_from_the_address_the_cookie_or_the_browser() {
    let node = node();
    for (path, headers, language) in [
        ("/catalog", vec![], "en"),
        ("/catalog", vec![("Accept-Language", "cs-CZ, en;q=0.5")], "cs"),
        ("/catalog", vec![("Accept-Language", "cs"), ("Cookie", "a=b; vesalius_lang=el")], "el"),
        ("/catalog?lang=en", vec![("Cookie", "vesalius_lang=el")], "en"),
        ("/catalog?lang=xx", vec![("Cookie", "vesalius_lang=<b>")], "en"),
        ("/nothing?lang=el", vec![], "el"),
        ("/operator/sign-in", vec![("Accept-Language", "cs")], "cs"),
    ] {
        let (_, html) = get(&node, path, &headers).await;
        assert!(html.contains(&format!("<html lang=\"{language}\">")), "{path} {headers:?}");
    }
    let request = actix_web::test::TestRequest::get().uri("/catalog?modality=MG&lang=cs");
    let response = call(&node, request, &[]).await;
    let cookie = response.headers().get("set-cookie").unwrap().to_str().unwrap().to_owned();
    assert!(cookie.starts_with("vesalius_lang=cs; Path=/") && cookie.contains("SameSite=Lax"));
    assert!(response.headers().get("vary").unwrap().to_str().unwrap().contains("Accept-Language"));
    let (_, html) = get(&node, "/catalog?modality=MG&lang=cs", &[]).await;
    assert!(html.contains("href=\"/catalog?modality=MG&#38;lang=el\""), "{html}");
}

#[actix_web::test]
async fn figures_dates_and_labels_are_those_of_the_language() {
    let node = node_with(&[("long", LONG)], |_| {});
    let (_, html) = get(&node, "/dataset/breast-screening?lang=cs", &[]).await;
    for words in ["41\u{a0}870", "menší než 10 osob", "Mamografie (MG)", "Omezený přístup", "Žena"]
    {
        assert!(html.contains(words), "{words}");
    }
    let (_, html) = get(&node, "/dataset/breast-screening?lang=el", &[]).await;
    assert!(html.contains("41.870") && html.contains("Μαστογραφία (MG)"));
    // A description is shown in the reader's language where it has it, else marked.
    let (_, html) = get(&node, "/dataset/long?lang=cs", &[]).await;
    assert!(html.contains("<h1>Vícecentrický") && html.contains("1. listopadu 2026"));
    let (_, html) = get(&node, "/dataset/long?lang=el", &[]).await;
    assert!(html.contains("<h1>Δεδομένα μαστού") && html.contains("lang=\"cs\""));
    let (_, html) = get(
        &node,
        "/catalog?lang=el&q=%CE%BC%CE%B1%CF%83%CF%84%CE%BF%CE%B3%CF%81%CE%B1%CF%86%CE%B9%CE%B1",
        &[],
    )
    .await;
    assert!(html.contains("href=\"/dataset/breast-screening\""));
}

#[actix_web::test]
async fn the_cart_holds_what_is_put_in_and_no_more() {
    let node = node();
    let post = async |body: &'static str, cookie: &'static str| {
        let request = actix_web::test::TestRequest::post().uri("/cart").set_payload(body);
        let response = call(&node, request, &[("Cookie", cookie)]).await;
        assert_eq!(response.status(), 303);
        let header =
            |name: &str| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
        let cookie = header("set-cookie");
        (cookie.split(';').next().unwrap().to_owned(), header("location"))
    };
    let of = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        post("do=add&dataset=lung-ldct&back=%2Fdataset%2Flung-ldct", "").await,
        of("vesalius_cart=lung-ldct", "/dataset/lung-ldct")
    );
    assert_eq!(
        post("do=add&dataset=prostate-mr&back=%2F%2Fevil.example", "vesalius_cart=lung-ldct").await,
        of("vesalius_cart=lung-ldct.prostate-mr", "/cart")
    );
    assert_eq!(
        post("do=remove&dataset=lung-ldct", "vesalius_cart=lung-ldct.prostate-mr").await.0,
        "vesalius_cart=prostate-mr"
    );
    assert_eq!(post("do=clear", "vesalius_cart=a.b").await.0, "vesalius_cart=");
    assert_eq!(post("do=add&dataset=..%2F%3Bx", "vesalius_cart=<b>./;").await.0, "vesalius_cart=");
    let (_, html) = get(&node, "/cart", &[("Cookie", "vesalius_cart=lung-ldct.unknown")]).await;
    assert!(html.contains("href=\"/dataset/lung-ldct\"") && !html.contains("/dataset/unknown"));
    // What is picked and is not there is named, and can be taken out.
    assert!(html.contains("<code>unknown</code> is not known") && html.contains("out of the cart"));
    let (_, html) = get(&node, "/cart?dataset=gone-away", &[]).await;
    assert!(html.contains("<code>gone-away</code>") && !html.contains("The cart is empty"));
    let (_, html) = get(&node, "/cart?dataset=lung-ldct&dataset=prostate-mr", &[]).await;
    assert!(html.contains("/compare?dataset=lung-ldct&#38;dataset=prostate-mr"));
    let (_, json) =
        get(&node, "/cart/citations.json?dataset=lung-ldct&dataset=prostate-mr", &[]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2);
    assert_eq!(json[1]["type"], "dataset");
}

#[actix_web::test]
async fn two_datasets_are_compared_side_by_side() {
    let node = node();
    let (status, html) =
        get(&node, "/compare?dataset=breast-screening&dataset=prostate-mr", &[]).await;
    assert_eq!(status, 200);
    assert!(html.contains("class=\"differs\"") && html.contains("41,870") && html.contains("346"));
    // Only published figures are compared.
    assert!(!html.contains("41,872"));
    // The computed label is stated, with the way to it.
    assert!(html.contains("href=\"/dataset/prostate-mr/label\""), "{html}");
    let (_, html) = get(&node, "/compare?dataset=prostate-mr&dataset=nowhere", &[]).await;
    assert!(html.contains("<code>nowhere</code> is not known"), "{html}");
    let (_, html) = get(&node, "/compare?dataset=prostate-mr", &[]).await;
    assert!(html.contains("Choose two datasets"));
}

#[actix_web::test]
async fn the_label_is_a_page() {
    let node = node();
    let (status, html) = get(&node, "/dataset/prostate-mr/label?lang=cs", &[]).await;
    assert_eq!(status, 200);
    assert!(html.contains("Minimální prvky popisu") && html.contains("label.ttl"), "{html}");
    assert_eq!(get(&node, "/dataset/unknown/label", &[]).await.0, 404);
}
