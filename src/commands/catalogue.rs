//! stub
use super::{Common, Ended, Node};
use crate::error::Result;
use clap::Args;
#[derive(Args)]
pub(super) struct Catalogue {}
pub(super) fn run(_c: &Common, _k: &Catalogue) -> Result<Ended> {
    Ok(Ended::Done)
}
pub(super) fn rebuild(_c: &Common, _n: &Node) -> Result<()> {
    Ok(())
}
pub(super) fn differences(_n: &Node) -> Result<Vec<String>> {
    Ok(vec![])
}
