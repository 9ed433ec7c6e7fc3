//! Tokens and keys: who somebody is.
//!
//! In: a bearer token. Out: an [`Actor`](crate::actor::Actor), or why not. Tokens are JSON Web Tokens (RFC 7519)
//! signed with a key of the data folder; full identity (OpenID Connect, SMART) has its own
//! issue. Absent: what an actor may do, which each edge and the index decide.

mod keys;
mod middleware;
mod token;

pub use keys::Keys;
pub use middleware::{BadToken, COOKIE, actor_of, authenticate};
pub use token::{Minted, Tokens};
