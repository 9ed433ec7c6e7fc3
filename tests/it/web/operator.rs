//! The operator's pages.

use super::{get, node, node_with, play_journal};
use vesalius::actor::Role;

async fn page(node: &super::Node, path: &str, role: Role) -> String {
    let bearer = format!("Bearer {}", node.token(role));
    let (status, html) = get(node, path, &[("Authorization", &bearer)]).await;
    assert_eq!(status, 200, "{path}");
    html
}

/// The main part: the frame is in the snapshots of the public pages.
fn main_of(html: &str) -> String {
    let main = html.split_once("<main").unwrap().1.split_once("</main>").unwrap().0;
    let lines = main.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[actix_web::test]
async fn overview_sources_and_runs_tell_how_the_node_stands() {
    let node = node();
    play_journal(node.store());
    let overview = page(&node, "/operator", Role::Admin).await;
    insta::assert_snapshot!("operator-overview", main_of(&overview));
    let runs = page(&node, "/operator/runs", Role::Admin).await;
    insta::assert_snapshot!("operator-runs", main_of(&runs));
    let runs = page(&node, "/operator/runs?source=2", Role::Admin).await;
    assert!(runs.contains("Runs of DICOMweb 2") && !runs.contains("20,014"));
    let bearer = format!("Bearer {}", node.token(Role::Admin));
    let (status, _) = get(&node, "/operator/runs?source=77", &[("Authorization", &bearer)]).await;
    assert_eq!(status, 404);
}

#[actix_web::test]
async fn an_empty_node_says_how_to_begin() {
    let node = node();
    let overview = page(&node, "/operator", Role::Steward).await;
    assert!(overview.contains("vesalius ingest folder PATH"));
    assert!(
        page(&node, "/operator/quarantine", Role::Steward)
            .await
            .contains("Nothing is in quarantine")
    );
    assert!(
        page(&node, "/operator/findings", Role::Steward).await.contains("Nothing odd was found")
    );
}

#[actix_web::test]
async fn quarantine_tells_where_why_and_what_to_do() {
    let node = node();
    play_journal(node.store());
    let html = page(&node, "/operator/quarantine", Role::ImagingIt).await;
    assert!(html.contains("NOVAKOVA^JANA/IM0001"));
    assert!(!html.contains("<script>") && !html.contains("<img src=x"));
    insta::assert_snapshot!("operator-quarantine", main_of(&html));
}

#[actix_web::test]
async fn what_can_name_a_person_is_shown_in_care_only() {
    let node = node();
    play_journal(node.store());
    for role in [Role::Steward, Role::Admin] {
        for path in [
            "/operator/quarantine",
            "/operator/findings/body-part-free-text",
            "/operator",
            "/operator/sources",
            "/operator/runs",
        ] {
            let html = page(&node, path, role).await;
            assert!(!html.contains("NOVAKOVA"), "{path} as {role} names a person");
            assert!(!html.contains("1.2.826"), "{path} as {role} shows a study's UID");
        }
    }
    let html = page(&node, "/operator/findings/body-part-free-text", Role::ImagingIt).await;
    assert!(html.contains("1.2.826.0.1.1") && html.contains("THORAX INJECTE"));
    assert!(html.contains("&#60;i&#62;THORAX"), "{html}");
}

#[actix_web::test]
async fn findings_are_explained() {
    let node = node();
    play_journal(node.store());
    let html = page(&node, "/operator/findings", Role::Steward).await;
    insta::assert_snapshot!("operator-findings", main_of(&html));
    let bearer = format!("Bearer {}", node.token(Role::Steward));
    let (status, _) =
        get(&node, "/operator/findings/nonsense", &[("Authorization", &bearer)]).await;
    assert_eq!(status, 404);
    let (status, _) = get(&node, "/operator/findings/a%00b", &[("Authorization", &bearer)]).await;
    assert_eq!(status, 400, "not every database can be asked for a NUL");
    assert!(
        page(&node, "/operator/findings/sex-odd", Role::Steward).await.contains("No study has")
    );
}

#[actix_web::test]
async fn the_gates_report_speaks_to_the_steward() {
    let broken = "title.en = \"Half\"\ndescription.en = \"Too little.\"\naccess_rights = \
                  \"NON_PUBLIC\"\nhealth_categories = [\"EHRS\"]\n[selection]\nmodality = [\"CT\"]\n";
    let node = node_with(&[("broken", broken)], |_| {});
    let html = page(&node, "/operator/catalogue", Role::Steward).await;
    assert!(html.contains("refused, never published") && html.contains("What stands in the way"));
    assert!(html.contains("New figures not before"));
    // The refused one comes first.
    assert!(html.find("broken.toml").unwrap() < html.find("lung-ldct.toml").unwrap());
    let overview = page(&node, "/operator", Role::Steward).await;
    assert!(overview.contains("Refused descriptions"));
}
