//! Pages that are open to all.

use super::{LONG, get, node, node_with};
use vesalius::catalogue::Shelf as _;

/// Without what changes with every edit of the stylesheet or every version.
fn stable(html: &str) -> String {
    let mut out = Vec::new();
    for line in html.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        let line = match line.split_once("/assets/vesalius-") {
            Some((head, tail)) => {
                format!("{head}/assets/vesalius-HASH{}", tail.get(16..).unwrap_or_default())
            }
            None => line.to_owned(),
        };
        out.push(line.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }
    out.join("\n")
}

#[actix_web::test]
async fn the_start_page_tells_what_the_node_is() {
    let (status, html) = get(&node(), "/", &[]).await;
    assert_eq!(status, 200);
    insta::assert_snapshot!("home", stable(&html));
}

#[actix_web::test]
async fn the_catalogue_lists_what_is_published() {
    let (status, html) = get(&node(), "/catalog", &[]).await;
    assert_eq!(status, 200);
    insta::assert_snapshot!("catalog", stable(&html));
}

#[actix_web::test]
async fn a_dataset_page_shows_published_figures_only() {
    let node = node();
    let (status, html) = get(&node, "/dataset/breast-screening", &[]).await;
    assert_eq!(status, 200);
    for exact in ["41,872", "41872", "18,204", "3,812", "11,204"] {
        assert!(!html.contains(exact), "the exact count {exact} is on the page");
    }
    assert!(html.contains("41,870") && html.contains("fewer than 10"));
    insta::assert_snapshot!("dataset-restricted", stable(&html));
    let (_, html) = get(&node, "/dataset/prostate-mr", &[]).await;
    insta::assert_snapshot!("dataset-open", stable(&html));
    let (_, html) = get(&node, "/dataset/lung-ldct", &[]).await;
    assert!(html.contains("Data permit needed") && html.contains("Apply for access"));
}

#[actix_web::test]
async fn hostile_words_stay_words() {
    let node = node_with(&[("long", LONG)], |config| {
        config.catalogue.title = "<script>alert(0)</script>".to_owned();
    });
    for path in ["/", "/catalog", "/dataset/long", "/catalog?q=%3Cscript%3Ealert(3)%3C%2Fscript%3E"]
    {
        let (status, html) = get(&node, path, &[]).await;
        assert_eq!(status, 200, "{path}");
        assert!(!html.contains("<script>alert"), "{path}");
        assert!(!html.contains("<img src=x"), "{path}");
        // The one script element is data, and nothing in it ends it early.
        let scripts = html.matches("<script").count();
        assert_eq!(scripts, html.matches("</script>").count(), "{path}");
        assert_eq!(scripts, usize::from(path == "/dataset/long"), "{path}");
    }
    let (_, html) = get(&node, "/dataset/long", &[]).await;
    let json =
        html.split_once("application/ld+json\">").unwrap().1.split_once("</script>").unwrap().0;
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["@type"], "Dataset");
    assert_eq!(json["keywords"][1], "</script><script>alert(2)</script>");
    assert_eq!(json["license"], "https://creativecommons.org/licenses/by/4.0/");
    assert!(html.contains("lang=\"cs\"") && html.contains("lang=\"el\""));
}

#[actix_web::test]
async fn dangerous_addresses_are_text() {
    let text = LONG
        .replace("https://example.org/long/", "https://example.org/")
        .replace("[[distribution]]", "landing_page = \"https://example.org/ok\"\n[[distribution]]");
    // The gate refuses `javascript:` in a description; a shelf that holds one all the same
    // (written by an older version) must not turn it into a link.
    let node = node_with(&[], |_| {});
    let mut entry = node.shelf.find("prostate-mr").unwrap().unwrap();
    entry.text = entry
        .text
        .replace("https://example.org/vesalius/open/prostate-mr\"", "javascript:alert(1)\"");
    assert!(entry.text.contains("javascript:") && text.contains("landing_page"));
    node.shelf.put(&entry).unwrap();
    let (status, html) = get(&node, "/dataset/prostate-mr", &[]).await;
    assert_eq!(status, 200);
    assert!(!html.contains("href=\"javascript:"), "a script became a link");
}

#[actix_web::test]
async fn text_search_minds_neither_case_nor_accents() {
    let node = node_with(&[("long", LONG)], |_| {});
    for (query, is_found) in [
        ("PRS", true),
        ("vicecentricky", true),
        ("V%C3%8DCECENTRICK%C3%9D+soubor", true),
        ("%CE%BC%CE%B1%CF%83%CF%84%CE%BF%CF%82", true), // μαστος
        ("prs+nowhere", false),
    ] {
        let (_, html) = get(&node, &format!("/catalog?q={query}"), &[]).await;
        assert_eq!(html.contains("href=\"/dataset/long\""), is_found, "{query}");
    }
}

