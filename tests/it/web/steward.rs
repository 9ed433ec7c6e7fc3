//! The steward's pages over a real store, index and folder: edit, check, compare, publish,
//! restore, withdraw; and what must not happen.

use std::sync::Arc;

use actix_web::test::TestRequest;
use actix_web::web as actix;
use vesalius::actor::Role;
use vesalius::auth::Tokens;
use vesalius::catalogue::bench::Bench;
use vesalius::catalogue::{
    Desk, MemoryShelf, Names, Shelf as _, State as Standing, StoreShelf, history,
};
use vesalius::index::Index;
use vesalius::mapping::Context;
use vesalius::web::{Pages, State};

use super::{Node, call, get};
use crate::catalogue::{config, release};
use crate::support::{Folder, How, ingest, record, set, sqlite};

/// A node with a mammography archive of four studies and no description.
pub(super) struct House {
    pub(super) node: Node,
    pub(super) folder: std::path::PathBuf,
    pub(super) shelf: StoreShelf,
    _fresh: crate::support::Fresh,
}

pub(super) const TEXT: &str = r#"# A comment of the steward's.
title.en = "Screening"
title.cs = "Screening prsu"
description.en = "Mammograms, synthetic."
access_rights = "RESTRICTED"
health_categories = ["EHRS"]
themes = ["TECH"]

[selection]
modality = ["MG"]
"#;

pub(super) fn house() -> House {
    let fresh = sqlite();
    let mut records = Vec::new();
    for study in 1..=4 {
        let mut image = record(study, study, 1, 1);
        set(&mut image.series, "Modality", "MG");
        records.push(image);
    }
    ingest(&fresh.store, &mut Folder::of(&records), &How::default());
    let context = Context::default();
    let index = Arc::new(Index::open(None, context.clone()));
    index.catch_up(&fresh.store).unwrap();
    let store = Arc::new(fresh.store.clone());
    let config = Arc::new(config());
    let desk = Desk::open(&config, &store, &index, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("descriptions");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("screening.toml"), TEXT).unwrap();
    let now = jiff::Timestamp::now();
    let pass = desk.publish_folder(&path, vesalius::catalogue::How::Publish, now).unwrap();
    assert_eq!(
        pass.outcomes[0]
            .problems
            .iter()
            .filter(|p| p.severity == vesalius::catalogue::Severity::Violation)
            .count(),
        0,
        "{pass:#?}"
    );
    let shelf = Arc::new(StoreShelf(Arc::clone(&store)));
    let names = Names::new(Arc::new(release()), &context);
    let pages = Arc::new(Pages::new(Arc::clone(&config), names, shelf));
    let state = State::new(&config, Arc::clone(&store), index, pages);
    let state =
        actix::Data::new(state.with_bench(Bench::new(desk, path.clone(), jiff::Timestamp::now)));
    let node = Node {
        tokens: Tokens::new(&[1; 32]),
        shelf: Arc::new(MemoryShelf::default()),
        state,
        _folder: folder,
    };
    House { node, folder: path, shelf: StoreShelf(store), _fresh: fresh }
}

