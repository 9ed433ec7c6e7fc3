//! JSON Web Tokens of the node.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::actor::{Actor, Role, Scope};
use crate::error::{Error, Result};

/// Issuer and audience of the node's own tokens; the key tells nodes apart.
const NODE: &str = "vesalius";

#[derive(Debug, Deserialize, Serialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    role: Role,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    scope: String,
    iat: u64,
    exp: u64,
    jti: String,
}

/// Mints and checks tokens.
#[derive(Clone)]
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

/// A new token and when it ends.
#[derive(Clone, Debug)]
pub struct Minted {
    /// For `Authorization: Bearer …`.
    pub token: String,
    /// When it ends, in seconds since 1970-01-01T00:00:00Z.
    pub expires: u64,
}

impl Tokens {
    /// Tokens signed with `key`.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self { encoding: EncodingKey::from_secret(key), decoding: DecodingKey::from_secret(key) }
    }

    /// A token for `subject` in `role`, good for `seconds` from `now` (seconds since 1970).
    /// `scope` narrows the role under `/fhir` and `/dicom-web` (see [`Scope`]); empty: it does
    /// not.
    ///
    /// # Errors
    /// When a scope is not understood, or signing fails.
    pub fn mint(
        &self,
        subject: &str,
        role: Role,
        scope: &str,
        seconds: u64,
        now: u64,
    ) -> Result<Minted> {
        for one in scope.split_ascii_whitespace() {
            Scope::parse(one)?;
        }
        let mut id = [0_u8; 16];
        getrandom::fill(&mut id).map_err(|failure| Error::Internal(failure.to_string()))?;
        let expires = now.saturating_add(seconds);
        let claims = Claims {
            iss: NODE.to_owned(),
            aud: NODE.to_owned(),
            sub: subject.to_owned(),
            role,
            scope: scope.to_owned(),
            iat: now,
            exp: expires,
            jti: format!("{:032x}", u128::from_be_bytes(id)),
        };
        let mut header = Header::new(Algorithm::HS256);
        // RFC 9068: an access token says so, and is nothing else.
        header.typ = Some("at+jwt".to_owned());
        let token = encode(&header, &claims, &self.encoding)
            .map_err(|failure| Error::Internal(failure.to_string()))?;
        Ok(Minted { token, expires })
    }

    /// Who bears the token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] with the reason, which tells nothing of the key.
    pub fn check(&self, token: &str) -> Result<Actor> {
        let refused = |reason: &str| {
            Error::Unauthenticated(format!(
                "the bearer token is refused: {reason}; ask the node's operator for a new one \
                 (`vesalius token --role …`)"
            ))
        };
        if token.len() > 8_192 {
            return Err(refused("it is too long"));
        }
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 30;
        rules.validate_nbf = true;
        rules.set_audience(&[NODE]);
        rules.set_issuer(&[NODE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let data = decode::<Claims>(token, &self.decoding, &rules).map_err(|failure| {
            use jsonwebtoken::errors::ErrorKind;
            refused(match failure.kind() {
                ErrorKind::ExpiredSignature => "it has expired",
                ErrorKind::InvalidSignature => "this node did not sign it",
                ErrorKind::InvalidAudience | ErrorKind::InvalidIssuer => "it is for another node",
                ErrorKind::InvalidAlgorithm => "its algorithm is not allowed",
                _ => "it is no valid token",
            })
        })?;
        if data.header.typ.as_deref() != Some("at+jwt") {
            return Err(refused("it is no access token"));
        }
        if data.claims.role == Role::Public {
            return Err(refused("its role needs no token"));
        }
        Ok(Actor::new(&data.claims.sub, data.claims.role).with_scopes(&data.claims.scope))
    }
}

#[cfg(test)]
mod tests {
    use super::Tokens;
    use crate::actor::Role;

    fn now() -> u64 {
        u64::try_from(jiff::Timestamp::now().as_second()).unwrap()
    }

    #[test]
    fn a_token_names_its_bearer() {
        let tokens = Tokens::new(&[1; 32]);
        let minted = tokens.mint("ris", Role::Ehr, "", 60, now()).unwrap();
        let actor = tokens.check(&minted.token).unwrap();
        assert_eq!((actor.subject.as_str(), actor.role), ("ris", Role::Ehr));
    }

    #[test]
    fn a_token_carries_its_scopes_and_none_that_is_not_understood() {
        let tokens = Tokens::new(&[1; 32]);
        let minted = tokens.mint("ris", Role::ImagingIt, "system/Patient.r", 60, now()).unwrap();
        let actor = tokens.check(&minted.token).unwrap();
        assert!(actor.has_read_scope("Patient") && !actor.has_search_scope("Patient"));
        for wrong in ["openid", "system/Patient.rs user/*.rs", "system/*.erase"] {
            assert!(tokens.mint("ris", Role::ImagingIt, wrong, 60, now()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tokens_of_others_expired_and_forged_ones_are_refused() {
        let tokens = Tokens::new(&[1; 32]);
        let foreign = Tokens::new(&[2; 32]).mint("x", Role::Admin, "", 60, now()).unwrap();
        let old = tokens.mint("x", Role::Admin, "", 60, now() - 3_600).unwrap();
        let good = tokens.mint("x", Role::Ehr, "", 60, now()).unwrap();
        let parts: Vec<&str> = good.token.split('.').collect();
        // {"alg":"none","typ":"at+jwt"}
        let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{}.", parts[1]);
        let cut = format!("{}.{}", parts[0], parts[1]);
        for bad in [&foreign.token, &old.token, &none, &cut, "", "a.b.c", &"x".repeat(9_000)] {
            assert!(tokens.check(bad).is_err(), "{bad} was accepted");
        }
    }
}