#[actix_web::test]
async fn facets_include_exclude_and_count_by_what_else_is_chosen() {
    let node = node();
    let slugs = |html: &str| -> Vec<String> {
        html.split("<h3><a href=\"/dataset/")
            .skip(1)
            .map(|part| part.split_once('"').unwrap().0.to_owned())
            .collect()
    };
    let list = |query: &'static str| {
        let node = &node;
        async move { slugs(&get(node, &format!("/catalog{query}"), &[]).await.1) }
    };
    assert_eq!(list("").await, ["breast-screening", "lung-ldct", "prostate-mr"]);
    assert_eq!(list("?modality=MG&modality=MR").await, ["breast-screening", "prostate-mr"]);
    assert_eq!(list("?not-modality=MG").await, ["lung-ldct", "prostate-mr"]);
    assert_eq!(list("?access=PUBLIC&modality=CT").await, Vec::<String>::new());
    assert_eq!(list("?year=2014").await, ["breast-screening"]);
    assert_eq!(list("?licence=CC+BY+4.0").await, ["prostate-mr"]);
    assert_eq!(list("?sort=studies").await[0], "breast-screening");
    assert_eq!(list("?page=99&nonsense=%FF").await.len(), 3);
    // PR stands on four studies of four persons: it is on the page of the dataset as "fewer than
    // 10", but nobody can look for it.
    assert_eq!(list("?modality=PR").await, Vec::<String>::new());
    let (_, html) = get(&node, "/catalog?modality=MG", &[]).await;
    assert!(html.contains("noindex") && html.contains("aria-current=\"true\""));
}

#[actix_web::test]
async fn long_lists_come_in_pages() {
    let text = |n: usize| LONG.replace("Vícecentrický", &format!("Soubor {n:03}"));
    let texts: Vec<(String, String)> = (0..45).map(|n| (format!("set-{n:03}"), text(n))).collect();
    let more: Vec<(&str, &str)> = texts.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let node = node_with(&more, |_| {});
    let (_, html) = get(&node, "/catalog?page=2", &[]).await;
    assert!(html.contains("48 datasets") && html.contains("Page 2 of 3"));
    assert!(html.contains("href=\"/catalog\"") && html.contains("href=\"/catalog?page=3\""));
    assert_eq!(html.matches("<article class=\"hit\">").count(), 20);
}

#[actix_web::test]
async fn citations_can_be_downloaded() {
    let node = node();
    for (form, begin) in
        [("bib", "@misc{"), ("ris", "TY  - DATA"), ("json", "[\n"), ("txt", "Synthetic University")]
    {
        let (status, text) =
            get(&node, &format!("/dataset/prostate-mr/citation.{form}"), &[("Accept", "*/*")])
                .await;
        assert_eq!(status, 200);
        assert!(text.starts_with(begin), "{text}");
    }
    assert_eq!(get(&node, "/dataset/unknown/citation.bib", &[]).await.0, 404);
    assert_eq!(get(&node, "/dataset/prostate-mr/citation.exe", &[]).await.0, 404);
}

#[actix_web::test]
async fn what_is_not_there_is_a_page_or_a_problem() {
    let node = node();
    let (status, html) = get(&node, "/nothing/%3Cscript%3E", &[]).await;
    assert_eq!(status, 404);
    assert!(html.contains("This page does not exist") && !html.contains("<script>"));
    let (status, json) = get(&node, "/nothing", &[("Accept", "application/json")]).await;
    assert_eq!(status, 404);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["status"], 404);
    for slug in ["unknown", "..%2f..", "UPPER", &"x".repeat(400)] {
        assert_eq!(get(&node, &format!("/dataset/{slug}"), &[]).await.0, 404, "{slug}");
    }
}

#[actix_web::test]
async fn problems_of_other_rooms_become_pages_for_people_only() {
    let node = node();
    let request = || actix_web::test::TestRequest::get().uri("/elsewhere");
    let response = super::call(&node, request(), &[]).await;
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers().get("x-kept").unwrap(), "yes");
    assert_eq!(response.headers().get("content-type").unwrap(), "text/html; charset=utf-8");
    let (_, html) = get(&node, "/elsewhere", &[]).await;
    assert!(html.contains("Dataset <code>&#60;b&#62;</code> is not known."), "{html}");
    for (path, accept) in [
        ("/elsewhere", "application/json"),
        ("/elsewhere", "*/*"),
        ("/fhir/elsewhere", "text/html"),
    ] {
        let (status, json) = get(&node, path, &[("Accept", accept)]).await;
        assert_eq!(status, 404);
        assert!(json.starts_with('{'), "{path} {accept}: {json}");
    }
}