/// The fields of a page's form, as a browser would send them without a change.
pub(super) fn fields(html: &str) -> Vec<(String, String)> {
    let plain = |text: &str| {
        text.replace("&#38;", "&")
            .replace("&#34;", "\"")
            .replace("&#39;", "'")
            .replace("&#60;", "<")
            .replace("&#62;", ">")
    };
    let attribute = |tag: &str, name: &str| {
        let after = tag.split_once(&format!(" {name}=\""))?.1;
        Some(plain(after.split_once('"')?.0))
    };
    let form = html.split_once("<form class=\"steward\"").map_or(html, |(_, rest)| rest);
    let form = form.split_once("</form>").map_or(form, |(form, _)| form);
    let mut pairs = Vec::new();
    let mut rest = form;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, body) = after.split_once('>').unwrap();
        rest = body;
        let tag = format!(" {tag}");
        let Some(name) = attribute(&tag, "name") else { continue };
        if tag.starts_with(" input") {
            let is_box =
                ["checkbox", "radio"].iter().any(|kind| tag.contains(&format!("type=\"{kind}\"")));
            if !is_box || tag.contains(" checked") {
                pairs.push((name, attribute(&tag, "value").unwrap_or_default()));
            }
        } else if tag.starts_with(" textarea") {
            let text = body.split_once("</textarea>").unwrap().0;
            pairs.push((name, plain(text.strip_prefix('\n').unwrap_or(text))));
        } else if tag.starts_with(" select") {
            let options = body.split_once("</select>").unwrap().0;
            let chosen = options.split("<option").find(|option| option.contains(" selected"));
            let chosen = chosen.and_then(|option| attribute(option, "value")).unwrap_or_default();
            pairs.push((name, chosen));
        }
    }
    pairs
}

fn body(pairs: &[(String, String)]) -> String {
    let encode = |text: &str| {
        text.bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect::<String>()
    };
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

impl House {
    fn cookie(&self, role: Role) -> String {
        format!("vesalius_token={}", self.node.token(role))
    }

    pub(super) async fn get(&self, path: &str) -> (u16, String) {
        get(&self.node, path, &[("Cookie", &self.cookie(Role::Steward))]).await
    }

    /// Status, address that it leads to, and the page.
    pub(super) async fn post(&self, path: &str, pairs: &[(&str, &str)]) -> (u16, String, String) {
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        self.send(path, &pairs, Role::Steward, "same-origin").await
    }

    pub(super) async fn send(
        &self,
        path: &str,
        pairs: &[(String, String)],
        role: Role,
        site: &str,
    ) -> (u16, String, String) {
        let request = TestRequest::post().uri(path).set_payload(body(pairs));
        let cookie = self.cookie(role);
        let response =
            call(&self.node, request, &[("Cookie", &cookie), ("Sec-Fetch-Site", site)]).await;
        let status = response.status().as_u16();
        let place = response.headers().get("location");
        let place = place.map_or_else(String::new, |place| place.to_str().unwrap().to_owned());
        let page = actix_web::test::read_body(response).await;
        (status, place, String::from_utf8(page.to_vec()).unwrap())
    }

    /// As [`send`](Self::send), with another cookie beside the steward's.
    pub(super) async fn send_in(
        &self,
        path: &str,
        pairs: &[(String, String)],
        other: &str,
    ) -> (u16, String) {
        let request = TestRequest::post().uri(path).set_payload(body(pairs));
        let cookie = format!("{}; {other}", self.cookie(Role::Steward));
        let site = ("Sec-Fetch-Site", "same-origin");
        let response = call(&self.node, request, &[("Cookie", &cookie), site]).await;
        let status = response.status().as_u16();
        let page = actix_web::test::read_body(response).await;
        (status, String::from_utf8(page.to_vec()).unwrap())
    }

    /// The form of a dataset with some values changed.
    pub(super) async fn form(&self, slug: &str, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let (status, html) = self.get(&format!("/operator/catalogue/{slug}/edit")).await;
        assert_eq!(status, 200, "{html}");
        changed(fields(&html), changes)
    }

    pub(super) fn file(&self, slug: &str) -> String {
        std::fs::read_to_string(self.folder.join(format!("{slug}.toml"))).unwrap()
    }
}

pub(super) fn changed(
    mut pairs: Vec<(String, String)>,
    changes: &[(&str, &str)],
) -> Vec<(String, String)> {
    for (name, value) in changes {
        pairs.retain(|(known, _)| known != name);
        pairs.push(((*name).to_owned(), (*value).to_owned()));
    }
    pairs
}

fn value<'p>(pairs: &'p [(String, String)], name: &str) -> &'p str {
    pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

const EDIT: &str = "/operator/catalogue/screening/edit";
const REVIEW: &str = "/operator/catalogue/screening/review";

