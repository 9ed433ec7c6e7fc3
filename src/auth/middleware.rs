//! Puts the actor into a request's extensions.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, web};

use super::Tokens;
use crate::actor::Actor;

/// The request carried a token that was refused; edges answer 401 with this reason.
#[derive(Clone, Debug)]
pub struct BadToken(pub String);

/// The cookie that carries the token of an operator's browser.
pub const COOKIE: &str = "vesalius_token";

/// Reads the bearer token, or outside of the APIs the operator's cookie (an API that took a
/// cookie could be called by any page that the operator visits). An edge that needs an actor
/// looks for it with [`actor_of`]; a request without a token has none.
///
/// # Errors
/// Only what the inner service returns.
pub async fn authenticate(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let tokens = request.app_data::<web::Data<Tokens>>().cloned();
    if let Some(tokens) = tokens {
        let bearer = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| {
                let (scheme, token) = value.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
            });
        let has_scheme = request.headers().contains_key(header::AUTHORIZATION);
        let is_api = ["/fhir", "/api", "/sparql", "/dicom-web"]
            .iter()
            .any(|api| request.path().starts_with(api));
        let token =
            bearer.or_else(|| (!is_api && !has_scheme).then(|| cookie(request.request()))?);
        match token.map(|token| tokens.check(&token)) {
            Some(Ok(actor)) => {
                request.extensions_mut().insert(actor);
            }
            Some(Err(failure)) => {
                request.extensions_mut().insert(BadToken(failure.to_string()));
            }
            None if has_scheme => {
                let reason = "only `Authorization: Bearer …` is understood".to_owned();
                request.extensions_mut().insert(BadToken(reason));
            }
            None => {}
        }
    }
    next.call(request).await
}

fn cookie(request: &HttpRequest) -> Option<String> {
    request
        .headers()
        .get_all(header::COOKIE)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value.to_owned())
}

/// Who asks; `None` without a valid token.
#[must_use]
pub fn actor_of(request: &HttpRequest) -> Option<Actor> {
    request.extensions().get::<Actor>().cloned()
}
