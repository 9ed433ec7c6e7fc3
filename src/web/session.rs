//! The operator's session: a token of `vesalius token` in an `HttpOnly` cookie.
//!
//! The cookie is `SameSite=Strict` and held to `/operator`; every request that changes something
//! must come from a page of this node (`Sec-Fetch-Site`, else `Origin`), unless it carries the
//! token itself in `Authorization`, which no foreign page can make a browser do.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::State;
use super::layout::{Layout, Place};
use super::problem::{page_or_problem, render};
use super::words::{self, Phrase};
use crate::actor::Actor;
use crate::auth::{BadToken, Tokens, actor_of};
use crate::error::{Error, Result};

/// The name of the cookie; the same as the authentication middleware reads.
const COOKIE: &str = crate::auth::COOKIE;

#[derive(Template)]
#[template(path = "sign-in.html")]
struct SignInPage<'a> {
    layout: Layout,
    next: &'a str,
    failure: Phrase,
    kept: &'a [Field],
}

/// A field of a form that waits for a session.
type Field = (String, String);

/// What begins the names of such fields on the page that signs in.
const KEPT: &str = "kept-";

#[derive(Template)]
#[template(path = "resume.html")]
struct ResumePage<'a> {
    layout: Layout,
    next: &'a str,
    kept: &'a [Field],
}

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/operator/sign-in").get(sign_in_page).post(sign_in))
        .service(web::resource("/operator/sign-out").post(sign_out));
}

/// Who is signed in and may see the operator's pages.
///
/// # Errors
/// [`Error::Unauthenticated`] without a valid token, [`Error::Forbidden`] with another role.
pub(super) fn operator(request: &HttpRequest) -> Result<Actor> {
    use actix_web::HttpMessage as _;
    let Some(actor) = actor_of(request) else {
        let bad = request.extensions().get::<BadToken>().cloned();
        return Err(Error::Unauthenticated(
            bad.map_or_else(|| "no token was sent".to_owned(), |BadToken(reason)| reason),
        ));
    };
    if actor.role.is_operator() {
        Ok(actor)
    } else {
        Err(Error::Forbidden(format!(
            "the role `{}` does not see the operator’s pages; the roles `imaging-it`, `steward` \
             and `admin` do",
            actor.role
        )))
    }
}

/// Whether a request that changes something comes from a page of this node.
///
/// # Errors
/// [`Error::Forbidden`] with the reason.
pub(super) fn same_origin(request: &HttpRequest, base: &str) -> Result<()> {
    let headers = request.headers();
    if headers.contains_key(header::AUTHORIZATION) {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = request.connection_info().host().to_owned();
    let origin = text("origin").map(|origin| is_ours(origin, base, &host));
    let is_ours = match (text("sec-fetch-site"), origin) {
        (_, Some(false)) | (None, None) => false,
        (Some(site), _) => site == "same-origin",
        (None, Some(is_ours)) => is_ours,
    };
    if is_ours {
        Ok(())
    } else {
        Err(Error::Forbidden(
            "the request does not come from a page of this node; open the page here and send \
             the form again"
                .to_owned(),
        ))
    }
}

fn is_ours(origin: &str, base: &str, host: &str) -> bool {
    let of_base = base.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let of_host = origin.split_once("://").map_or("", |(_, rest)| rest);
    origin.eq_ignore_ascii_case(&of_base)
        || (!of_host.is_empty() && of_host.eq_ignore_ascii_case(host))
}

/// A page of the operator's part to go to after signing in; anything else becomes the overview.
fn next(text: &str) -> &str {
    let is_fine = (text == "/operator" || text.starts_with("/operator/"))
        && !text.starts_with("/operator/sign-")
        && text.len() < 500
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && !text.contains("//")
        && !text.contains("/..");
    if is_fine { text } else { "/operator" }
}

fn field(body: &str, name: &str) -> String {
    words::pairs(body)
        .into_iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
        .unwrap_or_default()
}

async fn sign_in_page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let wanted = field(request.query_string(), "next");
    show(&request, &state, HttpResponse::Ok(), next(&wanted), Phrase::default(), &[])
}

/// Whether somebody without a session sent a form from a page of this node, whose content is then
/// carried through signing in. What comes from elsewhere is not: it would be sent with the session
/// of whoever signs in.
pub(super) fn is_interrupted(request: &HttpRequest, base: &str) -> bool {
    matches!(operator(request), Err(Error::Unauthenticated(_)))
        && super::problem::prefers_html(request.headers())
        && !request.headers().contains_key(header::AUTHORIZATION)
        && same_origin(request, base).is_ok()
}

/// The answer to a form that was sent without a session: a page to sign in on, which holds what was
/// sent. Nothing of it is written anywhere.
pub(super) fn interrupted(request: &HttpRequest, state: &State, body: &[u8]) -> HttpResponse {
    let kept = words::pairs_up_to(&String::from_utf8_lossy(body), super::steward::PAIRS);
    let reader = super::reader::Reader::of(request);
    let why = Phrase::plain(reader.tongue.word("operator.session-over"));
    show(request, state, HttpResponse::Unauthorized(), next(request.path()), why, &kept)
}

