//! Who reads a page of those that are open to all: the language, and what lies in the cart.
//!
//! Both come from the request alone (`?lang=`, cookies, `Accept-Language`), so nothing is kept
//! of a reader on the node. The cookies hold a language tag and slugs, which are read as hostile.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponseBuilder};

use super::tongue::Tongue;
use super::words;
use crate::catalogue::is_slug;

/// The cookie of the language.
const LANGUAGE: &str = "vesalius_lang";
/// The cookie of the cart: slugs with dots between.
pub(super) const CART: &str = "vesalius_cart";
/// Datasets that a cart holds at most: the cookie stays far below 4 kB.
pub(super) const MOST: usize = 30;

/// The reader of a page.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// The language.
    pub tongue: &'static Tongue,
    /// The address of the page without `lang`, for links to it in other languages; empty where
    /// the page exists in one language only.
    pub here: String,
    /// The slugs in the cart.
    pub cart: Vec<String>,
    /// Of a preview: what is said above the page, and the way back.
    pub(super) preview: Option<Preview>,
    /// Whether the address chose the language, which is then kept in a cookie.
    is_chosen: bool,
}

/// What stands above the page of a dataset that is not published.
#[derive(Clone, Debug)]
pub struct Preview {
    /// That it is a preview.
    pub(super) note: &'static str,
    /// Where the steward came from.
    pub(super) back: String,
    /// What leads there.
    pub(super) words: &'static str,
}

impl Reader {
    /// The reader that a request tells of.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        let query: String = request.query_string().chars().take(8_192).collect();
        let pairs = words::pairs(&query);
        let asked = pairs.iter().find(|(name, _)| name == "lang");
        let asked = asked.and_then(|(_, tag)| Tongue::of(tag));
        let kept = cookie(request, LANGUAGE).and_then(|tag| Tongue::of(&tag));
        let accepted = || {
            let header = request.headers().get(header::ACCEPT_LANGUAGE)?;
            Tongue::preferred(header.to_str().ok()?)
        };
        let tongue = asked.or(kept).or_else(accepted).unwrap_or_default();
        let rest: Vec<String> = pairs
            .iter()
            .filter(|(name, _)| name != "lang")
            .map(|(name, value)| format!("{}={}", words::encode(name), words::encode(value)))
            .collect();
        let path = request.path();
        // `//host` would lead elsewhere.
        let path = if path.starts_with("//") { "/" } else { path };
        let mark = if rest.is_empty() { "" } else { "?" };
        let cart = cookie(request, CART).unwrap_or_default();
        Self {
            tongue,
            here: format!("{path}{mark}{}", rest.join("&")),
            cart: slugs(cart.split('.')),
            preview: None,
            is_chosen: asked.is_some(),
        }
    }

    /// Whether a dataset lies in the cart.
    #[must_use]
    pub fn has(&self, slug: &str) -> bool {
        self.cart.iter().any(|known| known == slug)
    }

    /// The cookie of the language, when the address chose it.
    pub(super) fn cookie(&self, is_secure: bool) -> Option<String> {
        self.is_chosen.then(|| keep(LANGUAGE, &self.tongue.code, is_secure))
    }

    /// Headers of a page that differs per reader: a cache keeps it per language and cookie.
    pub(super) fn headers(&self, response: &mut HttpResponseBuilder, is_secure: bool) {
        response
            .insert_header((header::VARY, "Accept, Accept-Language, Cookie"))
            .insert_header((header::CONTENT_LANGUAGE, self.tongue.code.as_str()));
        if self.is_chosen {
            response
                .insert_header((header::CACHE_CONTROL, "private, no-cache"))
                .append_header((header::SET_COOKIE, keep(LANGUAGE, &self.tongue.code, is_secure)));
        } else {
            response.insert_header((header::CACHE_CONTROL, "public, max-age=60"));
        }
    }
}

/// The valid slugs among hostile ones, each once.
pub(super) fn slugs<'s>(all: impl Iterator<Item = &'s str>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for slug in all.filter(|slug| is_slug(slug)) {
        if out.len() < MOST && !out.iter().any(|known| known == slug) {
            out.push(slug.to_owned());
        }
    }
    out
}

/// A cookie of half a year that holds nothing secret; forms cannot use it from elsewhere.
pub(super) fn keep(name: &str, value: &str, is_secure: bool) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    let age = if value.is_empty() { 0 } else { 15_552_000 };
    format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}")
}

fn cookie(request: &HttpRequest, name: &str) -> Option<String> {
    let all = request.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value.chars().take(4_096).collect())
}
