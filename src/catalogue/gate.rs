//! The gate: the shapes of a release, read once, and what they say to a document.

use std::collections::BTreeMap;

use jiff::Timestamp;
use oxrdf::Graph;

use super::description::{AccessRights, Description};
use super::release::Release;
use super::shacl::{FieldsFile, Problem, Severity, Shapes};
use crate::error::{Error, Result};

/// EUCAIM's profile: the same for every release, as it is a view of its own.
const EUCAIM: &str = "eucaim-2.0.ttl";

/// The shapes of the three levels, the vocabularies they look up, the steward's words.
#[derive(Debug)]
pub struct Gate {
    levels: BTreeMap<AccessRights, Shapes>,
    eucaim: Shapes,
    background: Graph,
    fields: FieldsFile,
}

impl Gate {
    /// Reads the shapes of a release.
    ///
    /// # Errors
    /// [`Error::Configuration`] for a broken file.
    pub fn load(release: &Release) -> Result<Self> {
        let files = &release.file.shapes;
        let text = |name: &str| release.text(&format!("shapes/{name}"));
        let common = text(&files.common)?;
        let mut levels = BTreeMap::new();
        for (rights, name) in [
            (AccessRights::Public, &files.public),
            (AccessRights::Restricted, &files.restricted),
            (AccessRights::NonPublic, &files.non_public),
        ] {
            let own = text(name)?;
            levels.insert(rights, Shapes::read(&[(&files.common, &common), (name, &own)])?);
        }
        let fields = toml::from_str(&text("fields.toml")?).map_err(|failure| {
            Error::Configuration(format!("catalogue/shapes/fields.toml: {failure}"))
        })?;
        let eucaim = Shapes::read(&[(EUCAIM, &text(EUCAIM)?)])?;
        Ok(Self { levels, eucaim, background: release.background(), fields })
    }

    /// Holds a document to the shapes of its level.
    #[must_use]
    pub fn check(&self, rights: AccessRights, document: &Graph, release: &Release) -> Vec<Problem> {
        let Some(shapes) = self.levels.get(&rights) else { return Vec::new() };
        let mut problems: Vec<Problem> = shapes
            .validate(document, &self.background)
            .iter()
            .map(|outcome| self.fields.problem(outcome, document, release))
            .collect();
        problems.dedup();
        problems
    }

    /// The shapes of a level, for judging the engine.
    #[must_use]
    pub fn shapes(&self, rights: AccessRights) -> Option<&Shapes> {
        self.levels.get(&rights)
    }

    /// The vocabularies that shapes look up.
    #[must_use]
    pub const fn background(&self) -> &Graph {
        &self.background
    }

    /// Holds the EUCAIM view of a dataset to EUCAIM's profile. Nothing of it stops a publication:
    /// the dataset's own document is what Release 8 holds.
    #[must_use]
    pub fn check_eucaim(
        &self,
        description: &Description,
        view: &Graph,
        release: &Release,
        now: Timestamp,
    ) -> Vec<Problem> {
        let outcomes = self.eucaim.validate(view, &self.background);
        let mut problems: Vec<Problem> =
            outcomes.iter().map(|outcome| self.fields.problem(outcome, view, release)).collect();
        self.excuse(description, &mut problems, release, now);
        for problem in &mut problems {
            problem.severity = Severity::Warning;
            problem.label = format!("EUCAIM: {}", problem.label);
        }
        problems.dedup();
        problems
    }

    /// A rule that the description is excused from by name, while that is allowed, is no
    /// violation; the report says so.
    pub fn excuse(
        &self,
        description: &Description,
        problems: &mut [Problem],
        release: &Release,
        now: Timestamp,
    ) {
        for row in &release.file.waivers {
            let rows = &release.file.waivers;
            let Some(waiver) = description.waiver(&row.rule, rows, now) else { continue };
            let field = self.fields.key(&row.property);
            for problem in problems.iter_mut().filter(|problem| Some(&*problem.field) == field) {
                problem.severity = Severity::Warning;
                problem.rule =
                    format!("{} (excused by the waiver `{}`)", problem.rule, waiver.rule);
            }
        }
    }
    /// What the steward must know of waivers that are over: they excuse from nothing any more.
    #[must_use]
    pub fn expired(description: &Description, release: &Release, now: Timestamp) -> Vec<Problem> {
        let rows = &release.file.waivers;
        let over = description.waivers.iter().enumerate().filter(|(_, waiver)| {
            rows.iter().any(|row| row.rule == waiver.rule)
                && description.waiver(&waiver.rule, rows, now).is_none()
        });
        over.map(|(place, waiver)| {
            let of_release = rows.iter().find(|row| row.rule == waiver.rule);
            let until = [of_release.and_then(|row| row.until), waiver.until];
            let until = until.into_iter().flatten().min();
            Problem {
                severity: Severity::Warning,
                field: format!("waiver.{place}"),
                label: "Named exception".to_owned(),
                rule: format!(
                    "the waiver `{}` is over since {}: it excuses from nothing any more",
                    waiver.rule,
                    until.map_or_else(String::new, |until| until.to_string())
                ),
                remedy: "remove the waiver, and name what it excused from".to_owned(),
                value: None,
            }
        })
        .collect()
    }
}