#[actix_web::test]
async fn a_description_is_edited_checked_compared_and_published() {
    let house = house();
    let before = house.shelf.find("screening").unwrap().unwrap();
    // What the form shows is what the description says.
    let pairs = house.form("screening", &[]).await;
    assert_eq!(value(&pairs, "f:title.cs"), "Screening prsu");
    assert_eq!(value(&pairs, "f:access_rights"), "RESTRICTED");
    assert_eq!(value(&pairs, "f:selection=modality"), "MG");
    // Checking keeps nothing, and says what is wrong beside the field.
    let wrong = changed(
        pairs.clone(),
        &[("f:description.en", ""), ("f:landing_page", "nowhere"), ("do", "check")],
    );
    let (status, _, html) = house.send(EDIT, &wrong, Role::Steward, "same-origin").await;
    assert_eq!(status, 200);
    assert!(html.contains("2 findings"), "{html}");
    assert!(
        html.contains("id=\"f-description-said\"") && html.contains("id=\"f-landing_page-said\"")
    );
    assert!(html.contains("is no web address"));
    assert!(html.contains("value=\"nowhere\""), "what was typed stays");
    assert_eq!(house.file("screening"), TEXT);
    assert!(house.node.state.bench.as_ref().unwrap().draft_slugs().unwrap().is_empty());
    // An invalid draft is kept, and not published.
    let wrong = changed(wrong, &[("do", "review")]);
    let (status, place, _) = house.send(EDIT, &wrong, Role::Steward, "same-origin").await;
    assert_eq!((status, place.as_str()), (303, REVIEW));
    let (_, html) = house.get(REVIEW).await;
    assert!(html.contains("cannot be published") && !html.contains("value=\"publish\""), "{html}");
    let version = html.split("name=\"version\" value=\"").nth(1).unwrap();
    let version = version.split('"').next().unwrap();
    let (status, _, _) = house.post(REVIEW, &[("do", "publish"), ("version", version)]).await;
    assert_eq!(status, 422);
    assert_eq!(house.shelf.find("screening").unwrap().unwrap(), before);
    // Mended, it is compared with what is published, and published.
    let pairs = house
        .form(
            "screening",
            &[
                ("f:title.en", "Screening, new"),
                ("f:description.en", "Mammograms, synthetic."),
                ("f:landing_page", ""),
                ("do", "review"),
            ],
        )
        .await;
    let (status, _, _) = house.send(EDIT, &pairs, Role::Steward, "same-origin").await;
    assert_eq!(status, 303);
    let (_, html) = house.get(REVIEW).await;
    assert!(html.contains("<code>title.en</code>") && html.contains("Screening, new"), "{html}");
    assert!(!html.contains("<code>title.cs</code>"), "what did not change is not shown");
    let (_, preview) = house.get("/operator/catalogue/screening/preview").await;
    assert!(preview.contains("not published") && preview.contains("Screening, new"));
    let (_, rdf) = house.get("/operator/catalogue/screening/preview-rdf").await;
    assert!(rdf.contains("dct:title") && rdf.contains("Screening, new"));
    assert_eq!(house.shelf.find("screening").unwrap().unwrap(), before, "a preview keeps nothing");
    let version = html.split("name=\"version\" value=\"").nth(1).unwrap();
    let version = version.split('"').next().unwrap();
    let (status, place, _) = house.post(REVIEW, &[("do", "publish"), ("version", version)]).await;
    assert_eq!((status, place.as_str()), (303, "/operator/catalogue/screening/versions?published"));
    let entry = house.shelf.find("screening").unwrap().unwrap();
    assert_eq!(entry.text, house.file("screening"), "the file is the truth");
    assert_eq!(entry.description().title.best("en"), "Screening, new");
    assert!(entry.document.contains("Screening, new"));
    let (_, page) = house.get("/dataset/screening").await;
    assert!(page.contains("Screening, new"));
    let history = history::revisions(&house.shelf.0, "screening", 10).unwrap();
    assert_eq!(history[0].who, "eva (steward)");
    assert!(house.node.state.bench.as_ref().unwrap().draft_slugs().unwrap().is_empty());
    // Going over the folder finds nothing to do.
    let bench = house.node.state.bench.as_ref().unwrap();
    let now = jiff::Timestamp::now();
    let pass = bench.desk.publish_folder(&house.folder, vesalius::catalogue::How::Publish, now);
    assert_eq!(pass.unwrap().outcomes[0].verdict, vesalius::catalogue::Verdict::Unchanged);
}