#[actix_web::test]
async fn the_stylesheet_may_be_kept_for_ever() {
    let node = node();
    let path = vesalius::web::stylesheet_path();
    let request = || actix_web::test::TestRequest::get().uri(path);
    let response = super::call(&node, request(), &[]).await;
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
    assert!(header("cache-control").contains("immutable"));
    assert_eq!(header("content-type"), "text/css; charset=utf-8");
    let etag = header("etag");
    let again = super::call(&node, request(), &[("If-None-Match", &etag)]).await;
    assert_eq!(again.status(), 304);
    let packed = super::call(&node, request(), &[("Accept-Encoding", "gzip, br")]).await;
    assert_eq!(packed.headers().get("content-encoding").unwrap(), "gzip");
    assert_eq!(get(&node, "/assets/vesalius-0000000000000000.css", &[]).await.0, 404);
}

/// Of a real store, where the list is made of what it was before and what changed.
#[test]
fn the_list_after_a_change_is_the_list_made_from_nothing() {
    use std::sync::Arc;

    use actix_web::test::TestRequest;
    use vesalius::catalogue::{Entry, Names, State, StoreShelf};
    use vesalius::mapping::Context;
    use vesalius::store::Store;
    use vesalius::web::{Pages, Reader};

    let folder = tempfile::tempdir().unwrap();
    let shelf = Arc::new(StoreShelf(Arc::new(Store::open(folder.path(), "").unwrap())));
    let config = Arc::new(crate::catalogue::config());
    let context = Context::new(&config, &[7; 32]).unwrap();
    let names = || Names::new(Arc::new(crate::catalogue::release()), &context);
    let pages = || Pages::new(Arc::clone(&config), names(), shelf.clone());
    let followed = pages();
    let reader = Reader::of(&TestRequest::get().uri("/catalog").to_http_request());
    let same = |what: &str| {
        for query in
            ["", "q=lung", "q=prostat", "modality=MG", "not-access=PUBLIC", "sort=modified"]
        {
            let html = followed.catalog(&reader, query).unwrap();
            assert_eq!(html, pages().catalog(&reader, query).unwrap(), "{what}: {query}");
        }
        followed.catalog(&reader, "").unwrap()
    };
    assert_eq!(shelf.changed_since(0).unwrap(), Some(Vec::new()));
    same("nothing is published");
    let entries = node().shelf.published(0, 10).unwrap();
    assert_eq!(entries.len(), 3);
    for entry in &entries {
        shelf.put(entry).unwrap();
        same(&entry.slug);
    }
    let change = shelf.state().unwrap().change;
    let one = Entry { text: entries[1].text.replace("low-dose", "wondrous"), ..entries[1].clone() };
    shelf.put(&one).unwrap();
    assert_eq!(shelf.changed_since(change).unwrap(), Some(vec![one.slug.clone()]));
    assert!(same("changed").contains("wondrous"));
    shelf.put(&Entry { state: State::Withdrawn, ..one }).unwrap();
    assert!(!same("withdrawn").contains("wondrous"));
}

#[actix_web::test]
async fn a_list_follows_the_catalogue_and_shows_changes_at_once() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use actix_web::test::TestRequest;
    use vesalius::catalogue::{Entry, Names, State, StoreShelf};
    use vesalius::mapping::Context;
    use vesalius::store::Store;
    use vesalius::web::{Pages, Reader};

    let folder = tempfile::tempdir().unwrap();
    let shelf = Arc::new(StoreShelf(Arc::new(Store::open(folder.path(), "").unwrap())));
    let entries = node().shelf.published(0, 10).unwrap();
    for entry in &entries {
        shelf.put(entry).unwrap();
    }
    let config = Arc::new(crate::catalogue::config());
    let names = Names::new(
        Arc::new(crate::catalogue::release()),
        &Context::new(&config, &[7; 32]).unwrap(),
    );
    let pages = Arc::new(Pages::new(config, names, shelf.clone()));
    let stop = Arc::new(AtomicBool::new(false));
    let (followed, stopped) = (Arc::clone(&pages), Arc::clone(&stop));
    let lister = std::thread::spawn(move || followed.keep_lists(&stopped));
    let reader = Reader::of(&TestRequest::get().uri("/catalog").to_http_request());
    let list = |query: &str| pages.catalog(&reader, query).unwrap();
    assert!(list("").contains("/dataset/prostate-mr"));
    let prostate = entries.iter().find(|entry| entry.slug == "prostate-mr").unwrap();
    let title = |text: &str| prostate.text.replace("Prostate MR", text);
    for text in ["Wondrous MR", "Marvellous MR"] {
        shelf.put(&Entry { text: title(text), ..prostate.clone() }).unwrap();
        assert!(list("").contains(text), "a change shows at once");
    }
    shelf.put(&Entry { state: State::Withdrawn, ..prostate.clone() }).unwrap();
    let html = list("");
    assert!(!html.contains("/dataset/prostate-mr") && html.contains("2 datasets"), "gone at once");
    assert!(!list("access=PUBLIC").contains("prostate"), "and not counted");
    // What is new comes with the new list.
    let slug = "brand-new".to_owned();
    shelf.put(&Entry { slug, text: title("Brand new"), ..prostate.clone() }).unwrap();
    let begun = std::time::Instant::now();
    while !list("q=brand").contains("/dataset/brand-new") {
        assert!(begun.elapsed().as_secs() < 20, "it does not come");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    stop.store(true, Ordering::Relaxed);
    lister.join().unwrap();
}

