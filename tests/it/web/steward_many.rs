//! The steward's pages with many datasets, in other languages, and over files that people wrote.

use vesalius::actor::Role;
use vesalius::catalogue::How;

use super::steward::{TEXT, changed, fields, house};

/// Publishes so many copies of the description, every tenth of them one that is refused.
fn fill(house: &super::steward::House, count: usize) {
    for number in 0..count {
        let text = TEXT.replace("Screening", &format!("Kolo {number:03} Žďár"));
        let text = if number % 10 == 9 { text.replace("EHRS", "NONE") } else { text };
        std::fs::write(house.folder.join(format!("round-{number:03}.toml")), text).unwrap();
    }
    let bench = house.node.state.bench.as_ref().unwrap();
    bench.desk.publish_folder(&house.folder, How::Publish, jiff::Timestamp::now()).unwrap();
}

#[actix_web::test]
async fn a_list_of_many_is_read_page_by_page_and_searched() {
    let house = house();
    fill(&house, 120);
    let cases = |html: &str| html.matches("<li class=\"case\">").count();
    let (status, html) = house.get("/operator/catalogue").await;
    assert_eq!((status, cases(&html)), (200, 50));
    assert!(html.contains("121 datasets found"), "{html}");
    // What asks for a look stands first.
    assert!(html.find("round-009.toml").unwrap() < html.find("round-000.toml").unwrap());
    let (_, last) = house.get("/operator/catalogue?page=3").await;
    assert_eq!(cases(&last), 21);
    assert!(last.contains("rel=\"prev\"") && !last.contains("rel=\"next\""));
    let (_, none) = house.get("/operator/catalogue?page=99999999999999999999").await;
    assert_eq!(cases(&none), 50);
    for (query, found) in [
        ("show=refused", 12),
        ("show=drafts", 0),
        ("show=withdrawn", 0),
        ("q=zdar+117", 1),
        ("q=round-00", 10),
        ("q=round-00&show=refused", 1),
        ("q=%3Cscript%3E", 0),
    ] {
        let (_, html) = house.get(&format!("/operator/catalogue?{query}")).await;
        assert_eq!(cases(&html), found, "{query}");
        assert!(!html.contains("<script"), "{query}");
    }
    // What changes is seen at once.
    let file = house.folder.join("round-009.toml");
    std::fs::write(&file, house.file("round-009").replace("NONE", "EHRS")).unwrap();
    let bench = house.node.state.bench.as_ref().unwrap();
    bench.desk.publish_folder(&house.folder, How::Publish, jiff::Timestamp::now()).unwrap();
    let (_, html) = house.get("/operator/catalogue?show=refused").await;
    assert_eq!(cases(&html), 11);
    // A draft that is described nowhere else is found too.
    house.post("/operator/new-description", &[("slug", "new-one"), ("copy", "screening")]).await;
    let (_, html) = house.get("/operator/catalogue?show=drafts").await;
    assert_eq!(cases(&html), 1);
    assert!(html.contains("new-one"));
}