#[actix_web::test]
async fn two_stewards_do_not_overwrite_each_other() {
    let house = house();
    let first = house.form("screening", &[("f:title.en", "First"), ("do", "save")]).await;
    let second = house.form("screening", &[("f:title.en", "Second"), ("do", "save")]).await;
    assert_eq!(house.send(EDIT, &first, Role::Steward, "same-origin").await.0, 303);
    let (status, _, html) = house.send(EDIT, &second, Role::Admin, "same-origin").await;
    assert_eq!(status, 409);
    assert!(html.contains("value=\"Second\""), "what the second wrote is not lost");
    assert!(html.contains("eva (steward) saved another draft"), "{html}");
    let bench = house.node.state.bench.as_ref().unwrap();
    assert!(bench.draft("screening").unwrap().unwrap().text.contains("First"));
    // Saving again replaces knowingly.
    let again = changed(fields(&html), &[("do", "save")]);
    assert_eq!(house.send(EDIT, &again, Role::Admin, "same-origin").await.0, 303);
    assert!(bench.draft("screening").unwrap().unwrap().text.contains("Second"));
    // A file that was changed by hand is not overwritten unseen either.
    std::fs::write(house.folder.join("screening.toml"), TEXT.replace("Mammograms", "By hand"))
        .unwrap();
    let version = bench.draft("screening").unwrap().unwrap().version.to_string();
    let publish = [("do", "publish"), ("version", version.as_str())];
    assert_eq!(house.post(REVIEW, &publish).await.0, 409);
    assert!(house.file("screening").contains("By hand"));
    let (_, html) = house.get(REVIEW).await;
    assert!(html.contains("By hand") && !html.contains("value=\"publish\""), "{html}");
    let rebase = [("do", "rebase"), ("version", version.as_str())];
    assert_eq!(house.post(REVIEW, &rebase).await.0, 303);
    let version = bench.draft("screening").unwrap().unwrap().version.to_string();
    let publish = [("do", "publish"), ("version", version.as_str())];
    assert_eq!(house.post(REVIEW, &publish).await.0, 303);
    assert!(house.file("screening").contains("Second"));
}

