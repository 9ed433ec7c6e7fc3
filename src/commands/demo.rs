//! stub
use super::{Common, Ended};
use crate::error::Result;
use clap::Args;
#[derive(Args)]
pub(super) struct Demo {}
#[derive(Args)]
pub(super) struct Serve {}
pub(super) fn demo(_c: &Common, _k: &Demo) -> Result<Ended> {
    Ok(Ended::Done)
}
pub(super) fn serve(_c: &Common, _k: &Serve) -> Result<Ended> {
    Ok(Ended::Done)
}