#[actix_web::test]
async fn many_are_chosen_over_pages_and_by_what_is_found() {
    let house = house();
    fill(&house, 120);
    let bulk = "/operator/bulk-edit";
    let boxes = |html: &str| html.matches("type=\"checkbox\" name=\"dataset\"").count();
    let hidden = |html: &str| html.matches("type=\"hidden\" name=\"dataset\"").count();
    let (_, html) = house.get(bulk).await;
    assert_eq!((boxes(&html), hidden(&html)), (50, 0));
    // Two of the first page stay chosen on the second one.
    let mut pairs = changed(fields(&html), &[("field", "themes"), ("do", "page:2")]);
    for slug in ["round-000", "round-001"] {
        pairs.push(("dataset".to_owned(), slug.to_owned()));
    }
    let (_, _, html) = house.send(bulk, &pairs, Role::Steward, "same-origin").await;
    assert_eq!((boxes(&html), hidden(&html)), (50, 2), "{html}");
    assert!(html.contains("Chosen: 2 datasets."), "{html}");
    let pairs = changed(fields(&html), &[("q", "round-01"), ("do", "all")]);
    let (_, _, html) = house.send(bulk, &pairs, Role::Steward, "same-origin").await;
    assert_eq!((boxes(&html), hidden(&html)), (10, 0), "{html}");
    assert!(html.contains("Chosen: 10 datasets."), "{html}");
    // What would be done is shown of these ten, and of no other.
    let pairs = changed(fields(&html), &[("do", "choose")]);
    let (_, _, html) = house.send(bulk, &pairs, Role::Steward, "same-origin").await;
    let pairs = changed(fields(&html), &[("f:themes", "SOCI"), ("how", "add"), ("do", "preview")]);
    let (_, _, html) = house.send(bulk, &pairs, Role::Steward, "same-origin").await;
    assert_eq!((boxes(&html), hidden(&html)), (10, 0), "{html}");
    assert_eq!(html.matches("<code>themes.1</code>").count(), 10, "{html}");
}

#[actix_web::test]
async fn comments_and_order_of_a_file_outlive_the_form() {
    let house = house();
    let file = house.folder.join("screening.toml");
    let text = "# A comment of the steward's.\n\
        health_categories = [\"EHRS\"] # of Article 51\n\
        access_rights = \"RESTRICTED\"\n\n\
        # The committee agreed on these words.\n\
        title.cs = 'Screening prsu'\n\
        title.en = \"Screening\"\n\
        description.en = \"Mammograms, synthetic.\"\n\n\
        [selection]\n\
        # women only, by the referral\n\
        modality = [\"MG\"]\n";
    std::fs::write(&file, text).unwrap();
    let pairs = house.form("screening", &[("f:title.en", "Screening, new"), ("do", "save")]).await;
    let path = "/operator/catalogue/screening/edit";
    assert_eq!(house.send(path, &pairs, Role::Steward, "same-origin").await.0, 303);
    let review = "/operator/catalogue/screening/review";
    let (_, html) = house.get(review).await;
    let version = html.split("name=\"version\" value=\"").nth(1).unwrap();
    let version = version.split('"').next().unwrap();
    let (status, _, html) = house.post(review, &[("do", "publish"), ("version", version)]).await;
    assert_eq!(status, 303, "{html}");
    assert_eq!(house.file("screening"), text.replace("\"Screening\"", "\"Screening, new\""));
}

#[actix_web::test]
async fn findings_are_said_in_the_readers_language() {
    let house = house();
    let pairs = house
        .form(
            "screening",
            &[("f:landing_page", "nowhere"), ("f:description.en", ""), ("do", "check")],
        )
        .await;
    for (language, rule, remedy) in [
        ("en", "is no web address", "begin with"),
        ("cs", "není webová adresa", "začněte"),
        ("el", "δεν είναι διεύθυνση ιστού", "αρχίστε με"),
    ] {
        let cookie = format!("vesalius_lang={language}");
        let path = "/operator/catalogue/screening/edit";
        let (status, html) = house.send_in(path, &pairs, &cookie).await;
        assert_eq!(status, 200);
        assert!(html.contains(rule) && html.contains(remedy), "{language}: {html}");
        if language != "en" {
            assert!(!html.contains("is no web address") && !html.contains("is missing"));
            assert!(!html.contains("lang=\"en\">is "), "{html}");
        }
    }
    // The list says what was kept of the gate's report, too.
    let file = house.folder.join("screening.toml");
    std::fs::write(&file, TEXT.replace("\"EHRS\"", "\"EHR\"")).unwrap();
    let bench = house.node.state.bench.as_ref().unwrap();
    bench.desk.publish_folder(&house.folder, How::Publish, jiff::Timestamp::now()).unwrap();
    let (_, html) = house.get("/operator/catalogue?lang=cs").await;
    assert!(html.contains("není kód slovníku"), "{html}");
    assert!(!html.contains("is no code of the vocabulary"), "{html}");
}