#[actix_web::test]
async fn a_version_is_restored_and_a_dataset_withdrawn_and_brought_back() {
    let house = house();
    let pairs = house.form("screening", &[("f:title.en", "Second"), ("do", "save")]).await;
    house.send(EDIT, &pairs, Role::Steward, "same-origin").await;
    let bench = house.node.state.bench.as_ref().unwrap();
    let version = bench.draft("screening").unwrap().unwrap().version.to_string();
    house.post(REVIEW, &[("do", "publish"), ("version", &version)]).await;
    let versions = "/operator/catalogue/screening/versions";
    let (_, html) = house.get(versions).await;
    assert_eq!(html.matches("class=\"case\"").count(), 2, "{html}");
    let number = html.split("name=\"number\" value=\"").nth(1).unwrap();
    let number = number.split('"').next().unwrap().to_owned();
    let restore = [("do", "restore"), ("number", number.as_str()), ("version", "0")];
    assert_eq!(house.post(versions, &restore).await.1, REVIEW);
    let draft = bench.draft("screening").unwrap().unwrap();
    assert_eq!(draft.text, TEXT, "comments and all");
    assert_eq!(house.post(versions, &restore).await.0, 409, "there is a draft now");
    let version = draft.version.to_string();
    house.post(REVIEW, &[("do", "publish"), ("version", &version)]).await;
    assert_eq!(house.file("screening"), TEXT);
    // Withdrawn: the file says so, the address answers with a tombstone.
    let withdraw = "/operator/catalogue/screening/withdraw";
    let (_, html) = house.get(withdraw).await;
    let base = html.split("name=\"base\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(house.post(withdraw, &[("base", "stale")]).await.0, 409);
    let (status, place, _) = house.post(withdraw, &[("base", base)]).await;
    assert_eq!((status, place.as_str()), (303, "/operator/catalogue/screening/versions?withdrawn"));
    assert_eq!(house.shelf.find("screening").unwrap().unwrap().state, Standing::Withdrawn);
    assert!(house.file("screening").contains("withdrawn = true"));
    assert_eq!(house.get("/dataset/screening").await.0, 410);
    let back = [("do", "bring-back"), ("version", "0")];
    assert_eq!(house.post(versions, &back).await.0, 303);
    let version = bench.draft("screening").unwrap().unwrap().version.to_string();
    assert_eq!(house.post(REVIEW, &[("do", "publish"), ("version", &version)]).await.0, 303);
    assert_eq!(house.shelf.find("screening").unwrap().unwrap().state, Standing::Published);
}

#[actix_web::test]
async fn a_new_description_is_begun_and_a_hostile_one_refused() {
    let house = house();
    let new = "/operator/new-description";
    for bad in ["", "../screening", "Screening", "-x", "a/b", "screening"] {
        let (status, _, html) = house.post(new, &[("slug", bad), ("copy", "")]).await;
        assert_eq!(status, 422, "{bad:?}: {html}");
    }
    let (status, place, _) = house.post(new, &[("slug", "other"), ("copy", "screening")]).await;
    assert_eq!((status, place.as_str()), (303, "/operator/catalogue/other/edit"));
    let (_, html) = house.get("/operator/catalogue").await;
    assert!(html.contains("/operator/catalogue/other/edit"));
    let pairs = house
        .form(
            "other",
            &[
                ("f:title.en", "<script>alert(1)</script>"),
                ("f:spatial+", "zzz"),
                ("n:distribution", "999999999"),
                ("do", "save"),
            ],
        )
        .await;
    let path = "/operator/catalogue/other/edit";
    assert_eq!(house.send(path, &pairs, Role::Steward, "same-origin").await.0, 303);
    let (_, html) = house.get(&format!("{path}?check")).await;
    assert!(!html.contains("<script>alert"), "what was typed is escaped");
    assert!(html.contains("`zzz`") || html.contains("<code>zzz</code>"), "{html}");
    // Bytes that are no text, a language that is none, a form that says nothing.
    for body in [
        "f%3Atitle.en=%FF%FE&do=save",
        "language=%3Cb%3E&do=language&also=xx",
        "",
        "do=remove%3Adistribution.99",
        "do=add%3Anothing",
    ] {
        let request = TestRequest::post().uri(path).set_payload(body);
        let cookie = house.cookie(Role::Steward);
        let headers = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "same-origin")];
        let response = call(&house.node, request, &headers).await;
        assert!(
            [200, 303, 409].contains(&response.status().as_u16()),
            "{body}: {}",
            response.status()
        );
    }
    // Text that is no TOML is kept, has no form, and says where it is broken.
    let toml = "/operator/catalogue/screening/toml";
    let (_, html) = house.get(toml).await;
    let base = html.split("name=\"base\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let save =
        [("text", "title.en = \"x\nbroken"), ("version", "0"), ("base", base), ("do", "save")];
    assert_eq!(house.post(toml, &save).await.0, 303);
    assert_eq!(house.get(EDIT).await.0, 303);
    let (_, html) = house.get(toml).await;
    assert!(html.contains("no TOML") && html.contains("line 2"), "{html}");
    assert_eq!(house.get("/operator/catalogue/nothing/edit").await.0, 404);
    assert_eq!(house.get("/operator/catalogue/..%2Fx/edit").await.0, 404);
}