#[actix_web::test]
async fn a_keyword_of_an_address_is_known_in_every_language() {
    let text = LONG.replace("keywords.cs = [", "keywords.en = [\"mamma\"]\nkeywords.cs = [");
    assert!(text != LONG);
    let node = node_with(&[("long", &text)], |_| {});
    for keyword in ["mamma", "prs"] {
        for language in ["en", "cs", "el"] {
            let path = format!("/catalog?keyword={keyword}&lang={language}");
            let (_, html) = get(&node, &path, &[]).await;
            assert!(html.contains("href=\"/dataset/long\""), "{language}: {keyword}");
            let path = format!("/catalog?not-keyword={keyword}&lang={language}");
            let (_, html) = get(&node, &path, &[]).await;
            assert!(!html.contains("href=\"/dataset/long\""), "{language}: {keyword}");
        }
    }
}

#[actix_web::test]
async fn the_answer_of_a_query_is_a_table_and_a_refused_one_stays_in_the_form() {
    use std::sync::Arc;

    use actix_web::test::TestRequest;
    use vesalius::catalogue::sparql::{Answer, Unanswered};

    let node = node();
    let show = async |told| {
        let request = TestRequest::post().uri("/sparql").insert_header(("Accept-Language", "cs"));
        let asked = Some(("SELECT * { ?s ?p \"</textarea>\" }".to_owned(), told));
        let response =
            Arc::clone(&node.state.pages).answer_sparql(request.to_http_request(), asked).await;
        let status = response.status().as_u16();
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let answer = |media_type: &str, body: &str| Answer {
        media_type: media_type.to_owned(),
        body: body.into(),
        is_truncated: false,
    };
    let json = r#"{"head":{"vars":["s"]},"results":{"bindings":[{"s":{"type":"uri","value":"https://a.example/<b>"}},
        {"s":{"type":"literal","value":"Lung","xml:lang":"en"}}]}}"#;
    let (status, html) = show(Ok(answer("application/sparql-results+json", json))).await;
    assert!(status == 200 && html.contains("2 řádky"), "{html}");
    assert!(html.contains("https://a.example/&#60;b&#62;") && html.contains("lang=\"en\">Lung"));
    assert!(html.contains("&#60;/textarea&#62;") && html.contains("/sparql?query=SELECT"));
    let (_, html) = show(Ok(answer("text/turtle", "<urn:a> <urn:b> \"c\" ."))).await;
    assert!(html.contains("&#60;urn:a&#62;"));
    let yes = r#"{"head":{},"boolean":true}"#;
    assert!(show(Ok(answer("application/sparql-results+json", yes))).await.1.contains(">Ano<"));
    let refused = |why: &str| Err(Unanswered::Refused(why.to_owned()));
    let (status, html) = show(refused("line 1: expected `{`")).await;
    assert!(status == 400 && html.contains("&#60;/textarea&#62;"), "{html}");
    assert!(html.contains("role=\"alert\"") && html.contains("Dotaz nebyl zodpovězen."));
    let (_, html) = show(refused("the query is empty; write one, or begin with an example")).await;
    assert!(html.contains("Dotaz je prázdný"), "{html}");
    // One that ran out of time is as much work as one that is wrong.
    let why = "the query took longer than 10 seconds; make it narrower".to_owned();
    let (status, html) = show(Err(Unanswered::TooCostly(why))).await;
    assert!(status == 503 && html.contains("&#60;/textarea&#62;"), "{html}");
    assert!(html.contains("Dotaz trval déle než 10 sekund"), "{html}");
}
