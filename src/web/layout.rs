//! What every page shares: the node's name, navigation, footer.

use std::sync::Arc;

use super::reader::{Preview, Reader};
use super::tongue::Tongue;
use super::words::{Href, Phrase};
use crate::actor::Actor;
use crate::config::{Config, Organisation};

/// What the node says of itself on every page.
#[derive(Clone, Debug)]
pub struct Site {
    /// Title of the catalogue, with its language always named.
    pub title: Phrase,
    /// Description of the catalogue.
    pub description: Phrase,
    /// The data holder.
    pub holder: Contact,
    /// The health data access body.
    pub hdab: Contact,
    /// The base of every address, without a final slash.
    pub base: String,
}

/// An organisation with where to turn to.
#[derive(Clone, Debug, Default)]
pub struct Contact {
    /// Its name; empty when it is not configured.
    pub name: String,
    /// Its page.
    pub page: Option<Href>,
    /// Its e-mail address, as a link.
    pub email: Option<Href>,
    /// Its e-mail address.
    pub address: String,
}

impl Contact {
    fn of(organisation: &Organisation) -> Self {
        Self {
            name: organisation.name.clone(),
            page: Href::parse(&organisation.page),
            email: Href::parse(&format!("mailto:{}", organisation.email)),
            address: organisation.email.clone(),
        }
    }
}

impl Site {
    /// What the configuration says.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let language = &config.catalogue.language;
        let phrase = |text: &str| Phrase { text: text.to_owned(), lang: language.clone() };
        Self {
            title: phrase(&config.catalogue.title),
            description: phrase(&config.catalogue.description),
            holder: Contact::of(&config.organisation),
            hdab: Contact::of(&config.hdab),
            base: config.server.base(),
        }
    }
}

/// The part of the site that a page belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    Home,
    Catalog,
    Cart,
    Operator,
    Elsewhere,
}

/// Who is signed in.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    pub subject: String,
    pub role: &'static str,
}

/// The frame of a page.
pub(super) struct Layout {
    pub site: Site,
    /// The language of the page.
    pub tongue: &'static Tongue,
    /// The page's own address, for links to other languages; empty: there are none.
    pub here: String,
    /// The form that another language is asked for with, so that nothing typed is lost: its id, and
    /// what its button does. `None`: another language is a link.
    pub form: Option<(&'static str, &'static str)>,
    /// What lies in the cart.
    pub cart: Vec<String>,
    /// Of a preview: what is said above the page, and the way back.
    pub preview: Option<Preview>,
    pub title: String,
    pub summary: String,
    pub place: Place,
    pub bearer: Option<Bearer>,
    /// The page of the operator's part that is shown: its path.
    pub path: &'static str,
    /// Search engines keep out: filtered lists, operator pages, errors.
    pub is_unlisted: bool,
    /// The address of the page without filters.
    pub canonical: Option<String>,
    /// Other forms of the same: media type and address.
    pub alternates: Vec<(&'static str, String)>,
}

impl Layout {
    pub(super) fn new(site: &Arc<Site>, reader: &Reader, title: &str, place: Place) -> Self {
        let mut site = Site::clone(site);
        for phrase in [&mut site.title, &mut site.description] {
            *phrase = Phrase::within(&phrase.text, &phrase.lang, &reader.tongue.code);
        }
        Self {
            site,
            tongue: reader.tongue,
            here: reader.here.clone(),
            form: None,
            cart: reader.cart.clone(),
            preview: reader.preview.clone(),
            title: title.to_owned(),
            summary: String::new(),
            place,
            bearer: None,
            path: "",
            is_unlisted: false,
            canonical: None,
            alternates: Vec::new(),
        }
    }

    /// A page of the operator's part in the reader's language.
    pub(super) fn operator(
        site: &Arc<Site>,
        reader: &Reader,
        title: &str,
        path: &'static str,
        actor: &Actor,
    ) -> Self {
        let bearer = Bearer { subject: actor.subject.clone(), role: actor.role.name() };
        Self {
            bearer: Some(bearer),
            path,
            is_unlisted: true,
            ..Self::new(site, reader, title, Place::Operator)
        }
    }

    /// The words of a key in the language of the page.
    pub(super) fn w(&self, key: &str) -> &'static str {
        self.tongue.word(key)
    }

    /// The languages there are.
    pub(super) fn tongues(&self) -> &'static [Tongue] {
        Tongue::all()
    }

    /// This page in another language.
    pub(super) fn in_tongue(&self, tongue: &Tongue) -> String {
        let mark = if self.here.contains('?') { '&' } else { '?' };
        format!("{}{mark}lang={}", self.here, tongue.code)
    }

    pub(super) fn is_cart(&self) -> bool {
        self.place == Place::Cart
    }

    pub(super) fn style(&self) -> &'static str {
        super::assets::stylesheet_path()
    }

    pub(super) fn icon(&self) -> &'static str {
        super::assets::icon_path()
    }

    pub(super) fn is_home(&self) -> bool {
        self.place == Place::Home
    }

    pub(super) fn is_catalog(&self) -> bool {
        self.place == Place::Catalog
    }

    pub(super) fn is_operator(&self) -> bool {
        self.place == Place::Operator
    }

    pub(super) fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