#[actix_web::test]
async fn only_stewards_write_and_only_from_pages_of_this_node() {
    let house = house();
    let pages = [
        EDIT,
        "/operator/catalogue/screening/toml",
        REVIEW,
        "/operator/catalogue/screening/versions",
        "/operator/catalogue/screening/withdraw",
        "/operator/new-description",
    ];
    for path in pages {
        for (role, expected) in [
            (Role::Steward, 200),
            (Role::Admin, 200),
            (Role::ImagingIt, 403),
            (Role::Ehr, 403),
            (Role::Researcher, 403),
        ] {
            let status = get(&house.node, path, &[("Cookie", &house.cookie(role))]).await.0;
            assert_eq!(status, expected, "{path} as {role}");
        }
        assert_eq!(get(&house.node, path, &[]).await.0, 401, "{path}");
        for site in ["cross-site", "same-site", "none"] {
            let (status, _, _) = house
                .send(path, &[("do".to_owned(), "save".to_owned())], Role::Steward, site)
                .await;
            assert_eq!(status, 403, "{path} from {site}");
        }
        let (status, _, _) = house.send(path, &[], Role::ImagingIt, "same-origin").await;
        assert_eq!(status, 403, "{path}");
    }
    assert!(house.node.state.bench.as_ref().unwrap().draft_slugs().unwrap().is_empty());
    assert_eq!(house.file("screening"), TEXT);
}

#[test]
fn what_a_crash_left_is_finished_and_a_file_changed_by_hand_wins() {
    use vesalius::catalogue::{How as Publishing, bench};
    use vesalius::store::drafts::{WriteRow, list_writes, put_writes};
    let house = house();
    let bench = house.node.state.bench.as_ref().unwrap();
    let now = jiff::Timestamp::now();
    let wanted = |text: &str, base: &str| WriteRow {
        number: 0,
        slug: "screening".to_owned(),
        base: base.to_owned(),
        text: text.to_owned(),
        who: "eva (steward)".to_owned(),
        at: now.as_microsecond(),
    };
    let accepted = TEXT.replace("Mammograms", "Accepted");
    let row = wanted(&accepted, &bench::digest(TEXT));
    house.shelf.0.write(|db| put_writes(db, &[row])).unwrap();
    bench.desk.publish_folder(&house.folder, Publishing::Publish, now).unwrap();
    assert_eq!(house.file("screening"), accepted);
    assert!(house.shelf.find("screening").unwrap().unwrap().document.contains("Accepted"));
    let history = history::revisions(&house.shelf.0, "screening", 1).unwrap();
    assert_eq!(history[0].who, "eva (steward)", "the one who wrote it, not the server");
    // Of the file that the next one replaces there is another text by now.
    let late = wanted(&TEXT.replace("Mammograms", "Late"), &bench::digest(TEXT));
    house.shelf.0.write(|db| put_writes(db, &[late])).unwrap();
    bench.desk.publish_folder(&house.folder, Publishing::Publish, now).unwrap();
    assert_eq!(house.file("screening"), accepted);
    assert!(bench.draft("screening").unwrap().unwrap().text.contains("Late"), "nothing is lost");
    assert!(house.shelf.0.read(list_writes).unwrap().is_empty());
}

