//! What can go wrong, without HTTP. The edges give each kind its status.

/// A failure that a caller or an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing of that name, or nothing that the actor may see.
    #[error("{kind} `{id}` is not known")]
    NotFound {
        /// The kind of thing: a FHIR type or a word of the catalogue.
        kind: &'static str,
        /// As the caller named it.
        id: String,
    },
    /// It was here and was deleted or withdrawn.
    #[error("{kind} `{id}` was deleted")]
    Gone {
        /// The kind of thing.
        kind: &'static str,
        /// As the caller named it.
        id: String,
    },
    /// A parameter of a request cannot be used.
    #[error("parameter `{name}`: {reason}")]
    Parameter {
        /// The parameter's name.
        name: String,
        /// What is wrong and how to mend it.
        reason: String,
    },
    /// The request as a whole cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// No valid token.
    #[error("{0}")]
    Unauthenticated(String),
    /// A valid token that does not allow this.
    #[error("{0}")]
    Forbidden(String),
    /// None of the representations that the client accepts.
    #[error("{0}")]
    NotAcceptable(String),
    /// A configuration or data file is wrong.
    #[error("{0}")]
    Configuration(String),
    /// Too much work for one request.
    #[error("{0}")]
    TooCostly(String),
    /// The store did not answer.
    #[error("the store failed: {0}")]
    Store(String),
    /// A fault of ours, with what the log needs.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// Whether it is a fault of this node, of which the reader learns no cause: that is for the log.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        match self {
            Self::Store(_) | Self::Configuration(_) | Self::Internal(_) => true,
            Self::NotFound { .. }
            | Self::Gone { .. }
            | Self::Parameter { .. }
            | Self::Invalid(_)
            | Self::Unauthenticated(_)
            | Self::Forbidden(_)
            | Self::NotAcceptable(_)
            | Self::TooCostly(_) => false,
        }
    }
}

/// The result of everything above the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;
