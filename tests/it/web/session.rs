//! Signing in, roles, and who may change something.

use super::{Node, call, get, node, play_journal};
use actix_web::test::TestRequest;
use vesalius::actor::Role;
use vesalius::store::journal::{self, InputState};

const PAGES: &[&str] = &[
    "/operator",
    "/operator/sources",
    "/operator/runs",
    "/operator/quarantine",
    "/operator/findings",
    "/operator/findings/body-part-free-text",
    "/operator/catalogue",
    "/operator/harvest",
];

fn cookie(node: &Node, role: Role) -> String {
    format!("other=1; vesalius_token={}", node.token(role))
}

#[actix_web::test]
async fn only_operators_see_the_operators_pages() {
    let node = node();
    play_journal(node.store());
    for path in PAGES {
        let (status, html) = get(&node, path, &[]).await;
        assert_eq!(status, 401, "{path} without a token");
        assert!(html.contains("Please sign in"), "{path}");
        assert!(html.contains(&format!("next={}", path.replace('/', "%2F"))), "{path}: {html}");
        for (role, expected) in [
            (Role::ImagingIt, 200),
            (Role::Steward, 200),
            (Role::Admin, 200),
            (Role::Ehr, 403),
            (Role::Researcher, 403),
        ] {
            let status = get(&node, path, &[("Cookie", &cookie(&node, role))]).await.0;
            assert_eq!(status, expected, "{path} as {role}");
            let bearer = format!("Bearer {}", node.token(role));
            let status = get(&node, path, &[("Authorization", &bearer)]).await.0;
            assert_eq!(status, expected, "{path} as {role} with a header");
        }
        let (status, html) = get(&node, path, &[("Cookie", "vesalius_token=forged")]).await;
        assert_eq!(status, 401, "{path} with a forged token");
        assert!(!html.contains("forged"), "{path} repeats the token");
    }
}

#[actix_web::test]
async fn operators_pages_are_kept_by_nobody() {
    let node = node();
    for path in PAGES.iter().take(5).chain(&["/operator/sign-in"]) {
        let headers = [("Cookie", cookie(&node, Role::Admin))];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let response = call(&node, TestRequest::get().uri(path), &headers).await;
        assert_eq!(response.headers().get("cache-control").unwrap(), "no-store", "{path}");
    }
}

#[actix_web::test]
async fn signing_in_sets_a_cookie_that_is_held_close() {
    let node = node();
    let body = format!("token=+{}%0A&next=%2Foperator%2Fruns", node.token(Role::Steward));
    let post = |body: String| TestRequest::post().uri("/operator/sign-in").set_payload(body);
    let ours = [("Sec-Fetch-Site", "same-origin"), ("Origin", "https://node.example.org")];
    let response = call(&node, post(body.clone()), &ours).await;
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers().get("location").unwrap(), "/operator/runs");
    let set = response.headers().get("set-cookie").unwrap().to_str().unwrap().to_owned();
    for part in ["; Path=/operator", "; HttpOnly", "; SameSite=Strict", "; Secure"] {
        assert!(set.contains(part), "{set}");
    }
    // The cookie that was set opens the pages.
    let pair = set.split(';').next().unwrap();
    assert_eq!(get(&node, "/operator", &[("Cookie", pair)]).await.0, 200);
    // Nobody is sent elsewhere, and nobody is signed in from elsewhere.
    let away = body.replace("%2Foperator%2Fruns", "https%3A%2F%2Fevil.example");
    let response = call(&node, post(away), &ours).await;
    assert_eq!(response.headers().get("location").unwrap(), "/operator");
    for theirs in [
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")][..],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", "https://other.example.org")],
        &[("Sec-Fetch-Site", "same-origin"), ("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[],
    ] {
        let response = call(&node, post(body.clone()), theirs).await;
        assert_eq!(response.status(), 403, "{theirs:?}");
        assert!(!response.headers().contains_key("set-cookie"));
    }
    // Browsers without fetch metadata send `Origin`.
    let old = [("Origin", "https://node.example.org")];
    assert_eq!(call(&node, post(body), &old).await.status(), 303);
}

#[actix_web::test]
async fn wrong_tokens_are_refused_with_a_reason() {
    let node = node();
    let ours = [("Sec-Fetch-Site", "same-origin")];
    for (token, reason) in [
        (String::new(), "Paste a token"),
        ("nonsense".to_owned(), "it is no valid token"),
        (node.token(Role::Ehr), "does not see the operator"),
        ("%3Cscript%3E".to_owned(), "refused"),
    ] {
        let request =
            TestRequest::post().uri("/operator/sign-in").set_payload(format!("token={token}"));
        let response = call(&node, request, &ours).await;
        assert_eq!(response.status(), 401, "{reason}");
        assert!(!response.headers().contains_key("set-cookie"));
        let body = actix_web::test::read_body(response).await;
        let html = String::from_utf8(body.to_vec()).unwrap();
        assert!(html.contains(reason) && !html.contains("<script>"), "{reason}: {html}");
        assert!(token.is_empty() || !html.contains(&token), "the page repeats the token");
    }
}

#[actix_web::test]
async fn signing_out_forgets_the_cookie() {
    let node = node();
    let cookie = cookie(&node, Role::Admin);
    let request = || TestRequest::post().uri("/operator/sign-out");
    let response =
        call(&node, request(), &[("Cookie", &cookie), ("Sec-Fetch-Site", "same-origin")]).await;
    assert_eq!(response.status(), 303);
    let set = response.headers().get("set-cookie").unwrap().to_str().unwrap();
    assert!(set.starts_with("vesalius_token=;") && set.contains("Max-Age=0"), "{set}");
    let theirs = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(call(&node, request(), &theirs).await.status(), 403);
    assert_eq!(get(&node, "/operator/sign-out", &[("Cookie", &cookie)]).await.0, 405);
}

#[actix_web::test]
async fn quarantine_is_read_again_only_when_asked_from_here() {
    let node = node();
    play_journal(node.store());
    let quarantined = || {
        let counts = node.store().read(|db| journal::count_inputs(db, 1)).unwrap();
        counts.iter().find(|(state, _)| *state == InputState::Quarantined).map_or(0, |row| row.1)
    };
    let request =
        || TestRequest::post().uri("/operator/quarantine/retry").set_payload("source=1".to_owned());
    let cookie = |role| cookie(&node, role);
    let admin = cookie(Role::Admin);
    let ehr = cookie(Role::Ehr);
    for (headers, expected) in [
        (&[("Sec-Fetch-Site", "same-origin")][..], 401),
        (&[("Sec-Fetch-Site", "same-origin"), ("Cookie", ehr.as_str())], 403),
        (&[("Sec-Fetch-Site", "cross-site"), ("Cookie", admin.as_str())], 403),
        (&[("Cookie", admin.as_str())], 403),
    ] {
        assert_eq!(call(&node, request(), headers).await.status().as_u16(), expected);
        assert_eq!(quarantined(), 4);
    }
    let wrong =
        TestRequest::post().uri("/operator/quarantine/retry").set_payload("source=x".to_owned());
    let ours = [("Sec-Fetch-Site", "same-origin"), ("Cookie", admin.as_str())];
    assert_eq!(call(&node, wrong, &ours).await.status(), 400);
    let response = call(&node, request(), &ours).await;
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers().get("location").unwrap(), "/operator/quarantine?again=4");
    assert_eq!(quarantined(), 0);
    let (_, html) = get(&node, "/operator/quarantine?again=4", &[("Cookie", &admin)]).await;
    assert!(
        html.contains("4 inputs will be read again")
            && html.contains("4 of “Export of the PACS” wait")
    );
}