#[actix_web::test]
async fn what_was_typed_survives_an_ended_session() {
    let house = house();
    let (_, html) = house.get(EDIT).await;
    let title = "A \"new\" <title> & more\r\nπ";
    let typed = changed(fields(&html), &[("f:title.en", title), ("do", "save")]);
    let form = |html: &str| fields(html.split_once("<form class=\"stack\"").unwrap().1);
    let ours = [("Sec-Fetch-Site", "same-origin"), ("Accept", "text/html")];
    let post = async |path: &str, pairs: &[(String, String)], headers: &[(&str, &str)]| {
        let request = TestRequest::post().uri(path).set_payload(body(pairs));
        let response = call(&house.node, request, headers).await;
        let (status, cookie) = (response.status().as_u16(), response.headers().get("set-cookie"));
        let is_set = cookie.is_some();
        let bytes = actix_web::test::read_body(response).await;
        (status, is_set, String::from_utf8(bytes.to_vec()).unwrap())
    };
    let (status, _, html) = post(EDIT, &typed, &ours).await;
    assert_eq!(status, 401);
    assert!(html.contains("stays on this page") && !html.contains("<title> &"), "{html}");
    assert!(house.node.state.bench.as_ref().unwrap().draft_slugs().unwrap().is_empty());
    // A mistake in the token loses nothing either.
    let carried = form(&html);
    for (token, status) in [("nonsense".to_owned(), 401), (house.node.token(Role::Steward), 200)] {
        let pairs = changed(carried.clone(), &[("token", &token)]);
        let (answered, set, html) = post("/operator/sign-in", &pairs, &ours).await;
        assert_eq!((answered, set), (status, status == 200));
        assert!(html.contains(if set { "Send it again" } else { "kept-f:title.en" }), "{html}");
        assert!(!html.contains(&token), "the token is repeated");
        if set {
            let again = form(&html);
            assert_eq!(again, typed);
            let (status, place, _) = house.send(EDIT, &again, Role::Steward, "same-origin").await;
            assert_eq!((status, place), (303, format!("{EDIT}?saved")));
        }
    }
    let draft = house.node.state.bench.as_ref().unwrap().draft("screening").unwrap().unwrap();
    assert!(draft.text.contains("<title> & more"), "{}", draft.text);
    // What another site sends is not carried into somebody's session.
    for site in ["cross-site", "same-site", "none"] {
        let theirs = [("Sec-Fetch-Site", site), ("Accept", "text/html")];
        let (status, _, html) = post(EDIT, &typed, &theirs).await;
        assert!(status == 401 && !html.contains("kept-"), "{site}");
    }
}

#[actix_web::test]
async fn many_are_changed_together_or_none() {
    let house = house();
    std::fs::write(house.folder.join("second.toml"), TEXT.replace("Screening", "Second")).unwrap();
    // One that the gate refuses, whatever is set.
    std::fs::write(house.folder.join("third.toml"), TEXT.replace("MG", "XX")).unwrap();
    let bench = house.node.state.bench.as_ref().unwrap();
    let now = jiff::Timestamp::now();
    bench.desk.publish_folder(&house.folder, vesalius::catalogue::How::Publish, now).unwrap();
    let bulk = "/operator/bulk-edit";
    let (status, html) = house.get(bulk).await;
    assert_eq!(status, 200);
    assert_eq!(html.matches("name=\"dataset\"").count(), 3);
    let chosen = [
        ("dataset", "screening"),
        ("dataset", "second"),
        ("dataset", "third"),
        ("field", "themes"),
        ("do", "choose"),
    ];
    let (_, _, html) = house.post(bulk, &chosen).await;
    assert!(html.contains("name=\"f:themes\"") && html.contains("value=\"add\""), "{html}");
    let pairs = changed(fields(&html), &[("f:themes", "SOCI"), ("how", "add"), ("do", "preview")]);
    let (_, _, html) = house.send(bulk, &pairs, Role::Steward, "same-origin").await;
    assert!(html.contains("matches no series") && !html.contains("value=\"apply\""), "{html}");
    // All at once or none: applying it all the same changes nothing.
    let all = changed(fields(&html), &[("do", "apply")]);
    assert_eq!(house.send(bulk, &all, Role::Steward, "same-origin").await.0, 422);
    assert_eq!(house.file("screening"), TEXT);
    let mut some = changed(fields(&html), &[("do", "preview")]);
    some.retain(|(name, value)| !(name == "dataset" && value == "third"));
    let (_, _, html) = house.send(bulk, &some, Role::Steward, "same-origin").await;
    assert!(html.contains("value=\"apply\"") && html.contains("SOCI"), "{html}");
    let apply = changed(fields(&html), &[("do", "apply")]);
    // A value that was never shown is not applied: what would be written is shown instead.
    let other = changed(fields(&html), &[("f:themes", "AGRI"), ("do", "apply")]);
    let (status, _, html) = house.send(bulk, &other, Role::Steward, "same-origin").await;
    assert!(status == 409 && html.contains("not what you looked at"), "{html}");
    assert!(html.contains("AGRI") && house.file("screening") == TEXT);
    // A file that was changed since is not overwritten, nor is the other one changed.
    let second = house.file("second");
    std::fs::write(house.folder.join("second.toml"), second.replace("Mammograms", "By hand"))
        .unwrap();
    assert_eq!(house.send(bulk, &apply, Role::Steward, "same-origin").await.0, 409);
    assert_eq!(house.file("screening"), TEXT);
    std::fs::write(house.folder.join("second.toml"), second).unwrap();
    let (status, place, _) = house.send(bulk, &apply, Role::Steward, "same-origin").await;
    assert_eq!((status, place.as_str()), (303, "/operator/bulk-edit?done=2"));
    for slug in ["screening", "second"] {
        let entry = house.shelf.find(slug).unwrap().unwrap();
        assert_eq!(entry.description().themes, ["TECH", "SOCI"], "{slug}");
        assert_eq!(entry.text, house.file(slug));
    }
    for bad in [
        &[("field", "title"), ("do", "apply")][..],
        &[("field", ""), ("dataset", "../x"), ("do", "apply")],
    ] {
        assert_eq!(house.post(bulk, bad).await.0, 400);
    }
}

