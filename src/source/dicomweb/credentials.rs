//! How vesalius proves to a PACS who it is: from the environment or a file, never from the
//! command line (process lists show it) and never in a log.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use serde::Deserialize;

use crate::error::{Error, Result};

/// What is sent as `Authorization`.
#[derive(Clone, Default, Eq, PartialEq)]
pub enum Credentials {
    /// Nothing.
    #[default]
    None,
    /// HTTP Basic (RFC 7617).
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: String,
    },
    /// A bearer token (RFC 6750).
    Bearer(String),
}

/// Shows which kind it is, and no secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(…)",
            Self::Bearer(_) => "Bearer(…)",
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    user: String,
    password: String,
    token: String,
}

impl Credentials {
    /// Reads the environment: a user and a password (`VESALIUS_DICOMWEB_USER`, `…_PASSWORD`), or a
    /// token (`…_TOKEN`), or the path of a TOML file (`…_CREDENTIALS`) with the keys `user` and
    /// `password`, or `token`.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the variables contradict each other or the file is wrong.
    pub fn from_environment(
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        let [mut user, mut password, mut token, mut file] = [const { String::new() }; 4];
        for (name, value) in environment {
            match name.as_str() {
                "VESALIUS_DICOMWEB_USER" => user = value,
                "VESALIUS_DICOMWEB_PASSWORD" => password = value,
                "VESALIUS_DICOMWEB_TOKEN" => token = value,
                "VESALIUS_DICOMWEB_CREDENTIALS" => file = value,
                _ => {}
            }
        }
        let in_environment = File { user, password, token };
        let says_something = !in_environment.user.is_empty() || !in_environment.token.is_empty();
        if file.is_empty() {
            return Self::new(in_environment, "the environment");
        }
        if says_something {
            return Err(Error::Configuration(
                "credentials stand both in VESALIUS_DICOMWEB_CREDENTIALS and in other variables; \
                 keep one of them"
                    .to_owned(),
            ));
        }
        Self::from_file(Path::new(&file))
    }

    /// Reads a TOML file with `user` and `password`, or `token`.
    ///
    /// # Errors
    /// [`Error::Configuration`], without quoting the file: it holds a secret.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|failure| {
            Error::Configuration(format!("{}: cannot be read ({failure})", path.display()))
        })?;
        let file: File = toml::from_str(&text).map_err(|failure: toml::de::Error| {
            let start = failure.span().map_or(0, |span| span.start);
            let line = text.bytes().take(start).filter(|b| *b == b'\n').count() + 1;
            Error::Configuration(format!(
                "{}, line {line}: not understood; write `user` and `password`, or `token`, each \
                 as `key = \"value\"`",
                path.display()
            ))
        })?;
        Self::new(file, &path.display().to_string())
    }

    fn new(file: File, place: &str) -> Result<Self> {
        let File { user, password, token } = file;
        match (user.is_empty(), token.is_empty()) {
            (true, true) if password.is_empty() => Ok(Self::None),
            (false, true) if !user.contains(':') => Ok(Self::Basic { user, password }),
            (true, false) => Ok(Self::Bearer(token.trim().to_owned())),
            _ => Err(Error::Configuration(format!(
                "the credentials in {place} are neither a user (without colon) and a password \
                 nor a token; keep one of the two"
            ))),
        }
    }

    pub(super) fn header(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Basic { user, password } => {
                let pair = format!("{user}:{password}");
                let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
                Some(format!("Basic {encoded}"))
            }
            Self::Bearer(token) => Some(format!("Bearer {token}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Credentials;
    use std::io::Write as _;

    fn from(pairs: &[(&str, &str)]) -> Result<Credentials, String> {
        let pairs = pairs.iter().map(|(k, v)| (format!("VESALIUS_DICOMWEB_{k}"), (*v).to_owned()));
        Credentials::from_environment(pairs).map_err(|failure| failure.to_string())
    }

    #[test]
    fn credentials_come_from_the_environment_or_a_file() {
        assert_eq!(from(&[]), Ok(Credentials::None));
        let basic = from(&[("USER", "u"), ("PASSWORD", "p")]).unwrap();
        assert_eq!(basic.header().as_deref(), Some("Basic dTpw"));
        assert_eq!(from(&[("TOKEN", "t\n")]).unwrap().header().as_deref(), Some("Bearer t"));
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "user = \"u\"\npassword = \"p\"").unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(from(&[("CREDENTIALS", path)]), Ok(basic));
        assert!(from(&[("CREDENTIALS", path), ("TOKEN", "t")]).is_err());
        assert!(from(&[("USER", "u"), ("TOKEN", "t")]).is_err());
        assert!(from(&[("PASSWORD", "p")]).is_err());
    }

    #[test]
    fn no_message_shows_a_secret() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "user = \"u\"\npasword = \"hunter2\"").unwrap();
        let message = Credentials::from_file(file.path()).unwrap_err().to_string();
        assert!(message.contains("line 2") && !message.contains("hunter2"), "{message}");
        let shown = format!("{:?}", from(&[("USER", "u"), ("PASSWORD", "hunter2")]).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