fn show(
    request: &HttpRequest,
    state: &State,
    mut response: actix_web::HttpResponseBuilder,
    next: &str,
    failure: Phrase,
    kept: &[Field],
) -> HttpResponse {
    let mut reader = super::reader::Reader::of(request);
    if request.method() != actix_web::http::Method::GET {
        reader.here = "/operator/sign-in".to_owned();
    }
    let title = reader.tongue.word("problem.sign-in");
    let mut layout = Layout::new(state.pages.site(), &reader, title, Place::Operator);
    layout.is_unlisted = true;
    // Another language loses nothing of what was sent.
    layout.form = (!kept.is_empty()).then_some(("work", "show"));
    if !failure.is_empty() {
        response.insert_header((header::WWW_AUTHENTICATE, super::problem::CHALLENGE));
    }
    match render(&SignInPage { layout, next, failure, kept }) {
        Ok(text) => {
            response.insert_header((header::CONTENT_LANGUAGE, reader.tongue.code.as_str()));
            if let Some(cookie) = reader.cookie(state.is_secure) {
                response.append_header((header::SET_COOKIE, cookie));
            }
            private(&mut response).body(text)
        }
        Err(error) => page_or_problem(state.pages.site(), request, &error),
    }
}

/// Headers of pages that nobody may keep.
pub(super) fn private(
    response: &mut actix_web::HttpResponseBuilder,
) -> &mut actix_web::HttpResponseBuilder {
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::VARY, "Cookie, Authorization"))
        .content_type("text/html; charset=utf-8")
}

async fn sign_in(
    request: HttpRequest,
    state: web::Data<State>,
    tokens: web::Data<Tokens>,
    body: web::Bytes,
) -> HttpResponse {
    // Signing somebody in as somebody else is forgery too.
    if let Err(error) = same_origin(&request, &state.base) {
        return page_or_problem(state.pages.site(), &request, &error);
    }
    let body = String::from_utf8_lossy(&body);
    let kept: Vec<Field> = words::pairs_up_to(&body, super::steward::PAIRS + 10)
        .into_iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(KEPT)?.to_owned(), value)))
        .collect();
    let token: String = field(&body, "token").chars().filter(|c| !c.is_whitespace()).collect();
    let wanted = field(&body, "next");
    let wanted = next(&wanted);
    let refused = |failure: Phrase| {
        show(&request, &state, HttpResponse::Unauthorized(), wanted, failure, &kept)
    };
    let tongue = super::reader::Reader::of(&request).tongue;
    if token.is_empty() {
        return refused(Phrase::plain(tongue.word("operator.no-token")));
    }
    let actor = match tokens.check(&token) {
        Ok(actor) => actor,
        Err(failure) => return refused(super::problem::said(tongue, &failure.to_string())),
    };
    if !actor.role.is_operator() {
        return refused(Phrase::plain(tongue.put("operator.wrong-role", actor.role)));
    }
    let cookie = cookie(&token, state.is_secure, "");
    if kept.is_empty() {
        return HttpResponse::SeeOther()
            .insert_header((header::LOCATION, wanted))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::SET_COOKIE, cookie))
            .finish();
    }
    let mut reader = super::reader::Reader::of(&request);
    reader.here = String::new();
    let title = reader.tongue.word("operator.resume-title");
    let layout = Layout::operator(state.pages.site(), &reader, title, "", &actor);
    match render(&ResumePage { layout, next: wanted, kept: &kept }) {
        Ok(text) => {
            let mut response = HttpResponse::Ok();
            response.insert_header((header::CONTENT_LANGUAGE, reader.tongue.code.as_str()));
            response.insert_header((header::SET_COOKIE, cookie));
            private(&mut response).body(text)
        }
        Err(error) => page_or_problem(state.pages.site(), &request, &error),
    }
}

async fn sign_out(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    if let Err(error) = same_origin(&request, &state.base) {
        return page_or_problem(state.pages.site(), &request, &error);
    }
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, "/operator/sign-in"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::SET_COOKIE, cookie("", state.is_secure, "; Max-Age=0")))
        .finish()
}

/// Without `Max-Age` it ends with the browser; the token's own end is checked at every request.
fn cookie(token: &str, is_secure: bool, more: &str) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    format!("{COOKIE}={token}; Path=/operator; HttpOnly; SameSite=Strict{secure}{more}")
}

/// Messages of the house begin small and have no full stop; a page's sentence does.
pub(super) fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let head = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{head}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::{cookie, is_ours, next, sentence};

    #[test]
    fn the_way_back_leads_nowhere_else() {
        assert_eq!(next("/operator/runs?source=1"), "/operator/runs?source=1");
        for bad in [
            "https://evil.example",
            "//evil.example",
            "/operator//evil.example",
            "/operatorx",
            "/operator/../x",
            "/operator/sign-out",
            "/operator/\\evil",
            "/operator/a\r\nX: y",
            "",
        ] {
            assert_eq!(next(bad), "/operator", "{bad:?}");
        }
    }

    #[test]
    fn an_origin_is_ours_by_base_or_host() {
        assert!(is_ours("https://node.example.org", "https://node.example.org/sub", "127.0.0.1:1"));
        assert!(is_ours("http://127.0.0.1:8080", "https://node.example.org", "127.0.0.1:8080"));
        for bad in ["null", "https://evil.example", "https://node.example.org.evil.example", ""] {
            assert!(!is_ours(bad, "https://node.example.org", "node.example.org"), "{bad}");
        }
    }

    #[test]
    fn the_cookie_is_held_close() {
        assert_eq!(
            cookie("t", true, ""),
            "vesalius_token=t; Path=/operator; HttpOnly; SameSite=Strict; Secure"
        );
        assert!(cookie("", false, "; Max-Age=0").ends_with("SameSite=Strict; Max-Age=0"));
        assert_eq!(sentence("the token is refused"), "The token is refused.");
    }
}