#[actix_web::test]
async fn descriptions_are_exported_and_imported_as_drafts() {
    let house = house();
    let export = |form: &str| format!("/operator/catalogue/screening/export/{form}");
    let (status, toml) = house.get(&export("toml")).await;
    assert_eq!((status, toml.as_str()), (200, TEXT));
    let (_, turtle) = house.get(&export("turtle")).await;
    let (_, rows) = house.get(&export("eucaim")).await;
    assert!(rows.starts_with("dataset,class,number"), "{rows}");
    assert_eq!(house.get(&export("pdf")).await.0, 404);
    let import = "/operator/import-description";
    let bench = house.node.state.bench.as_ref().unwrap();
    for (form, text) in [("toml", toml), ("turtle", turtle), ("eucaim", rows)] {
        let sent = [("form", form), ("slug", "screening"), ("text", text.as_str())];
        let (status, place, html) = house.post(import, &sent).await;
        assert_eq!((status, place.as_str()), (303, REVIEW), "{form}: {html}");
        let draft = bench.draft("screening").unwrap().unwrap();
        let changes = history::differences(TEXT, &draft.text);
        assert_eq!(changes, [], "{form}");
        assert_eq!(house.post(import, &sent).await.0, 409, "a draft is not replaced");
        // One press asks, and deletes nothing.
        let version = draft.version.to_string();
        let (status, _, html) = house.post(REVIEW, &[("do", "drop"), ("version", &version)]).await;
        assert!(status == 200 && html.contains("value=\"drop-now\""), "{html}");
        assert!(bench.draft("screening").unwrap().is_some());
        let version = draft.version.to_string();
        assert_eq!(house.post(REVIEW, &[("do", "drop-now"), ("version", &version)]).await.0, 303);
    }
    for (form, slug, text) in [
        ("turtle", "screening", "<no"),
        ("eucaim", "", "x"),
        ("toml", "../x", ""),
        ("xml", "x", ""),
    ] {
        let (status, _, html) =
            house.post(import, &[("form", form), ("slug", slug), ("text", text)]).await;
        assert_eq!(status, 422, "{form}: {html}");
        assert!(html.contains("role=\"alert\""));
    }
}
